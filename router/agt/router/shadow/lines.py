"""The lines wire's reads and writes, and what stands in its replies.

The wire itself knows `set` and the controller's words to people; which other verbs only ask is the application's
own knowledge, so a classifier is made with them.
"""

from collections.abc import Collection, Mapping
from typing import Final

from agt.router._path import Message
from agt.router.shadow._classify import Act, Classifier
from agt.transport.wires.lines import MAX_LINE_BYTES, number_in

__all__ = ("READS", "classifier", "classify", "reply_fields")

READS: Final = (b"get", b"ping", b"state")
"""Verbs that are taken for questions unless others are given."""
_WORDS_MAX: Final = 32
"""Words of a reply that are compared."""


def classifier(reads: Collection[bytes] = READS) -> Classifier:
    """Return a classifier of lines by their first word.

    Args:
        reads: the verbs that act on nothing, in lower case; every other is a write.
    """
    known = frozenset(reads)

    def classify(message: Message) -> Act | None:
        line = message.payload
        if len(line) > MAX_LINE_BYTES or b"\n" in line or b"\0" in line:
            return None
        verb, *_ = line.split(maxsplit=1) or (b"",)
        if not verb.isalpha():
            return None
        return Act.READ if verb in known else Act.WRITE

    return classify


classify: Final = classifier()
"""Says whether a line acts, with the verbs of `READS`; None for what is no line."""


def reply_fields(_: Message, reply: bytes) -> Mapping[str, object]:
    """Decode a reply by its words; the number is left out, since it names the exchange and not its result."""
    words = reply[:MAX_LINE_BYTES].decode("utf-8", "backslashreplace").split()
    if not words:
        return {"verb": ""}
    values = words[2:] if number_in(reply) is not None else words[1:]
    return {"verb": words[0], **{f"word{place}": word for place, word in enumerate(values[:_WORDS_MAX], 1)}}

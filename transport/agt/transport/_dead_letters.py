"""What the peer's application refused for good: kept for people to look at, the newest first to survive.

A refusal settles its message as `not_delivered`; the bytes would be gone with it. Here they stay, bounded, with the
word that the peer gave, so that somebody can see what it was that nobody wanted, mend it, and send it again.
"""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from agt.transport._events import Settled

DEAD_LETTERS_MAX: Final = 100
"""Refused messages that a session remembers unless told otherwise; the oldest give way."""


class RefusedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message that the peer's application refused for good."""

    id: str
    """What logs call it on both sides; empty where the wire has no ids."""
    payload: bytes
    """What was sent."""
    code: str
    """The peer's word: `rejected`, `malformed`, `too_large`, `unauthorised`, `stale_generation`."""
    channel: int
    """The ordered channel that it went through."""
    at: float
    """When its sender was told, on the event loop's clock."""


class DeadLetters:
    """The newest refused messages of one session, oldest first, and who wants to hear of each."""

    __slots__ = ("_letters", "_limit", "_on_letter", "dropped")

    def __init__(
        self, limit: int = DEAD_LETTERS_MAX, on_letter: Callable[[RefusedMessage], None] | None = None
    ) -> None:
        """Make an empty one.

        Args:
            limit: how many are kept; 0 keeps none.
            on_letter: called with each; must not raise.
        """
        self._letters: list[RefusedMessage] = []
        self._limit = limit
        self._on_letter = on_letter
        self.dropped = 0
        """How many gave way to newer ones."""

    def __len__(self) -> int:
        return len(self._letters)

    def __iter__(self) -> Iterator[RefusedMessage]:
        return iter(tuple(self._letters))

    def clear(self) -> None:
        """Forget them: somebody has looked."""
        self._letters.clear()

    def add(self, event: Settled, now: float) -> None:
        """Take in a message whose end has a code."""
        message = event.message
        letter = RefusedMessage(
            id=message.id, payload=message.payload, code=event.code, channel=message.channel, at=now
        )
        self._letters.append(letter)
        if len(self._letters) > self._limit:
            del self._letters[0]
            self.dropped += 1
        if self._on_letter is not None:
            self._on_letter(letter)

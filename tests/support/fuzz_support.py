"""What every fuzz target is made of: bytes in, nothing out, and no error but those that the parser declares.

A target is a function of bytes alone, so that one input means the same to hypothesis, to atheris and to the corpus:
even where its input is cut into reads is drawn from the input itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from zlib import crc32

from agt.transport import Link, Received

CORPUS = Path(__file__).parent.parent / "corpus"
INPUT_MAX = 1 << 16
"""Longer inputs only cost time: every limit that is parsed against can be passed in less."""


@dataclass(frozen=True)
class Target:
    """One parser under attack."""

    name: str
    """Of the target and of its folder in `tests/corpus`."""
    run: Callable[[bytes], None]
    """Raises whatever the parser must not raise, or AssertionError when a property fails."""
    tokens: tuple[bytes, ...] = ()
    """Pieces that its inputs are made of; saves the fuzzer finding them out."""

    @property
    def corpus(self) -> Path:
        """The folder of inputs that are run each time."""
        return CORPUS / self.name

    def samples(self) -> list[bytes]:
        """Return the corpus, in the order of its names."""
        return [path.read_bytes() for path in sorted(self.corpus.iterdir())]


def pieces(data: bytes) -> list[bytes]:
    """Cut bytes as a socket might; the same bytes are always cut alike."""
    rng = Random(crc32(data))
    if rng.random() < 0.2 and len(data) <= 512:
        return [data[at : at + 1] for at in range(len(data))]
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(6)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def drain(link: Link, now: float) -> Iterator[bytes]:
    """Take what a link has for its driver, as drivers do; yields what it writes."""
    while True:
        while (event := link.next_event()) is not None:
            if isinstance(event, Received):
                link.acknowledge(event.token, now=now, count=len(event.payloads))
        data = link.data_to_send(now=now)
        if not data:
            return
        yield data


def drive(link: Link, parts: list[bytes]) -> bytes:
    """Give a link bytes from its peer, let its timers come due in between, and lose the connection; what it wrote."""
    now = 0.0
    link.connection_made(now=now)
    written = list(drain(link, now))
    for part in parts:
        now += 0.01
        link.receive_data(part, now=now)
        written += drain(link, now)
    now = min(link.next_deadline(), now + 60.0)
    link.handle_timer(now=now)
    written += drain(link, now)
    link.connection_lost(now=now)
    written += drain(link, now)
    return b"".join(written)

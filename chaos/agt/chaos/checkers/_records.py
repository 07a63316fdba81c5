"""What the two ends of a run write down for themselves: one line of JSON per fact.

A source notes what it sent and what it was told; a device notes what a message did to it. Nothing here comes from
the thing under test, so that joining the lines can contradict it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec


class Sent(msgspec.Struct, frozen=True, tag_field="e", tag="sent"):
    """A source handed a message over."""

    t: float
    """Seconds since the Unix epoch, here and below."""
    device: str
    number: int
    """The device's own sequence, given by the source; grows by one."""


class Told(msgspec.Struct, frozen=True, tag_field="e", tag="told", omit_defaults=True):
    """A source learned what became of a message."""

    t: float
    device: str
    number: int
    outcome: str
    """One of `agt.transport.Outcome`."""
    runtime: str
    """The path of the last attempt, or of the last known one."""
    resends: int = 0
    by: str = "gateway"
    """Who said it: `gateway`, or `source` where it gave up waiting for one that died."""
    reason: str = ""


class Effect(msgspec.Struct, frozen=True, tag_field="e", tag="effect", omit_defaults=True):
    """A message reached a device and was acted on."""

    t: float
    device: str
    number: int
    path: str
    """The attachment that it came by: `cync`, `lines` or `native`."""
    changed: bool = True
    """Whether the device's state changed; a repeat that changes nothing is a redelivery, not another effect."""


class Ignored(msgspec.Struct, frozen=True, tag_field="e", tag="ignored"):
    """A message reached a device that recognised it as one it had passed already, and did nothing."""

    t: float
    device: str
    number: int
    path: str


Record = Sent | Told | Effect | Ignored

_DECODER = msgspec.json.Decoder(Record)


def decode_records(lines: Iterable[bytes]) -> Iterator[Record]:
    """Read records; the half-written last line of a process that was killed is passed over.

    Raises:
        ValueError: when a line in the middle is no record.
    """
    broken = ""
    for number, line in enumerate(lines, start=1):
        if broken:
            raise ValueError(broken)
        try:
            yield _DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            broken = f"line {number} is no record: {error}"


def read_records(path: Path) -> list[Record]:
    """Read one log; empty when the file doesn't exist.

    Raises:
        ValueError: when a line in the middle is no record.
    """
    if not path.exists():
        return []
    with path.open("rb") as lines:
        try:
            return list(decode_records(lines))
        except ValueError as problem:
            raise ValueError(f"{path}: {problem}") from None

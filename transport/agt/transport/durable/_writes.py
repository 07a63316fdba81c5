"""What an outbox writes: runs of accepted messages, the endings of some, and how far everything has ended.

A run of messages that were accepted together is one *segment*: one row, one statement, one checksum, however many
they are. A message is never changed there; that it is to be skipped is noted beside it. Deadlines are kept by the
wall clock, since a process that comes back has another monotonic one.
"""

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import msgspec

SEGMENT_BYTES_MAX: Final = 256 << 20
"""Larger bodies are never written; one that claims to be is damaged."""


class Segment(msgspec.Struct, frozen=True):
    """Messages with consecutive sequences on one channel."""

    channel: int
    first: int
    """The sequence of the first message."""
    count: int
    body: bytes
    """The messages, packed by `pack`."""

    @property
    def last(self) -> int:
        """The sequence of the last message."""
        return self.first + self.count - 1

    @property
    def checksum(self) -> int:
        """What tells a damaged body from a whole one."""
        return crc32(self.body, self.first & 0xFFFFFFFF)


class OutboxWrite(msgspec.Struct):
    """One write of an outbox: all of it or nothing."""

    segments: list[Segment] = []
    """Messages accepted since the last write."""
    ended: set[tuple[int, int]] = set()
    """Channel and sequence of messages that will never be sent (again)."""
    bases: dict[int, int] = {}
    """Per channel, through which sequence everything has ended and can be deleted."""
    peer_memory: int = 0
    """The token of the receiver's memory that messages go to from now on; 0 leaves it."""
    keep_through: dict[int, int] = {}
    """Per channel, behind which sequence the store has to drop what it may have written before it failed."""


class Past(msgspec.Struct):
    """What an outbox had to say when its process ended."""

    name: str
    """Who it sends as."""
    epoch: int
    """The incarnation that its sequences belong to."""
    peer_memory: int = 0
    """The receiver's memory that they were meant for; 0 when none was met yet."""
    channels: "dict[int, ChannelPast]" = {}


class ChannelPast(msgspec.Struct):
    """One channel of it."""

    base: int = 0
    """Through which sequence everything had ended."""
    messages: "list[PastMessage]" = []
    """Everything behind that, in order, without gaps."""


class PastMessage(msgspec.Struct):
    """A message that may or may not have been sent."""

    payload: bytes
    deadline: float
    """By the wall clock, in seconds since 1970."""
    accepted_at: float
    """By the wall clock."""
    ended: bool = False
    """Whether it was given up: its sequence is to be skipped."""


def pack(
    wall_offset_s: float, accepted_at: float, deadlines: Sequence[float], payloads: Sequence[bytes | None]
) -> bytes:
    """Return the body of a segment.

    Args:
        wall_offset_s: what to add to the times for those of the wall clock.
        accepted_at: when the oldest was accepted.
        deadlines: of each message.
        payloads: of each message; None for one that ended before it was written.
    """
    return msgspec.msgpack.encode((wall_offset_s, accepted_at, deadlines, payloads))


class Body(msgspec.Struct, array_like=True, frozen=True):
    """An unpacked body."""

    wall_offset_s: float
    accepted_at: float
    deadlines: list[float]
    payloads: list[bytes | None]


def unpack(segment: Segment, checksum: int) -> list[PastMessage]:
    """Return the messages of a segment.

    Raises:
        ValueError: when the body is not what was written.
    """
    if segment.checksum != checksum:
        raise ValueError(f"the messages from {segment.first} on fail their checksum")
    try:
        body = msgspec.msgpack.decode(segment.body, type=Body)
    except msgspec.DecodeError as error:
        raise ValueError(f"the messages from {segment.first} on can't be read: {error}") from error
    if not len(body.deadlines) == len(body.payloads) == segment.count:
        raise ValueError(f"the messages from {segment.first} on are {len(body.payloads)}, not {segment.count}")
    return [
        PastMessage(
            payload or b"",
            deadline + body.wall_offset_s,
            body.accepted_at + body.wall_offset_s,
            ended=payload is None,
        )
        for deadline, payload in zip(body.deadlines, body.payloads, strict=True)
    ]

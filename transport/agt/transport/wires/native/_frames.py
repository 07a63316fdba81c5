"""Frames of the native wire: 28 bytes of header, a payload, and a checksum over both.

Pure functions and one incremental parser. A frame that is cut off, damaged or larger than the limit is never
interpreted; the parser says whose fault it is (`FrameDamaged` is the network's, `PeerViolation` the peer's) and the
link drops the connection. Nothing is allocated by a length that the peer only announced.
"""

import enum
import struct
from collections.abc import Iterator
from typing import Final
from zlib import crc32

from agt.transport._errors import PeerViolation, TransportError

HEADER: Final = struct.Struct("!IIBBHQQ")
"""Payload length, checksum, type, flags, channel, sequence, acknowledged through."""
HEADER_SIZE: Final = HEADER.size
HELLO_LIMIT: Final = 1024
"""Largest frame, header included, before the peer's half of the handshake is accepted."""

_HEAD: Final = struct.Struct("!II")
_TAIL: Final = struct.Struct("!BBHQQ")
_CHECKED_FROM: Final = _HEAD.size
"""The checksum covers everything from here to the end of the frame; it starts from the payload length."""


class FrameType(enum.IntEnum):
    """What a frame is for; the numbers are the wire's."""

    HELLO = 1
    WELCOME = 2
    DATA = 3
    ACK = 4
    SKIP = 5
    PING = 6
    PONG = 7
    GO_AWAY = 8


_TYPES: Final = frozenset(map(int, FrameType))

Frame = tuple[int, int, int, bytes]
"""Type, sequence, acknowledged through, payload."""


class FrameDamaged(TransportError):
    """Raised when a frame fails its checksum; what follows it can't be trusted either."""


def encode_frame(kind: int, sequence: int = 0, ack: int = 0, payload: bytes = b"") -> bytes:
    """Return one frame."""
    tail = _TAIL.pack(kind, 0, 0, sequence, ack)
    length = len(payload)
    return _HEAD.pack(length, crc32(payload, crc32(tail, length))) + tail + payload


class FrameParser:
    """Cuts bytes that come in any pieces into frames, under a limit."""

    __slots__ = ("_held", "_needed", "_parts", "limit")

    def __init__(self, limit: int = HELLO_LIMIT) -> None:
        """Start with nothing read.

        Args:
            limit: largest frame, header included, in bytes; may be raised while frames are taken out.
        """
        self.limit = limit
        self._parts: list[bytes] = []
        self._held = 0
        self._needed = HEADER_SIZE

    @property
    def held(self) -> int:
        """Bytes of the unfinished frame, never more than the limit plus one chunk."""
        return self._held

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes and yield the frames that are whole now, each checked.

        Raises:
            FrameDamaged: when a checksum fails.
            PeerViolation: when a frame is of no known type, too large, or uses what is reserved.
        """
        if self._parts:
            # Joined only once the frame can be whole: a peer that drips bytes must not make us copy for each.
            self._parts.append(data)
            self._held += len(data)
            if self._held < self._needed:
                return
            data = b"".join(self._parts)
            self._parts.clear()
            self._held = 0
        position, size = 0, len(data)
        while size - position >= HEADER_SIZE:
            length, checksum, kind, flags, channel, sequence, ack = HEADER.unpack_from(data, position)
            end = position + HEADER_SIZE + length
            if end - position > self.limit:
                raise PeerViolation(f"frame of {end - position} bytes, the limit is {self.limit}")
            if end > size:
                self._hold(data[position:], end - position)
                return
            if crc32(data[position + _CHECKED_FROM : end], length) != checksum:
                raise FrameDamaged("a frame failed its checksum")
            if kind not in _TYPES or flags or channel:
                raise PeerViolation(f"frame of type {kind}, flags {flags}, channel {channel}")
            yield kind, sequence, ack, data[position + HEADER_SIZE : end]
            position = end
        if position < size:
            self._hold(data[position:], HEADER_SIZE)

    def _hold(self, rest: bytes, needed: int) -> None:
        self._parts.append(rest)
        self._held = len(rest)
        self._needed = needed

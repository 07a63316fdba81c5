"""Frames of the native wire: 28 bytes of header, a payload, and a checksum over both.

A run of messages goes as one BATCH: their count, their lengths, their bodies, under one header and one checksum; a
single one goes as DATA. What is written again may be cut into other batches than before.

Pure functions and one incremental parser. A frame that is cut off, damaged or larger than the limit is never
interpreted; the parser says whose fault it is (`FrameDamaged` is the network's, `PeerViolation` the peer's) and the
link drops the connection. Nothing is allocated by a length that the peer only announced.
"""

import enum
import struct
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Final
from zlib import crc32

from agt.transport._errors import PeerViolation, TransportError

HEADER: Final = struct.Struct("!IIBBHQQ")
"""Payload length, checksum, type, flags, channel, sequence, acknowledged through."""
HEADER_SIZE: Final = HEADER.size
HELLO_LIMIT: Final = 1024
"""Largest frame, header included, before the peer's half of the handshake is accepted."""
BATCH_COUNT: Final = 1024
"""Most messages of one batch that we write; the frame limit bounds what we take."""
BATCH_TAKEN_MAX: Final = 16384
"""Most messages of one batch that we take: the largest window there is."""
BATCH_BYTES: Final = 1 << 16
"""About the most bytes of one batch that we write: a damaged frame costs no more than this, an early one waits no
longer."""
SMALL: Final = 4096
"""Below this many bytes, copying a payload costs less than a call."""
BATCH_OVERHEAD: Final = 4
"""Bytes that a batch has beside each body, and once for its count."""

_HEAD: Final = struct.Struct("!II")
_TAIL: Final = struct.Struct("!BBHQQ")
_unpack: Final = HEADER.unpack_from
_COUNT: Final = struct.Struct("!I")
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
    BATCH = 9
    DRAIN = 10
    PROBE = 11
    PROBED = 12


_TYPES: Final = frozenset(map(int, FrameType))
_DATA: Final = int(FrameType.DATA)
_BATCH: Final = int(FrameType.BATCH)

Frame = tuple[int, int, int, int, bytes]
"""Type, channel, sequence, acknowledged through, payload."""


class FrameDamaged(TransportError):
    """Raised when a frame fails its checksum; what follows it can't be trusted either."""


def encode_frame(kind: int, sequence: int = 0, ack: int = 0, payload: bytes = b"", *, channel: int = 0) -> bytes:
    """Return one frame."""
    length = len(payload)
    if length < SMALL:  # One call over a copy is cheaper than two.
        body = _TAIL.pack(kind, 0, channel, sequence, ack) + payload
        return _HEAD.pack(length, crc32(body, length)) + body
    tail = _TAIL.pack(kind, 0, channel, sequence, ack)
    return _HEAD.pack(length, crc32(payload, crc32(tail, length))) + tail + payload


def append_messages(
    parts: list[bytes], first: int, ack: int, payloads: list[bytes], channel: int, limit: int
) -> tuple[int, int]:
    """Append one frame with the messages from `first` on, as many as fit.

    Args:
        parts: where it goes, in one or two pieces.
        first: the sequence of the first one.
        ack: what the frame acknowledges.
        payloads: the messages; shortened to those that went in, which is at least one.
        channel: which channel they belong to.
        limit: most bytes behind the frame's header, for more than one message.

    Returns:
        How many went in, and how many bytes that took.
    """
    count = len(payloads)
    if count == 1:
        parts.append(encode_frame(_DATA, first, ack, payloads[0], channel=channel))
        return 1, len(parts[-1])
    lengths = list(map(len, payloads))
    if sum(lengths) + BATCH_OVERHEAD * (count + 1) > limit:
        sizes = list(accumulate(map(BATCH_OVERHEAD.__add__, lengths)))
        count = max(1, bisect_right(sizes, limit - BATCH_OVERHEAD))
        del payloads[count:], lengths[count:]
        if count == 1:
            return append_messages(parts, first, ack, payloads, channel, limit)
    body = b"".join((_lengths_of(count + 1).pack(count, *lengths), *payloads))
    tail = _TAIL.pack(_BATCH, 0, channel, first, ack)
    length = len(body)
    parts += (_HEAD.pack(length, crc32(body, crc32(tail, length))) + tail, body)
    return count, HEADER_SIZE + length


def decode_batch(payload: bytes) -> tuple[list[bytes], tuple[int, ...]]:
    """Return the messages of a batch, at least one, and their lengths.

    Raises:
        PeerViolation: when its count and lengths are not those of its bodies.
    """
    size = len(payload)
    count = _COUNT.unpack_from(payload)[0] if size >= _COUNT.size else 0
    position = BATCH_OVERHEAD * (count + 1)
    if not 0 < count <= BATCH_TAKEN_MAX or position > size:
        raise PeerViolation(f"a batch of {count} messages in {size} bytes", payload)
    lengths = _lengths_of(count).unpack_from(payload, _COUNT.size)
    if position + sum(lengths) != size:
        raise PeerViolation(f"a batch whose lengths add up to {position + sum(lengths)} of {size} bytes", payload)
    length = lengths[0]
    if count <= BATCH_COUNT and lengths.count(length) == count:
        # Equal lengths, as they often are, can be cut by one call for all of them.
        return list(_bodies_of(length, count).unpack_from(payload, position)), lengths
    bodies = []
    for length in lengths:
        end = position + length
        bodies.append(payload[position:end])
        position = end
    return bodies, lengths


@lru_cache(maxsize=256)
def _lengths_of(count: int) -> struct.Struct:
    return struct.Struct(f"!{count}I")


@lru_cache(maxsize=128)
def _bodies_of(length: int, count: int) -> struct.Struct:
    return struct.Struct(f"{length}s" * count)


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
        while (body := position + HEADER_SIZE) <= size:
            length, checksum, kind, flags, channel, sequence, ack = _unpack(data, position)
            end = body + length
            if end - position > self.limit:
                raise PeerViolation(f"frame of {end - position} bytes, the limit is {self.limit}")
            if end > size:
                self._hold(data[position:], end - position)
                return
            if crc32(data[position + _CHECKED_FROM : end], length) != checksum:
                raise FrameDamaged("a frame failed its checksum")
            if flags or kind not in _TYPES:
                raise PeerViolation(f"frame of type {kind}, flags {flags}")
            yield kind, channel, sequence, ack, data[body:end]
            position = end
        if position < size:
            self._hold(data[position:], HEADER_SIZE)

    def _hold(self, rest: bytes, needed: int) -> None:
        self._parts.append(rest)
        self._held = len(rest)
        self._needed = needed

"""Records: what one flush wrote, under a tag that only the two ends can make, in the order in which it was written.

A record is its length, a tag and the bytes. The tag is keyed BLAKE2b over the record's number, its length and its
bytes, with another key for each direction. The number is not sent: both ends count. So a record that was changed,
left out, repeated, moved or played back from elsewhere has the wrong tag. Nothing is hidden: the bytes are as they
were. One tag a flush is cheap, whatever the number of messages in it.
"""

import hmac
import struct
from hashlib import blake2b
from typing import Final

from agt.transport._errors import PeerViolation, TransportError

TAG_SIZE: Final = 16
RECORD_BYTES_MAX: Final = 16384
"""Most bytes under one tag; more are cut into several records, so that little has to be held to be checked."""

_LENGTH: Final = struct.Struct("!I")
_COUNTED: Final = struct.Struct("!QI")
"""The record's number and its length, the first that the tag covers."""
RECORD_HEADER_SIZE: Final = _LENGTH.size + TAG_SIZE


class WrongTag(TransportError):
    """Raised when a record is not the next one that the peer wrote: damaged by the network, or changed on the way."""


class RecordWriter:
    """Puts bytes under tags."""

    __slots__ = ("_count", "_start")

    def __init__(self, key: bytes) -> None:
        """Begin with the first record of a connection."""
        self._start = blake2b(key=key, digest_size=TAG_SIZE)  # Copied for each tag, so that the key is set up once.
        self._count = 0

    def seal(self, data: bytes) -> bytes:
        """Return the record, or records, for what one flush wrote; nothing for nothing."""
        size = len(data)
        if 0 < size <= RECORD_BYTES_MAX:
            return self._record(data, size)
        view = memoryview(data)
        pieces = (view[at : at + RECORD_BYTES_MAX] for at in range(0, size, RECORD_BYTES_MAX))
        return b"".join(self._record(piece, len(piece)) for piece in pieces)

    def _record(self, data: bytes | memoryview, size: int) -> bytes:
        tag = self._start.copy()
        tag.update(_COUNTED.pack(self._count, size))
        tag.update(data)
        self._count += 1
        return b"".join((_LENGTH.pack(size), tag.digest(), data))


class RecordReader:
    """Gives back what was put under tags, once each tag was found right."""

    __slots__ = ("_count", "_held", "_needed", "_parts", "_start")

    def __init__(self, key: bytes) -> None:
        """Begin with the first record of a connection."""
        self._start = blake2b(key=key, digest_size=TAG_SIZE)
        self._count = 0
        self._parts: list[bytes] = []
        self._held = 0
        self._needed = RECORD_HEADER_SIZE

    @property
    def held(self) -> int:
        """Bytes of an unfinished record, at most a record and one chunk."""
        return self._held

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes cut anywhere and return what the records that are whole now hold.

        Raises:
            WrongTag: when a record is not the next one that the peer wrote.
            PeerViolation: when a record announces no bytes, or more than may be under one tag.
        """
        if self._parts:
            # Joined only once the record can be whole: a peer that drips bytes must not make us copy for each.
            self._parts.append(data)
            self._held += len(data)
            if self._held < self._needed:
                return b""
            data = b"".join(self._parts)
            self._parts.clear()
            self._held = 0
        opened: list[bytes] = []
        position, size = 0, len(data)
        while True:
            needed = RECORD_HEADER_SIZE
            if size - position >= RECORD_HEADER_SIZE:
                (length,) = _LENGTH.unpack_from(data, position)
                if not 0 < length <= RECORD_BYTES_MAX:
                    raise PeerViolation(f"a record of {length} bytes, they have 1 to {RECORD_BYTES_MAX}")
                needed += length
            if size - position < needed or needed == RECORD_HEADER_SIZE:
                break
            opened.append(self._open(data[position : position + needed], needed - RECORD_HEADER_SIZE))
            position += needed
        if position < size:
            self._parts.append(data[position:])
            self._held, self._needed = size - position, needed
        return b"".join(opened)

    def _open(self, record: bytes, size: int) -> bytes:
        body = record[RECORD_HEADER_SIZE:]
        tag = self._start.copy()
        tag.update(_COUNTED.pack(self._count, size))
        tag.update(body)
        if not hmac.compare_digest(tag.digest(), record[_LENGTH.size : RECORD_HEADER_SIZE]):
            raise WrongTag("a record failed its tag: damaged on the way, or changed by somebody in between")
        self._count += 1
        return body

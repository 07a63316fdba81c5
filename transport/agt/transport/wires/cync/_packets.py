"""From bytes to packets: an incremental parser that never loses count and never stops at nonsense.

Bytes that are no packet become one `Malformed` per run, with its offset in the stream, and parsing goes on at the
next place where a packet can start. What to make of them is the caller's: a replay names them, a live link drops
the peer after a bounded amount. Memory is bounded by one packet (4,096 bytes), whatever comes; of a malformed run
only the length and its first bytes are kept. How the bytes are cut into reads changes nothing but the time.
"""

from dataclasses import dataclass

from agt.transport._errors import UsageError
from agt.transport.wires.cync._types import HEADER_SIZE, TYPES

MAX_SHOWN_BYTES = 16
"""How many bytes of a malformed run are kept, for people to look at."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One whole packet, as it came or will go."""

    data: bytes

    @property
    def type(self) -> int:
        """The packet's type code."""
        return self.data[0]

    @property
    def body(self) -> bytes:
        """Everything after the header."""
        return self.data[HEADER_SIZE:]

    @property
    def endpoint(self) -> bytes | None:
        """The 4 bytes that name the device; None where this type carries none."""
        at = TYPES[self.data[0]].endpoint_at
        return None if at is None else self.data[at : at + 4]

    @property
    def message_id(self) -> int | None:
        """The id that an answer repeats; None where this type carries none that tells messages apart."""
        at = TYPES[self.data[0]].id_at
        return None if at is None else int.from_bytes(self.data[at : at + 2], "big")

    @property
    def key(self) -> tuple[int, int | None]:
        """Type and id: what an answer is matched by."""
        return self.data[0], self.message_id

    @property
    def answer_key(self) -> tuple[int, int | None] | None:
        """Type and id of the packet that answers this one; None for what nobody answers."""
        answered_by = TYPES[self.data[0]].answered_by
        if answered_by is None:
            return None
        return answered_by, (None if TYPES[answered_by].id_at is None else self.message_id)


@dataclass(frozen=True, slots=True)
class Malformed:
    """A run of bytes that are no packet."""

    offset: int
    """Where the run begins, in bytes from the start of the stream."""
    length: int
    head: bytes
    """The first bytes of the run, at most `MAX_SHOWN_BYTES`."""


class PacketParser:
    """Takes bytes cut anywhere; gives packets and malformed runs in order."""

    __slots__ = ("_buffer", "_offset", "_run_head", "_run_length", "_run_offset")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0
        """Stream offset of the buffer's first byte."""
        self._run_offset = 0
        self._run_length = 0
        self._run_head = b""

    @property
    def pending(self) -> int:
        """Bytes that may yet become a packet."""
        return len(self._buffer)

    @property
    def malformed_run(self) -> int:
        """Length so far of a malformed run that has not ended yet."""
        return self._run_length

    def feed(self, data: bytes) -> list[Packet | Malformed]:
        """Take bytes and return what they complete, in order."""
        self._buffer += data
        found: list[Packet | Malformed] = []
        at = 0
        while True:
            size = packet_size(self._buffer, at)
            if size is None:
                self._extend_run(at)
                at += 1
            elif size == 0 or at + size > len(self._buffer):
                break
            else:
                self._end_run(found)
                found.append(Packet(bytes(self._buffer[at : at + size])))
                at += size
        del self._buffer[:at]
        self._offset += at
        return found

    def finish(self) -> list[Malformed]:
        """End the stream: what was left half-read is malformed. The parser can be used again from offset 0."""
        found: list[Packet | Malformed] = []
        for at in range(len(self._buffer)):
            self._extend_run(at)
        self._end_run(found)
        self._buffer.clear()
        self._offset = 0
        return [item for item in found if isinstance(item, Malformed)]

    def _extend_run(self, at: int) -> None:
        if self._run_length == 0:
            self._run_offset = self._offset + at
        if self._run_length < MAX_SHOWN_BYTES:
            self._run_head += self._buffer[at : at + 1]
        self._run_length += 1

    def _end_run(self, found: list[Packet | Malformed]) -> None:
        if self._run_length:
            found.append(Malformed(self._run_offset, self._run_length, self._run_head))
            self._run_length, self._run_head = 0, b""


def packet_size(buffer: bytes | bytearray, at: int = 0) -> int | None:
    """Return how long the packet at this place is, in bytes.

    Returns:
        The whole size, which may be more than the buffer holds; 0 when too few bytes are there to tell; None when
        no packet can start here.
    """
    have = len(buffer) - at
    if have <= 0:
        return 0
    row = TYPES.get(buffer[at])
    if row is None or (have > 1 and buffer[at + 1]) or (have > 2 and buffer[at + 2]):
        return None
    if have < HEADER_SIZE:
        return 0
    body = (buffer[at + 3] << 8) | buffer[at + 4]
    return HEADER_SIZE + body if row.min_body <= body <= row.max_body else None


def one_packet(data: bytes) -> Packet:
    """Read bytes that must be exactly one packet.

    Raises:
        UsageError: when they are anything else.
    """
    if not data or packet_size(data) != len(data):
        raise UsageError(f"a message on the cync wire is exactly one packet, not {data[:16].hex(' ') or 'nothing'}")
    return Packet(bytes(data))

"""The frame inside 0x73 and 0x83: what is between the two 0x7E bytes, its counter and its checksum.

0x7E also occurs inside endpoints and values, so both markers are found by position: the first where the type puts
it, the last at the end of the packet.
"""

from dataclasses import dataclass
from typing import Final

from agt.transport.wires.cync._packets import Packet
from agt.transport.wires.cync._types import DATA, STATUS

MARKER: Final = 0x7E
FIRST_MARKER_AT: Final = {DATA: 13, STATUS: 12}
"""Where the first marker stands; some 0x83 have none."""
_CHECKED_FROM: Final = 6
"""The checksum starts this many bytes after the first marker."""
_SHORTEST: Final = 8
"""First marker, six bytes, checksum and last marker can't be told apart in less."""


@dataclass(frozen=True, slots=True)
class InnerFrame:
    """The inner frame of one packet."""

    content: bytes
    """What stands between the first marker and the checksum."""
    checksum: int
    """The checksum that the packet carries."""
    valid: bool
    """Whether it agrees with the bytes."""

    @property
    def counter(self) -> int:
        """The 4-byte counter right after the first marker: a command's own number."""
        return int.from_bytes(self.content[:4], "little")


def checksum(packet: bytes, first_marker_at: int) -> int:
    """Sum the bytes from six after the first marker up to the checksum itself, modulo 256."""
    return sum(packet[first_marker_at + _CHECKED_FROM : -2]) % 256


def inner_frame(packet: Packet) -> InnerFrame | None:
    """Read the frame inside a packet; None where the type has none or this packet's has no first marker."""
    at = FIRST_MARKER_AT.get(packet.type)
    data = packet.data
    if at is None or len(data) < at + _SHORTEST or data[at] != MARKER or data[-1] != MARKER:
        return None
    return InnerFrame(data[at + 1 : -2], data[-2], valid=data[-2] == checksum(data, at))

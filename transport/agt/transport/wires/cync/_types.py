"""What kinds of packet this wire has: who answers what, and where the endpoint and the message id stand.

All of it was read off a capture of unmodified devices. Positions count from the first byte of the packet. The
limits on a body's length are wide enough for firmware we haven't seen and narrow enough that bytes which are no
packet seldom look like one.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

HEADER_SIZE: Final = 5
MAX_PACKET_SIZE: Final = 4096
"""No packet is longer; the longest that was ever seen has 145 bytes."""
MAX_BODY_SIZE: Final = MAX_PACKET_SIZE - HEADER_SIZE
_MAX_ANSWER_BODY: Final = 64

HELLO: Final = 0x23
HELLO_ACK: Final = 0x28
INFO: Final = 0x43
INFO_ACK: Final = 0x48
DATA: Final = 0x73
DATA_ACK: Final = 0x7B
DATA_ACK_ACK: Final = 0x78
STATUS: Final = 0x83
STATUS_ACK: Final = 0x88
TIME: Final = 0xC3
TIME_ACK: Final = 0xC8
HEARTBEAT: Final = 0xD3
HEARTBEAT_ACK: Final = 0xD8


@dataclass(frozen=True, slots=True)
class PacketType:
    """One row of the table."""

    code: int
    name: str
    min_body: int
    """Fewest bytes after the header."""
    max_body: int = MAX_BODY_SIZE
    """Most bytes after the header."""
    answered_by: int | None = None
    """The type that answers this one; None for what is itself a last word."""
    endpoint_at: int | None = None
    """Where the sender's 4 endpoint bytes stand; None when it carries none."""
    id_at: int | None = None
    """Where the 2 bytes of the message id stand (big endian); None when it carries none that tells apart."""
    is_request: bool = False
    """Whether it is a message of its own, rather than an answer to one."""
    recognised: bool = False
    """Whether a resend of it can be told from a repeat on purpose, so that a receiver may drop it."""


TYPES: Final = MappingProxyType(
    {
        row.code: row
        for row in (
            PacketType(HELLO, "hello", 6, 256, HELLO_ACK, endpoint_at=6, is_request=True),
            PacketType(HELLO_ACK, "hello ack", 0, _MAX_ANSWER_BODY),
            # Every 0x43 has 0x0101 where the id would stand, and its answer repeats that: it tells nothing apart.
            PacketType(INFO, "device info", 7, answered_by=INFO_ACK, endpoint_at=5, is_request=True),
            PacketType(INFO_ACK, "device info ack", 0, _MAX_ANSWER_BODY),
            PacketType(DATA, "data", 7, answered_by=DATA_ACK, endpoint_at=5, id_at=9, is_request=True, recognised=True),
            PacketType(DATA_ACK, "data ack", 6, _MAX_ANSWER_BODY, DATA_ACK_ACK, endpoint_at=5, id_at=9),
            PacketType(DATA_ACK_ACK, "data ack ack", 6, _MAX_ANSWER_BODY, endpoint_at=5, id_at=9),
            PacketType(
                STATUS, "status", 7, answered_by=STATUS_ACK, endpoint_at=5, id_at=9, is_request=True, recognised=True
            ),
            PacketType(STATUS_ACK, "status ack", 2, _MAX_ANSWER_BODY, id_at=5),
            PacketType(TIME, "time request", 0, _MAX_ANSWER_BODY, TIME_ACK, is_request=True),
            PacketType(TIME_ACK, "time answer", 0, _MAX_ANSWER_BODY),
            PacketType(HEARTBEAT, "heartbeat", 0, 0, HEARTBEAT_ACK, is_request=True),
            PacketType(HEARTBEAT_ACK, "heartbeat ack", 0, 0),
        )
    }
)
"""Every type by its code; a first byte that is not in here starts no packet."""

FROM_DEVICE: Final = frozenset({HELLO, INFO, DATA, STATUS, TIME, HEARTBEAT})
"""Requests that a device makes of its controller."""
FROM_CONTROLLER: Final = frozenset({DATA})
"""Requests that a controller makes of a device: its commands."""

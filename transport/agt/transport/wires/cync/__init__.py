"""The wire of unmodified cync devices: their packets, and a link that makes their own acks reliable."""

from agt.transport.wires.cync._build import (
    UNKNOWN_TIME,
    answer,
    heartbeat,
    hello,
    packet,
    power_command,
    status,
    time_body,
    time_request,
)
from agt.transport.wires.cync._config import CyncConfig
from agt.transport.wires.cync._inner import InnerFrame, inner_frame
from agt.transport.wires.cync._link import TRAITS, CyncLink, Role
from agt.transport.wires.cync._packets import Malformed, Packet, PacketParser, one_packet, packet_size
from agt.transport.wires.cync._types import (
    DATA,
    FROM_CONTROLLER,
    FROM_DEVICE,
    HEARTBEAT,
    HELLO,
    INFO,
    MAX_PACKET_SIZE,
    STATUS,
    TIME,
    TIME_ACK,
    TYPES,
    PacketType,
)

__all__ = (
    "DATA",
    "FROM_CONTROLLER",
    "FROM_DEVICE",
    "HEARTBEAT",
    "HELLO",
    "INFO",
    "MAX_PACKET_SIZE",
    "STATUS",
    "TIME",
    "TIME_ACK",
    "TRAITS",
    "TYPES",
    "UNKNOWN_TIME",
    "CyncConfig",
    "CyncLink",
    "InnerFrame",
    "Malformed",
    "Packet",
    "PacketParser",
    "PacketType",
    "Role",
    "answer",
    "heartbeat",
    "hello",
    "inner_frame",
    "one_packet",
    "packet",
    "packet_size",
    "power_command",
    "status",
    "time_body",
    "time_request",
)

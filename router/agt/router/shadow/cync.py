"""The cync wire's reads and writes, and what stands in its replies; needs nothing that the wire doesn't.

Of what a controller says to a device only two kinds are known to act on nothing: the bare acknowledgements that end
an exchange, and the question of the mesh for its state. Everything else, above all what has an inner command that
nobody has named here, is a write. An answer with the time of day sets a clock, so it is one as well.
"""

from collections.abc import Mapping
from typing import Final

from agt.router._path import Message
from agt.router.shadow._classify import Act
from agt.transport import UsageError
from agt.transport.wires.cync import DATA, TYPES, InnerFrame, Packet, inner_frame, one_packet

__all__ = ("ACKNOWLEDGEMENTS", "READ_COMMANDS", "classify", "reply_fields")

ACKNOWLEDGEMENTS: Final = frozenset({0x48, 0x78, 0x88, 0xD8})
"""Packets that only end an exchange: of device info, data, status and heartbeat."""
READ_COMMANDS: Final = frozenset({0x52})
"""Inner commands that only ask: 0x52 asks for the state of the mesh, as public notes on the protocol have it."""
_COMMAND_LEAD: Final = 0xF8
_COMMAND_AT: Final = 4
"""The command stands behind the 4-byte counter: 0xF8 and its code."""


def classify(message: Message) -> Act | None:
    """Say whether a cync packet acts; None for what is no cync packet."""
    packet = _packet(message.payload)
    if packet is None:
        return None
    if packet.type in ACKNOWLEDGEMENTS:
        return Act.READ
    command = _command(inner_frame(packet)) if packet.type == DATA else None
    return Act.READ if command in READ_COMMANDS else Act.WRITE


def reply_fields(_: Message, reply: bytes) -> Mapping[str, object]:
    """Decode a reply; the message id and the endpoint are left out, since they name the exchange and not its result."""
    packet = _packet(reply)
    if packet is None:
        return {"undecodable": reply.hex(" ")}
    fields: dict[str, object] = {"type": TYPES[packet.type].name}
    inner = inner_frame(packet)
    if inner is not None:
        fields["checksum_valid"] = inner.valid
        fields["command"] = inner.content[_COMMAND_AT : _COMMAND_AT + 2].hex()
        fields["content"] = inner.content[_COMMAND_AT + 2 :].hex(" ")
    else:
        id_at = TYPES[packet.type].id_at
        fields["rest"] = packet.data[5 if id_at is None else id_at + 2 :].hex(" ")
    return fields


def _packet(data: bytes) -> Packet | None:
    try:
        return one_packet(data)
    except UsageError:
        return None


def _command(inner: InnerFrame | None) -> int | None:
    """Return the code of an inner command; None where there is none, or its checksum is wrong."""
    if inner is None or not inner.valid or len(inner.content) <= _COMMAND_AT + 1:
        return None
    return inner.content[_COMMAND_AT + 1] if inner.content[_COMMAND_AT] == _COMMAND_LEAD else None

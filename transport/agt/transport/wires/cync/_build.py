"""Packets made from facts: commands, requests and the answers that the protocol asks for.

An answer to one device goes by that device's packet alone; the only thing an answer needs from outside is the time
of day.
"""

import datetime
from collections.abc import Callable
from typing import Final

from agt.transport._errors import UsageError
from agt.transport.wires.cync._inner import FIRST_MARKER_AT, MARKER, checksum
from agt.transport.wires.cync._packets import Packet
from agt.transport.wires.cync._types import (
    DATA,
    DATA_ACK,
    DATA_ACK_ACK,
    HEARTBEAT,
    HEARTBEAT_ACK,
    HELLO,
    HELLO_ACK,
    INFO,
    INFO_ACK,
    MAX_BODY_SIZE,
    STATUS,
    STATUS_ACK,
    TIME,
    TIME_ACK,
)

UNKNOWN_TIME: Final = bytes.fromhex("0d 07 d0 01 01 07 00 00 00 00 00")
"""2000-01-01 00:00:00 UTC (a Saturday): answered where no clock was given, since a device waits for some answer."""
_SET_POWER: Final = bytes.fromhex("f8 8e 0c 00")
_POWER: Final = bytes.fromhex("00 f7 11 02")


def packet(type_code: int, body: bytes = b"") -> Packet:
    """Put a header before a body.

    Raises:
        UsageError: when the body is over the wire's limit.
    """
    if len(body) > MAX_BODY_SIZE:
        raise UsageError(f"a cync packet carries at most {MAX_BODY_SIZE} bytes, not {len(body)}")
    return Packet(bytes((type_code, 0, 0)) + len(body).to_bytes(2, "big") + body)


def hello(endpoint: bytes, auth_code: bytes = b"0000000000000000") -> Packet:
    """Say who the device is: its 4-byte endpoint and its authorisation code."""
    return packet(HELLO, b"\x03" + endpoint + len(auth_code).to_bytes(2, "big") + auth_code + b"\x00\x00\x3c")


def heartbeat() -> Packet:
    """Say that the device is alive: five bytes, always the same."""
    return packet(HEARTBEAT)


def time_request() -> Packet:
    """Ask the controller for the time of day."""
    return packet(TIME, b"\x0c")


def power_command(endpoint: bytes, target: int, *, on: bool, number: int, message_id: int | None = None) -> Packet:
    """Build a command that sets a device's power state; it says "on" or "off", never "toggle".

    Args:
        endpoint: the 4 bytes of the device that the command travels through.
        target: the device in the mesh that is to act (0 to 255).
        on: the state to set.
        number: the command's own number, 4 bytes, carried twice in the inner frame.
        message_id: what the answer repeats; `number & 0xffff` unless given.
    """
    counter = (number & 0xFFFFFFFF).to_bytes(4, "little")
    identifier = (number if message_id is None else message_id) & 0xFFFF
    inner = counter + _SET_POWER + counter + bytes((0, target & 0xFF)) + _POWER + bytes((on, 1))
    return _framed(DATA, endpoint + identifier.to_bytes(2, "big") + b"\x00\x00", inner)


def status(endpoint: bytes, content: bytes, *, message_id: int) -> Packet:
    """Build a status broadcast around the inner content (what stands between first marker and checksum)."""
    return _framed(STATUS, endpoint + (message_id & 0xFFFF).to_bytes(2, "big") + b"\x00", content)


def _framed(type_code: int, head: bytes, inner: bytes) -> Packet:
    unchecked = packet(type_code, head + bytes((MARKER,)) + inner + bytes((0, MARKER))).data
    return Packet(unchecked[:-2] + bytes((checksum(unchecked, FIRST_MARKER_AT[type_code]), MARKER)))


def time_body(when: datetime.datetime) -> bytes:
    """Encode a time of day for a device: local time and its offset; a naive time counts as UTC.

    The weekday runs from Sunday = 1, the offset is in minutes.
    """
    offset = when.utcoffset() or datetime.timedelta()
    minutes = int(offset.total_seconds() // 60)
    weekday = when.isoweekday() % 7 + 1
    return (
        b"\x0d"
        + when.year.to_bytes(2, "big")
        + bytes((when.month, when.day, weekday, when.hour, when.minute, when.second))
        + minutes.to_bytes(2, "big", signed=True)
    )


_ANSWERS: Final[dict[int, Callable[[bytes, bytes], Packet]]] = {
    HELLO: lambda _data, _time: packet(HELLO_ACK, b"\x00\x00"),
    INFO: lambda data, _time: packet(INFO_ACK, data[9:11] + b"\x00"),
    DATA: lambda data, _time: packet(DATA_ACK, data[5:11] + b"\x00"),
    DATA_ACK: lambda data, _time: packet(DATA_ACK_ACK, data[5:11] + b"\x00"),
    STATUS: lambda data, _time: packet(STATUS_ACK, data[9:11] + b"\x00"),
    TIME: lambda _data, time: packet(TIME_ACK, time),
    HEARTBEAT: lambda _data, _time: packet(HEARTBEAT_ACK),
}


def answer(request: Packet, *, time: bytes = UNKNOWN_TIME) -> Packet | None:
    """Build the protocol's answer to a packet; None where nothing answers it.

    Args:
        request: the packet to answer.
        time: the body of a time answer, as `time_body` makes it.
    """
    build = _ANSWERS.get(request.type)
    return None if build is None else build(request.data, time)

"""An unmodified cync device on a real socket: it knows its own protocol and nothing of ours.

Written from docs/reference/facts.md, 1 and not from `agt.transport.wires.cync`, so that a mistake there shows
here. Beside answering commands it says what real ones say: heartbeats, time requests, device info and broadcasts.
"""

from random import Random

import anyio
from anyio.abc import SocketStream

from agt.chaos.demo._device import Device
from agt.chaos.demo._names import endpoint_of
from agt.chaos.demo._redial import keep_dialling
from agt.chaos.demo._replies import Replies, sending
from agt.chaos.proxy import make_splitter

HELLO, HELLO_ACK, INFO, COMMAND, COMMAND_ACK, STATUS, TIME, HEARTBEAT = 0x23, 0x28, 0x43, 0x73, 0x7B, 0x83, 0xC3, 0xD3

HEARTBEAT_S = 5.0
BACKGROUND_S = 8.0
"""Between two of time request, device info and status, on average."""

_MARKER_AT = 13
_COUNTER = slice(14, 18)
_TARGET_AT = 27
_POWER = slice(28, 32)
_SET_POWER = bytes.fromhex("00 f7 11 02")
_STATE_AT = 32
_COMMAND_SIZE = 36


def packet(kind: int, body: bytes) -> bytes:
    """Put the 5-byte header before a body."""
    return bytes((kind, 0, 0)) + len(body).to_bytes(2, "big") + body


class CyncDevice:
    """Keeps one connection to the controller and does what it says."""

    def __init__(self, device: Device, rng: Random) -> None:
        self._device, self._rng = device, rng
        self._endpoint = endpoint_of(device.id)
        self._status_id = 0

    async def run(self, port: int) -> None:
        """Stay connected until cancelled."""
        await keep_dialling(port, self._rng, self._converse)

    async def _converse(self, stream: SocketStream) -> None:
        await stream.send(packet(HELLO, b"\x03" + self._endpoint + b"\x00\x10" + bytes(16) + b"\x00\x00\x3c"))
        replies = Replies()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(replies.run)
            tasks.start_soon(self._background, replies, stream)
            splitter = make_splitter("cync")
            async for data in stream:
                for frame in splitter.feed(data):
                    self._heard(frame, replies, stream)
            tasks.cancel_scope.cancel()

    def _heard(self, frame: bytes, replies: Replies, stream: SocketStream) -> None:
        if frame[0] != COMMAND or len(frame) < _MARKER_AT + 1:
            return  # Acks of what we said: real devices only keep their counters by them.
        if len(frame) == _COMMAND_SIZE and frame[_POWER] == _SET_POWER and self._intact(frame):
            number = int.from_bytes(frame[_COUNTER], "little")
            self._device.take(number, frame[_STATE_AT], "cync", part=frame[_TARGET_AT])
            ack = packet(COMMAND_ACK, frame[5:11] + b"\x00")
            replies.after(self._device.reaction_s(), sending(stream, ack))

    @staticmethod
    def _intact(frame: bytes) -> bool:
        return sum(frame[_MARKER_AT + 6 : -2]) % 256 == frame[-2]

    async def _background(self, replies: Replies, stream: SocketStream) -> None:
        next_other = self._rng.uniform(0, BACKGROUND_S)
        await anyio.sleep(self._rng.uniform(0, HEARTBEAT_S))
        while True:
            replies.after(0.0, sending(stream, packet(HEARTBEAT, b"")))
            next_other -= HEARTBEAT_S
            if next_other <= 0:
                next_other = self._rng.uniform(0.5, 1.5) * BACKGROUND_S
                replies.after(0.0, sending(stream, self._other()))
            await anyio.sleep(HEARTBEAT_S)

    def _other(self) -> bytes:
        kind = self._rng.choice((TIME, INFO, STATUS))
        if kind == TIME:
            return packet(TIME, b"\x0c")
        if kind == INFO:
            return packet(INFO, self._endpoint + b"\x01\x01" + bytes(12))
        self._status_id = (self._status_id + 1) & 0xFFFF
        return packet(STATUS, self._endpoint + self._status_id.to_bytes(2, "big") + bytes(9))

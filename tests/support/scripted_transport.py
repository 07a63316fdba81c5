"""A transport that does what a test says: how much the socket takes, and when the loop tells what."""

import asyncio
from typing import Any


class ScriptedTransport(asyncio.Transport):
    """Collects what is written; takes `room` bytes before it asks for a pause."""

    def __init__(self, room: float = float("inf")) -> None:
        super().__init__()
        self.room = room
        self.writes: list[bytes] = []
        """What the protocol wrote, one entry a call."""
        self.stuck = b""
        """What the socket has not taken."""
        self.reading = True
        self.ended = ""
        """How the protocol ended the connection: close or abort."""
        self.protocol: Any = None

    # What the protocol calls

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes; ask for a pause when they don't fit."""
        assert not self.ended, "written after the end"
        self.writes.append(bytes(data))
        fits = min(self.room, len(data))
        self.room -= fits
        if fits < len(data):
            self.stuck += bytes(data[int(fits) :])
            self.protocol.pause_writing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Talk to another protocol from here on."""
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Pause as soon as anything is stuck, which is all that this transport knows."""
        assert high == 0

    def pause_reading(self) -> None:
        """Bring nothing."""
        self.reading = False

    def resume_reading(self) -> None:
        """Bring something again."""
        self.reading = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Know nothing of the socket: there is none."""
        return default

    def is_closing(self) -> bool:
        """Whether the protocol has ended the connection."""
        return bool(self.ended)

    def close(self) -> None:
        """End once everything stuck is gone; in this script that is now, if nothing is."""
        if not self.ended:
            self.ended = "close"
            if not self.stuck:
                asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        """End now."""
        if not self.ended:
            self.ended = "abort"
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    # What the test does

    @property
    def written(self) -> bytes:
        """Return, once, everything that was written."""
        data, self.writes = b"".join(self.writes), []
        return data

    def bring(self, data: bytes) -> None:
        """Have the loop put bytes into the protocol's buffer and say so."""
        assert self.reading, "the protocol asked for a pause"
        self.protocol.get_buffer(-1)[: len(data)] = data
        self.protocol.buffer_updated(len(data))

    def drain(self, room: float = float("inf")) -> None:
        """Have the socket take what is stuck, and `room` bytes more."""
        self.stuck, self.room = b"", room
        self.protocol.resume_writing()

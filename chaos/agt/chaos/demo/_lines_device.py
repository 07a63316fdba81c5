"""A device with a legacy line socket and a native attachment beside it: one state, one watermark over both.

The line socket is a device as it was; the native attachment is what an update of its firmware adds.
"""

from collections.abc import Awaitable, Callable
from random import Random

import anyio
from anyio.abc import SocketStream

from agt.chaos.demo._device import Device
from agt.chaos.demo._redial import RefusedInWords, keep_dialling
from agt.chaos.demo._replies import Replies, sending
from agt.chaos.proxy import make_splitter
from agt.transport import ReceivedMessage, ReliableTransport, TCPConnection

MAX_DIGITS = 20
"""Python refuses to read endless numbers; nobody counts further than this."""


def parse_command(text: bytes) -> tuple[int, int] | None:
    """Read `set <number> <value>`; None when it is something else."""
    words = text.split()
    numbers = [int(word) for word in words[1:] if word.isdigit() and len(word) <= MAX_DIGITS]
    return (numbers[0], numbers[1]) if words[:1] == [b"set"] and len(words) == 3 and len(numbers) == 2 else None


class LinesDevice:
    """Keeps both attachments up and obeys whichever speaks."""

    def __init__(self, device: Device, rng: Random) -> None:
        self._device, self._rng = device, rng

    async def run(self, lines_port: int, native_port: int) -> None:
        """Stay connected both ways until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_dialling, lines_port, self._rng, self._converse)
            tasks.start_soon(self._attach, native_port)

    async def _converse(self, stream: SocketStream) -> None:
        await stream.send(f"hello {self._device.id}{' seq' if self._device.kind == 'lines' else ''}\n".encode())
        replies = Replies()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(replies.run)
            splitter = make_splitter("lines")
            async for data in stream:
                for line in splitter.feed(data):
                    self._heard(line, replies, stream)
            tasks.cancel_scope.cancel()

    def _heard(self, line: bytes, replies: Replies, stream: SocketStream) -> None:
        if line.startswith((b"error", b"refused", b"gone")):
            raise RefusedInWords(line.decode("utf-8", "replace").strip())
        if command := parse_command(line):
            self._device.take(*command, "lines")
            replies.after(self._device.reaction_s(), sending(stream, b"ok %d\n" % command[0]))

    async def _attach(self, port: int) -> None:
        transport = ReliableTransport(connection=TCPConnection("127.0.0.1", port), name=self._device.id)
        replies = Replies()
        async with transport, anyio.create_task_group() as tasks:
            tasks.start_soon(replies.run)
            while True:
                message = await transport.recv_reliable()
                if command := parse_command(message.payload):
                    self._device.take(*command, "native")
                    replies.after(self._device.reaction_s(), _acknowledge(message))
                else:
                    message.refuse("malformed")


def _acknowledge(message: ReceivedMessage) -> Callable[[], Awaitable[None]]:
    async def acknowledge() -> None:
        message.ack()

    return acknowledge

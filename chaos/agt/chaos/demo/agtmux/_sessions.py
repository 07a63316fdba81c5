"""A daemon's attachments at the gateway: one for each session that it lists, over v4's wire or v5's."""

from collections.abc import Iterable
from functools import partial
from random import Random
from typing import Final, Literal

import anyio
from anyio.abc import SocketStream, TaskGroup

from agt.chaos.demo._files import DemoFiles, Ports
from agt.chaos.demo._lines_device import parse_command
from agt.chaos.demo._redial import keep_dialling
from agt.chaos.demo._replies import Replies, sending
from agt.chaos.demo.agtmux._hand import Hand
from agt.chaos.proxy import make_splitter
from agt.transport import ReliableTransport, TCPConnection

Wire = Literal["lines", "native"]
PORTS_LOOK_S: Final = 0.1


class Attachments:
    """Keeps a session's attachment up for as long as the session is listed."""

    def __init__(self, files: DemoFiles, hand: Hand, *, wire: Wire, rng: Random) -> None:
        self._files, self._hand, self._wire, self._rng = files, hand, wire, rng
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._attached: dict[str, float] = {}

    def attached_s(self, session: str) -> float:
        """Return for how long a session's attachment has stood, in seconds; 0 when it doesn't."""
        since = self._attached.get(session)
        return 0.0 if since is None else anyio.current_time() - since

    async def ports(self) -> Ports:
        """Wait until the gateway has said where it listens."""
        while True:
            if ports := self._files.read_ports():
                return ports
            await anyio.sleep(PORTS_LOOK_S)

    def keep(self, sessions: Iterable[str], ports: Ports, tasks: TaskGroup) -> None:
        """Attach what is new, and let go of what is listed no more."""
        wanted = set(sessions)
        for session in sorted(wanted - self._scopes.keys()):
            self._scopes[session] = anyio.CancelScope()
            tasks.start_soon(self._attach, session, self._scopes[session], ports)
        for session in sorted(self._scopes.keys() - wanted):
            self._scopes.pop(session).cancel()

    async def _attach(self, session: str, scope: anyio.CancelScope, ports: Ports) -> None:
        with scope:
            if self._wire == "lines":
                await keep_dialling(ports.lines, self._rng, partial(self._converse, session))
            else:
                await self._receive(session, ports.native)

    async def _converse(self, session: str, stream: SocketStream) -> None:
        """Take commands from a line socket and answer each when it was typed."""
        await stream.send(f"hello {session} seq\n".encode())
        replies, splitter = Replies(), make_splitter("lines")
        self._attached[session] = anyio.current_time()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(replies.run)
                async for data in stream:
                    for line in splitter.feed(data):
                        if command := parse_command(line):
                            answer = partial(replies.after, 0.0, sending(stream, b"ok %d\n" % command[0]))
                            self._hand.type(session, *command, answer)
                tasks.cancel_scope.cancel()
        finally:
            self._attached.pop(session, None)

    async def _receive(self, session: str, port: int) -> None:
        """Take commands from a native attachment and acknowledge each when it was typed."""
        async with ReliableTransport(connection=TCPConnection("127.0.0.1", port), name=session) as transport:
            self._attached[session] = anyio.current_time()
            try:
                while True:
                    message = await transport.recv_reliable()
                    if command := parse_command(message.payload):
                        self._hand.type(session, *command, message.ack)
                    else:
                        message.refuse("malformed")
            finally:
                self._attached.pop(session, None)

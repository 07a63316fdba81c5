"""A listening socket and the tasks of its connections: what every listener has in common.

One task group, one timer task, one task a connection and its pump. The number of connections is bounded: one more is
closed at once. A process out of file descriptors pauses and goes on; it doesn't fall over. Connections are accepted in
batches: when a thousand devices dial again together, one a turn of a busy event loop would take the last ones longer
than their patience. How many are then taken in each second is the connect budget's to say (`_pacing`): accepting is
cheap, and only whom we have accepted can be told when to come back.
"""

import errno
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import ByteStream, TaskGroup

from agt.transport._connections import listen_tcp, listen_unix, stream_of
from agt.transport._errors import UsageError
from agt.transport._pacing import ConnectBudget, Pacer
from agt.transport._peer import prepare_socket_directory
from agt.transport._session import Session
from agt.transport._timers import Timers, running_clock
from agt.transport.trust import Caller, Door, Refusal

logger = logging.getLogger("agt.transport")

ACCEPT_BATCH = 128
"""Most connections accepted in one turn of the event loop."""
FLUSH_S = 1.0
"""How long closing waits, for all connections together, for what is still to be written."""
SHORTAGE_PAUSE_S = 0.1
"""How long to wait before accepting again when the system has no file or memory for another connection."""
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_GONE_ALREADY = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EINTR, errno.ENOTCONN, errno.EINVAL})


class Listener(ABC):
    """Accepts connections on one TCP or Unix socket while its `async with` lasts."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str | None = None,
        max_connections: int = 10_000,
        connect_budget: ConnectBudget | None = None,
        door: Door | None = None,
    ) -> None:
        """Remember where to listen; `path` makes it a Unix socket that only our own user can use."""
        if max_connections < 1:
            raise UsageError(f"a listener needs room for at least one connection, not {max_connections}")
        self._host, self._port, self._path = host, port, path
        self._max_connections = max_connections
        self.connect_budget = connect_budget or ConnectBudget()
        """How fast callers are taken in."""
        self.door = door or Door()
        """What is asked of callers before anything is remembered of them."""
        self._pacer: Pacer | None = None
        self._served_for: Listener | None = None
        self._socket: socket.socket | None = None
        self._tasks: TaskGroup | None = None
        self.timers = Timers()
        """Keeps time for all sessions of this listener."""
        self.open_connections = 0
        """Connections being served now."""
        self.turned_away = 0
        """Connections closed at once because there were too many."""

    @property
    def port(self) -> int:
        """The TCP port, chosen by the system where 0 was asked for; 0 on a Unix socket."""
        return self._served_for.port if self._served_for is not None else self._port

    @property
    def pacer(self) -> Pacer:
        """Who keeps to the connect budget, with its counts."""
        if self._pacer is None:
            self._pacer = Pacer(self.connect_budget, now=running_clock()())
        return self._pacer

    @property
    def address(self) -> str:
        """Where it listens, in words."""
        if self._served_for is not None:
            return self._served_for.address
        return self._path or f"{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            ConnectionUnavailable: when the address is in use or can't be had.
        """
        try:
            await self.prepare()
            await self._listen()
        except BaseException:
            await self.put_away()
            raise
        assert self._socket is not None, "it listens now"
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self.timers.run)
        self._tasks.start_soon(self.tend)
        self._tasks.start_soon(self._accept, self._socket, self._tasks)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None, "left only after it was entered"
        with anyio.move_on_after(FLUSH_S, shield=True):
            for session in tuple(self.live()):
                await session.flush()  # The acknowledgements of what was processed last are worth a moment.
        self.closing()
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            if self._socket is not None:
                self._socket.close()
            if self._path is not None:
                self._remove(self._path)
            await self.put_away()

    async def prepare(self) -> None:  # noqa: B027  # Most listeners need nothing.
        """Open what has to be there before the first connection."""

    async def tend(self) -> None:  # noqa: B027  # The same.
        """Do what has to be done beside the connections, until cancelled."""

    async def put_away(self) -> None:  # noqa: B027  # The same.
        """Close what `prepare` opened; safe to call twice."""

    async def _listen(self) -> None:
        if self._path is not None:
            prepare_socket_directory(self._path)
            self._socket, self._port = listen_unix(self._path), 0
        else:
            self._socket = await listen_tcp(self._host, self._port)
            self._port = self._socket.getsockname()[1]

    @staticmethod
    def _remove(path: str) -> None:
        Path(path).unlink(missing_ok=True)

    def serve_for(self, host: "Listener") -> None:
        """Serve connections that another listener accepts: by its clock, at its address, on its budget."""
        self.timers, self.connect_budget = host.timers, host.connect_budget
        self._pacer, self._served_for = host.pacer, host

    @abstractmethod
    async def serve(self, stream: ByteStream, caller: Caller) -> None:
        """Serve one connection to its end, whoever accepted it; the caller is to be admitted when it is known."""

    @abstractmethod
    def live(self) -> Iterable[Session]:
        """Return the sessions that may have something to write."""

    @abstractmethod
    def closing(self) -> None:
        """End what outlives connections."""

    async def _server_for(self, sock: socket.socket, caller: Caller) -> "Listener | None":  # noqa: ARG002 - for others
        """Return who serves this caller; None when nobody does."""
        return self

    async def _accept(self, listening: socket.socket, tasks: TaskGroup) -> None:
        while True:
            await anyio.wait_readable(listening)
            try:
                for _ in range(ACCEPT_BATCH):
                    self._admit_or_close(listening.accept()[0], tasks)
            except BlockingIOError:
                continue  # All of them are here.
            except OSError as error:
                if error.errno in _SHORTAGES:
                    logger.warning("cannot accept a connection on %s: %s", self.address, error)
                    await anyio.sleep(SHORTAGE_PAUSE_S)
                elif error.errno not in _GONE_ALREADY:
                    raise

    def _admit_or_close(self, sock: socket.socket, tasks: TaskGroup) -> None:
        if self.open_connections >= self._max_connections:
            self.turned_away += 1
            self.door.refused[Refusal.TOO_MANY] += 1
            sock.close()
            return
        caller = self.door.open(sock)
        if caller is None:
            sock.close()
            return
        self.open_connections += 1
        tasks.start_soon(self._serve_counted, sock, caller)

    async def _serve_counted(self, sock: socket.socket, caller: Caller) -> None:
        stream: ByteStream | None = None
        try:
            with caller.scope:
                sock.settimeout(0)
                server = await self._server_for(sock, caller)
                if server is None:
                    return
                if self._path is None:
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                stream = await stream_of(sock)
                secured = await server.door.secure(stream, caller)
                if secured is not None:
                    await server.serve(secured, caller)
        except (OSError, ValueError):
            if stream is not None:
                raise
            # It hung up before we had looked at it.
        finally:
            self.open_connections -= 1
            self.door.closed(caller)
            if stream is not None:
                await anyio.aclose_forcefully(stream)
            else:
                sock.close()

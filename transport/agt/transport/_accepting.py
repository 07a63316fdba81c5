"""A listening socket and the tasks of its connections: what every listener has in common.

One task group, one timer task, one task a connection and its pump. The number of connections is bounded: one more is
closed at once. A process out of file descriptors pauses and goes on; it doesn't fall over.
"""

import errno
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketListener, TaskGroup

from agt.transport._connections import listen_tcp, listen_unix
from agt.transport._errors import UsageError
from agt.transport._session import Session
from agt.transport._timers import Timers

logger = logging.getLogger("agt.transport")

FLUSH_S = 1.0
"""How long closing waits, for all connections together, for what is still to be written."""
SHORTAGE_PAUSE_S = 0.1
"""How long to wait before accepting again when the system has no file or memory for another connection."""
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_GONE_ALREADY = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EINTR, errno.ENOTCONN, errno.EINVAL})


class Listener(ABC):
    """Accepts connections on one TCP or Unix socket while its `async with` lasts."""

    def __init__(
        self, *, host: str = "127.0.0.1", port: int = 0, path: str | None = None, max_connections: int = 10_000
    ) -> None:
        """Remember where to listen; `path` makes it a Unix socket that only our own user can use."""
        if max_connections < 1:
            raise UsageError(f"a listener needs room for at least one connection, not {max_connections}")
        self._host, self._port, self._path = host, port, path
        self._max_connections = max_connections
        self._listener: SocketListener | None = None
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
        return self._port

    @property
    def address(self) -> str:
        """Where it listens, in words."""
        return self._path or f"{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            ConnectionUnavailable: when the address is in use or can't be had.
        """
        if self._path is not None:
            self._listener, self._port = await listen_unix(self._path), 0
        else:
            self._listener = await listen_tcp(self._host, self._port)
            self._port = self._listener.extra(SocketAttribute.local_port)  # noqa: S610 - a socket, not a query
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self.timers.run)
        self._tasks.start_soon(self._accept, self._listener, self._tasks)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None and self._listener is not None, "left only after it was entered"  # noqa: PT018 - one condition: entered
        with anyio.move_on_after(FLUSH_S, shield=True):
            for session in tuple(self._live()):
                await session.flush()  # The acknowledgements of what was processed last are worth a moment.
        self._closing()
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            with anyio.CancelScope(shield=True):
                await self._listener.aclose()
            if self._path is not None:
                self._remove(self._path)

    @staticmethod
    def _remove(path: str) -> None:
        Path(path).unlink(missing_ok=True)

    @abstractmethod
    async def _serve(self, stream: ByteStream) -> None:
        """Serve one connection to its end."""

    @abstractmethod
    def _live(self) -> Iterable[Session]:
        """Return the sessions that may have something to write."""

    @abstractmethod
    def _closing(self) -> None:
        """End what outlives connections."""

    async def _accept(self, listener: SocketListener, tasks: TaskGroup) -> None:
        while True:
            try:
                stream = await listener.accept()
            except (OSError, anyio.BrokenResourceError) as error:
                number = getattr(error, "errno", None) or getattr(error.__cause__, "errno", None)
                if number not in _SHORTAGES | _GONE_ALREADY:
                    raise
                logger.warning("cannot accept a connection on %s: %s", self.address, error)
                await anyio.sleep(SHORTAGE_PAUSE_S)
                continue
            if self.open_connections >= self._max_connections:
                self.turned_away += 1
                await anyio.aclose_forcefully(stream)
                continue
            self.open_connections += 1
            tasks.start_soon(self._serve_counted, stream)

    async def _serve_counted(self, stream: ByteStream) -> None:
        try:
            await self._serve(stream)
        finally:
            self.open_connections -= 1
            await anyio.aclose_forcefully(stream)

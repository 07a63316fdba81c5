"""Connections to one service: a bounded number, used again while they are fresh; and what it calls its paths."""

import asyncio
from collections import deque
from collections.abc import Mapping

from agt.router.http._address import Address
from agt.router.http._connection import Connection
from agt.router.http._errors import ConnectTimeout, Crowded


class Pool:
    """Lends connections.

    Args:
        address: Where the service listens.
        connections_max: Open connections.
        waiting_max: Requests that wait for one.
        connect_s: How long one waits, for a new or a free one.
        keep_alive_s: How long an idle one is used again.
        headers_max: Largest head of an answer, in bytes.
        rewrite: Beginnings of paths that the service calls otherwise.
    """

    def __init__(
        self,
        address: Address,
        *,
        connections_max: int,
        waiting_max: int,
        connect_s: float,
        keep_alive_s: float,
        headers_max: int,
        rewrite: Mapping[str, str] | None = None,
    ) -> None:
        self.address = address
        longest_first = sorted((rewrite or {}).items(), key=lambda item: -len(item[0]))
        self._rewrite = tuple((old.encode(), new.encode()) for old, new in longest_first)
        self._room = asyncio.Semaphore(connections_max)
        self._waiting_max, self._connect_s, self._keep_alive_s = waiting_max, connect_s, keep_alive_s
        self._headers_max = headers_max
        self._idle: deque[Connection] = deque()
        self._lent: set[Connection] = set()
        self.waiting = 0
        """Requests that wait for a connection."""

    @property
    def lent(self) -> int:
        """Connections in use."""
        return len(self._lent)

    def target(self, asked: bytes) -> bytes:
        """Return what the service calls a target."""
        for old, new in self._rewrite:
            if asked.startswith(old):
                return new + asked[len(old) :]
        return asked

    async def take(self, *, fresh: bool = False) -> Connection:
        """Return a connection, a new one if none is free or `fresh` asks for it.

        Raises:
            Unreachable: when there is none to be had; `ConnectTimeout` and `Crowded` say how.
        """
        if self._room.locked() and self.waiting >= self._waiting_max:
            raise Crowded(f"{self.waiting} requests wait for a connection to {self.address} already")
        self.waiting += 1
        try:
            async with asyncio.timeout(self._connect_s):
                await self._room.acquire()
                try:
                    connection = None if fresh else self._free()
                    if connection is None:
                        connection = await Connection.open(self.address, headers_max=self._headers_max)
                except BaseException:
                    self._room.release()
                    raise
        except TimeoutError as error:
            raise ConnectTimeout(f"no connection to {self.address} within {self._connect_s:g} s") from error
        finally:
            self.waiting -= 1
        self._lent.add(connection)
        return connection

    def give(self, connection: Connection) -> None:
        """Take a connection back; it is kept when another exchange may follow on it."""
        self._lent.discard(connection)
        self._room.release()
        if connection.finish():
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.abort()

    def close(self) -> None:
        """Close what is idle, and cut what is in use."""
        while self._idle:
            self._idle.popleft().close()
        for connection in tuple(self._lent):
            connection.abort()

    def tidy(self) -> None:
        """Close what has been idle for too long; called now and then."""
        oldest = asyncio.get_running_loop().time() - self._keep_alive_s
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().close()

    def _free(self) -> Connection | None:
        """Return the one used last, if it is still fresh: the others then grow old and go."""
        oldest = asyncio.get_running_loop().time() - self._keep_alive_s
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since >= oldest:
                return connection
            connection.close()
        return None

"""Runs a web application on a Unix socket inside somebody else's event loop, for our own user only."""

import contextlib
import math
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import anyio
import uvicorn
from anyio.abc import TaskStatus
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from agt.router._api._socket import open_socket

SHUTDOWN_S: Final = 1
"""Seconds that open requests get when the server stops."""
_UCRED = struct.Struct("3i")


async def serve(app: Starlette, path: Path | str, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """Serve an application on a Unix socket until cancelled; takes no signal handlers. Asyncio only.

    With `await tasks.start(serve, app, path)` the socket takes connections once that has returned.

    Raises:
        SocketUnusable: when the path is too long, or another process serves there.
    """
    with open_socket(Path(path)) as listening:
        task_status.started()
        config = uvicorn.Config(
            app,
            http=_OwnUserOnly,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        server = QuietServer(config)
        async with stopping(server):
            await server.serve(sockets=[listening])


class QuietServer(uvicorn.Server):
    """A uvicorn server that leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing: the gateway handles its signals itself."""
        yield


@contextlib.asynccontextmanager
async def stopping(server: uvicorn.Server) -> AsyncIterator[None]:
    """Turn a cancellation into uvicorn's own way of stopping, shielded so that it can finish."""

    async def ask_when_cancelled() -> None:
        try:
            await anyio.sleep(math.inf)
        finally:
            server.should_exit = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask_when_cancelled)
        with anyio.CancelScope(shield=True):
            yield
        tasks.cancel_scope.cancel()


class _OwnUserOnly(H11Protocol):
    """Drops connections whose peer is another user, before reading a byte."""

    _admitted = False

    def connection_made(self, transport: Any) -> None:
        """Ask the kernel who is there."""
        peer = transport.get_extra_info("socket")
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        if _UCRED.unpack(credentials)[1] != os.getuid():
            transport.abort()
            return
        self._admitted = True
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection, unless it was never admitted."""
        if self._admitted:
            super().connection_lost(exc)

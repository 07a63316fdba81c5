"""Serving the control API with uvicorn, inside somebody else's event loop.

Uvicorn is told as little as possible: the socket is ours, signals belong to the supervisor, nothing is logged per
request, and it stops promptly because closing the hub ends every stream first. A connection whose peer isn't our own
user is dropped before a byte of it is read.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Final

import anyio
import uvicorn
from anyio.abc import TaskStatus
from uvicorn.protocols.http.h11_impl import H11Protocol

from agt.supervisor.control._app import create_app
from agt.supervisor.control._backend import Backend
from agt.supervisor.control._books import Books
from agt.supervisor.control._hub import Hub
from agt.supervisor.control._socket import open_socket, peer_uid

STOP_S: Final = 2
"""Seconds that requests under way get when the supervisor stops."""

_STOP_STEP_S: Final = 0.005

MAX_CONNECTIONS: Final = 128
"""Beyond this, a request is answered 503."""

_LOG: Final = logging.getLogger(__name__)


class _SameUserProtocol(H11Protocol):
    """HTTP/1.1, for peers with our own user id only."""

    refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        peer: socket.socket = transport.get_extra_info("socket")
        uid = peer_uid(peer)
        if uid != os.geteuid():
            self.refused = True
            _LOG.warning("refused a connection of user %d to the control socket", uid)
            transport.abort()
            return
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.refused:
            super().connection_lost(exc)


class _Server(uvicorn.Server):
    """Uvicorn without its hands on the process's signals, which says when it answers.

    Its own loop wakes ten times a second and its own shutdown sleeps in steps of 0.1 s; both are replaced.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = anyio.Event()
        self.stop = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)  # Sets the default headers.
        await self.stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - closed by their owner.
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with anyio.move_on_after(STOP_S):
            while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - uvicorn keeps plain sets.
                await anyio.sleep(_STOP_STEP_S)
        for task in list(self.server_state.tasks):
            task.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _make_server(backend: Backend, hub: Hub, books: Books | None) -> _Server:
    config = uvicorn.Config(
        create_app(backend, hub, books=books),
        http=_SameUserProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        limit_concurrency=MAX_CONNECTIONS,
    )
    return _Server(config)


async def serve_control(
    backend: Backend,
    path: Path,
    *,
    books: Books | None = None,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the control API at `path` until cancelled; `task_status.started()` when it answers.

    Runs on asyncio (uvicorn does). Ends within `STOP_S` and a moment of the cancellation, streams included, and takes
    the socket file with it.

    Raises:
        SocketUnusable: Before anything is served.
    """
    listening = open_socket(path)
    hub = Hub(backend.view())
    server = _make_server(backend, hub, books)
    try:
        async with anyio.create_task_group() as tasks:
            served = anyio.Event()
            tasks.start_soon(_serve, server, listening.listener, served)
            await server.answering.wait()
            task_status.started()
            try:
                await hub.follow(backend.changes())
                await anyio.sleep_forever()
            finally:
                hub.close()
                server.stop.set()
                with anyio.move_on_after(STOP_S + 2, shield=True):
                    await served.wait()
    finally:
        listening.close()


async def _serve(server: _Server, listener: socket.socket, served: anyio.Event) -> None:
    with anyio.CancelScope(shield=True):  # Ended by `stop`, so that requests under way are answered.
        try:
            await server.serve(sockets=[listener])
        finally:
            served.set()

"""Serving the control API with uvicorn, inside somebody else's event loop.

Uvicorn is told as little as possible: the socket is ours, signals belong to the supervisor, nothing is logged per
request, and it stops promptly because closing the hub ends every stream first. The Unix socket and TCP have a server
each with limits of its own, over one application.
"""

import contextlib
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import uvicorn
from anyio.abc import TaskStatus
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from agt.supervisor.access import OriginCheck, TokenFile
from agt.supervisor.control._app import create_app
from agt.supervisor.control._backend import Backend
from agt.supervisor.control._books import Books
from agt.supervisor.control._components import Care
from agt.supervisor.control._doors import TcpDoor, UnixDoor
from agt.supervisor.control._hub import Hub
from agt.supervisor.control._protocols import HEAD_MAX_BYTES, OneRequestProtocol, SameUserProtocol
from agt.supervisor.control._socket import open_socket, open_tcp
from agt.supervisor.control._tokens import Tokens

STOP_S: Final = 2
"""Seconds that requests under way get when the supervisor stops."""

_STOP_STEP_S: Final = 0.005

MAX_CONNECTIONS: Final = 256
"""Of the Unix socket; beyond this, a request is answered 503."""
MAX_TCP_CONNECTIONS: Final = 64
"""Of the TCP listener, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpListening:
    """Where the control API listens beside its Unix socket, and whose tokens count there."""

    host: str
    """A loopback address."""
    port: int
    """0 takes any that is free."""
    tokens: TokenFile
    on_failures: Callable[[str, int], None] = lambda _peer, _count: None
    """Told of failed authentication now and then: the last peer, and how many since."""
    on_listening: Callable[[str, int], None] = lambda _host, _port: None
    """Told where it listens."""


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


def _make_server(door: ASGIApp, protocol: type[H11Protocol], *, most: int, close: bool) -> _Server:
    config = uvicorn.Config(
        door,
        http=protocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        headers=[("connection", "close")] if close else None,
        limit_concurrency=most,
        h11_max_incomplete_event_size=HEAD_MAX_BYTES,
    )
    return _Server(config)


async def serve_control(
    backend: Backend,
    path: Path,
    *,
    books: Books | None = None,
    tokens: Tokens | None = None,
    care: Care | None = None,
    tcp: TcpListening | None = None,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the control API at `path`, and over TCP if asked; `task_status.started()` when it answers.

    Runs on asyncio (uvicorn does) until cancelled. Ends within `STOP_S` and a moment of the cancellation, streams
    included, and takes the socket file with it.

    Raises:
        SocketUnusable: Before anything is served.
    """
    with contextlib.ExitStack() as opened:
        listening = open_socket(path)
        opened.callback(listening.close)
        hub = Hub(backend.view())
        app = create_app(backend, hub, books=books, tokens=tokens, care=care)
        unix = _make_server(UnixDoor(app), SameUserProtocol, most=MAX_CONNECTIONS, close=False)
        servers = [(unix, listening.listener)]
        if tcp is not None:
            servers.append(_open_tcp(app, tcp, opened))
        async with anyio.create_task_group() as tasks:
            served = [anyio.Event() for _ in servers]
            for (server, listener), ended in zip(servers, served, strict=True):
                tasks.start_soon(_serve, server, listener, ended)
            for server, _ in servers:
                await server.answering.wait()
            task_status.started()
            try:
                await hub.follow(backend.changes())
                await anyio.sleep_forever()
            finally:
                hub.close()
                for server, _ in servers:
                    server.stop.set()
                with anyio.move_on_after(STOP_S + 2, shield=True):
                    for ended in served:
                        await ended.wait()


def _open_tcp(app: ASGIApp, tcp: TcpListening, opened: contextlib.ExitStack) -> tuple[_Server, socket.socket]:
    """Return a server of its own for TCP: a crowd there takes no place at the Unix socket."""
    listener = open_tcp(tcp.host, tcp.port)
    opened.callback(listener.close)
    host, port = listener.getsockname()[:2]
    door = TcpDoor(app, tcp.tokens, OriginCheck(host, port), on_failures=tcp.on_failures)
    tcp.on_listening(host, port)
    return _make_server(door, OneRequestProtocol, most=MAX_TCP_CONNECTIONS, close=True), listener


async def _serve(server: _Server, listener: socket.socket, served: anyio.Event) -> None:
    with anyio.CancelScope(shield=True):  # Ended by `stop`, so that requests under way are answered.
        try:
            await server.serve(sockets=[listener])
        finally:
            served.set()

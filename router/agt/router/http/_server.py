"""Serves the adapter with uvicorn on a socket of our own: bounded connections, heads that must come in time.

Uvicorn's server bounds how long an idle connection is kept, not how slowly a head may trickle in; that is added here,
and a way for the adapter to cut a caller's connection.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from anyio.abc import TaskStatus
from uvicorn.protocols.http.h11_impl import H11Protocol

from agt.router._api._server import QuietServer, stopping
from agt.router._api._socket import open_socket
from agt.router._errors import SocketUnusable
from agt.router.http._adapter import HttpAdapter
from agt.router.http._address import Address

BACKLOG = 512
"""Callers that the kernel keeps waiting for us to accept them."""


async def serve_http(adapter: HttpAdapter, *, task_status: TaskStatus[Address] = anyio.TASK_STATUS_IGNORED) -> None:
    """Serve until cancelled; takes no signal handlers. Asyncio only.

    `await tasks.start(serve_http, adapter)` returns the address once it takes connections. When cancelled, requests
    under way may go on for `listen.stop_s`.

    Raises:
        SocketUnusable: when the address can't be had.
    """
    listen = adapter.config.listen
    with _listening(Address.parse(listen.address)) as (listening, address):
        config = uvicorn.Config(
            adapter,
            http=_protocol(listen.head_s),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=listen.connections_max,
            h11_max_incomplete_event_size=listen.headers_max_bytes,
            timeout_keep_alive=max(1, round(listen.keep_alive_s)),
            timeout_graceful_shutdown=max(1, round(listen.stop_s)),
        )
        server = QuietServer(config)
        async with stopping(server), anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            task_status.started(address)


@contextlib.contextmanager
def _listening(address: Address) -> Iterator[tuple[socket.socket, Address]]:
    if address.path:
        with open_socket(Path(address.path)) as listening:
            yield listening, address
        return
    try:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        listening = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
        # Accepted sockets inherit it. Asyncio would set it only on sockets that name their protocol; without it, an
        # answer's body waits 40 ms for the acknowledgement of its head.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise SocketUnusable(f"cannot listen on {address}: {error.strerror or error}") from error
    with listening:
        listening.setblocking(False)  # noqa: FBT003 - the standard library's own signature.
        yield listening, Address(host=address.host, port=listening.getsockname()[1])


def _protocol(head_s: float) -> type[H11Protocol]:
    """Return uvicorn's protocol with a limit on how long a head may take."""

    class Guarded(H11Protocol):
        _head: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.app_state = {**self.app_state, "agt_cut": transport.abort}
            self._await_head()

        def data_received(self, data: bytes) -> None:
            if self._head is None and (self.cycle is None or self.cycle.response_complete):
                self._await_head()
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                self._head_came()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head_came()
            super().connection_lost(exc)

        def _await_head(self) -> None:
            self._head = self.loop.call_later(head_s, self.transport.abort)

        def _head_came(self) -> None:
            if self._head is not None:
                self._head.cancel()
                self._head = None

    return Guarded

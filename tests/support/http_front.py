"""Two real HTTP services and the adapter in front of them, all on real sockets in one loop."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import uvicorn

from agt.router import MemorySelector, Route, Router, Runtimes, Selector
from agt.router._api._server import QuietServer
from agt.router.http import Address, HttpAdapter, HttpConfig, parse_http_config, serve_http
from agt.router.shadow import Shadow

RUNTIMES = Runtimes(control="v1", candidate="v2")
App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class Service:
    """One runtime's service; remembers what it was asked, and answers as it is told."""

    def __init__(self, name: str, answer: App | None = None) -> None:
        self.name, self.answer = name, answer
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        """Method, path and headers of each request."""
        self.bodies: list[bytes] = []
        self.address = Address()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        headers: dict[str, str] = {}
        for name, value in ((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]):
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self.asked.append((scope["method"], scope["path"], headers))
        await (self.answer or self._echo)(scope, receive, send)

    async def _echo(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = await whole_body(receive)
        self.bodies.append(body)
        await reply(send, {"by": self.name, "path": scope["path"], "bytes": len(body)})


async def until(condition: Callable[[], object]) -> None:
    """Let everybody else run until something holds."""
    with anyio.fail_after(10):
        while not condition():
            await anyio.lowlevel.checkpoint()


async def whole_body(receive: Any) -> bytes:
    """Read a request to its end."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return bytes(body)


async def reply(send: Any, value: object, *, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
    """Answer with JSON."""
    body = json.dumps(value).encode()
    fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


class Front:
    """The adapter, what is behind it, and a caller before it."""

    def __init__(self, adapter: HttpAdapter, router: Router, control: Service, candidate: Service) -> None:
        self.adapter, self.router, self.control, self.candidate = adapter, router, control, candidate
        self.address = Address()
        self.client: httpx.AsyncClient

    def set(self, percentage: float | None = None, **route: Any) -> Any:
        """Apply a selector; returns its receipt."""
        return self.router.apply(selector(percentage, generation=self.router.status().generation + 1, **route))

    async def raw(self, data: bytes) -> bytes:
        """Send bytes as they are and return all that comes back until the adapter hangs up, or answers in full."""
        async with await anyio.connect_tcp(self.address.host, self.address.port) as stream:
            await stream.send(data)
            received = b""
            try:
                while b"\r\n\r\n" not in received or not _complete(received):
                    received += await stream.receive()
            except anyio.EndOfStream:
                pass
            return received


def _complete(received: bytes) -> bool:
    head, _, body = received.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.partition(b":")[2])
    return False


def selector(percentage: float | None = None, *, generation: int = 1, **route: Any) -> Selector:
    """A selector that is enabled unless it says otherwise."""
    components = route.pop("components", {})
    merged = {"enabled": True, "percentage": percentage, **route}
    return Selector(runtimes=RUNTIMES, generation=generation, runtime=Route(**merged), components=components)


def config(control: Address, candidate: Address, extra: str = "", *, upstream: str = "", twin: str = "") -> HttpConfig:
    """A configuration with a key in the header `x-device`; `extra` goes in front, `upstream` into both services."""
    return parse_http_config(
        f"""
{extra}
[runtimes]
control = "v1"
candidate = "v2"
[upstreams.v1]
url = "http://{control}"
{upstream}
[upstreams.v2]
url = "http://{candidate}"
{upstream}
{f'twin = "http://{twin}"' if twin else ""}
[[key]]
header = "x-device"
[listen]
address = "127.0.0.1:0"
head_s = 0.3
"""
    )


class PromptServer(QuietServer):
    """A server that ends at once, with everything that is open."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await asyncio.Event().wait()


@asynccontextmanager
async def listening(service: Service) -> AsyncIterator[Service]:
    """Serve a service on a port of its own."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    service.address = Address(host="127.0.0.1", port=listener.getsockname()[1])
    settings = uvicorn.Config(service, log_config=None, access_log=False, lifespan="off", proxy_headers=False)
    server = PromptServer(settings)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, [listener])
        try:
            yield service
        finally:
            with anyio.CancelScope(shield=True):
                await server.shutdown()
            tasks.cancel_scope.cancel()
            listener.close()


@asynccontextmanager
async def front(
    percentage: float | None = None,
    extra: str = "",
    *,
    control: App | None = None,
    candidate: App | None = None,
    twin: Service | None = None,
    upstream: str = "",
    **route: Any,
) -> AsyncIterator[Front]:
    """Two services behind an adapter, with a selector."""
    services = Service("v1", control), Service("v2", candidate)
    async with listening(services[0]), listening(services[1]), anyio.create_task_group() as tasks:
        shadow = Shadow()
        router = Router(MemorySelector(selector(percentage, **route)), runtimes=RUNTIMES, shadow=shadow)
        told = config(
            services[0].address,
            services[1].address,
            extra,
            upstream=upstream,
            twin=str(twin.address) if twin is not None else "",
        )
        found = Front(HttpAdapter(told, router, shadow), router, *services)
        tasks.start_soon(router.run)
        tasks.start_soon(found.adapter.run)
        found.address = await tasks.start(serve_http, found.adapter)
        async with httpx.AsyncClient(base_url=f"http://{found.address}", timeout=10, verify=False) as found.client:
            yield found
        tasks.cancel_scope.cancel()

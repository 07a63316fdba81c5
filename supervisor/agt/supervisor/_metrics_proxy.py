"""The metrics of a run directory on loopback TCP, for a Prometheus server: it scrapes ports, and ours are Unix sockets.

One port for everything: `/targets` lists what there is in the form of Prometheus's HTTP service discovery, and each
target has its own path, so that a router that is down is a target that is down. Read-only, loopback only, and asked by
no other name than loopback's, so that no web page can read it through a browser.
"""

import socket
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agt.supervisor._errors import SupervisorError
from agt.supervisor._routers import find_routers
from agt.supervisor.measure import RequestFailed, request

HOST: Final = "127.0.0.1"
REQUESTS_AT_ONCE: Final = 32
"""More at a time are turned away with 503."""
SCRAPE_TIMEOUT_S: Final = 5.0
TEXT: Final = "text/plain; version=0.0.4"
SUPERVISOR: Final = "supervisor"


def create_proxy(run: Path, control: Path, *, address: str) -> Starlette:
    """Make the application.

    Args:
        run: The run directory; routers are looked for anew at each question.
        control: The supervisor's socket.
        address: `host:port` by which Prometheus reaches it.
    """

    async def targets(_: Request) -> Response:
        """What there is to scrape, as `http_sd_configs` reads it."""
        paths = {name: f"/routers/{quote(name, safe='')}/metrics" for name in find_routers(run)}
        paths[SUPERVISOR] = f"/{SUPERVISOR}/metrics"
        found = [
            {"targets": [address], "labels": {"__metrics_path__": path, "instance": name}}
            for name, path in paths.items()
        ]
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def router(asked: Request) -> Response:
        """One router's metrics."""
        name = asked.path_params["name"]
        path = find_routers(run).get(name)
        return PlainTextResponse("no such router\n", 404) if path is None else await _scraped(path)

    async def supervisor(_: Request) -> Response:
        """The supervisor's own metrics."""
        return await _scraped(control)

    routes = [
        Route("/targets", targets),
        Route("/routers/{name:path}/metrics", router),
        Route(f"/{SUPERVISOR}/metrics", supervisor),
    ]
    return Starlette(routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])])


async def _scraped(path: Path) -> Response:
    try:
        answer = await request(path, "GET", "/metrics", timeout_s=SCRAPE_TIMEOUT_S)
    except RequestFailed as error:
        return PlainTextResponse(f"{error}\n", 502)
    return Response(answer.body, answer.status, media_type=TEXT)


def open_port(port: int) -> socket.socket:
    """Return a listening socket on loopback; port 0 takes a free one.

    Raises:
        SupervisorError: when the port is taken or not for us.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise SupervisorError(
            f"port {port} can't be opened: {error.strerror}", "name another one with --port"
        ) from error


def run_proxy(run: Path, control: Path, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    host, port = listening.getsockname()
    app = create_proxy(run, control, address=f"{host}:{port}")
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        limit_concurrency=REQUESTS_AT_ONCE,
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[listening])

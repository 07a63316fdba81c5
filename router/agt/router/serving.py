"""A router's HTTP API on its own Unix socket; needs `pip install agt-migrate[router]`.

The supervisor reads metrics and status here, and sends what can't wait for a file: a selector for going back, and
the kill. Only processes of our own user get an answer: the socket is 0600 and each connection's peer is asked for
its uid.
"""

import contextlib
import math
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import anyio
import msgspec
import uvicorn
from anyio.abc import TaskStatus
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from agt.router._batch import MoveBatch
from agt.router._errors import SelectorInvalid, SelectorKilled, SocketUnusable
from agt.router._metrics import RouterCollector
from agt.router._router import Router
from agt.router._selector import Selector
from agt.router._selector_text import SELECTOR_MAX_BYTES, parse_selector

SOCKET_PATH_MAX_BYTES = 107
"""Longest path of a Unix socket on Linux."""
SETTLE_WAIT_S = 6.0
"""How long a request with `wait=settled` is kept; the answer then says what is still moving."""
SHUTDOWN_S = 1
"""Seconds that open requests get when the server stops."""
_UCRED = struct.Struct("3i")


def create_app(router: Router, collectors: Iterable[Collector] = ()) -> Starlette:
    """Make the router's HTTP application.

    Args:
        router: What it serves.
        collectors: Further metrics for `/metrics`, the transports' say.
    """
    api = _Api(router, collectors)
    return Starlette(
        routes=[
            Route("/metrics", api.metrics),
            Route("/status", api.status),
            Route("/devices", api.devices),
            Route("/explain", api.explain),
            Route("/preview", api.preview),
            Route("/preview", api.preview_selector, methods=["POST"]),
            Route("/order", api.order),
            Route("/ready", api.ready),
            Route("/selector", api.put_selector, methods=["POST"]),
            Route("/kill", api.kill, methods=["POST"]),
        ]
    )


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
        server = _Server(config)
        async with _stopping(server):
            await server.serve(sockets=[listening])


@contextlib.contextmanager
def open_socket(path: Path) -> Iterator[socket.socket]:
    """Listen on a Unix socket that only our user can reach; its file goes when the block ends.

    Raises:
        SocketUnusable: when the path is too long, or another process serves there.
    """
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_MAX_BYTES:
        raise SocketUnusable(
            f"socket path is {length} bytes long, Linux allows {SOCKET_PATH_MAX_BYTES}: {path}; choose a shorter folder"
        )
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # Mode 0600 from the first moment on.
    try:
        listening.bind(os.fspath(path))
    except OSError as error:
        listening.close()
        raise SocketUnusable(f"cannot listen on {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    inode = path.stat().st_ino
    try:
        listening.listen(128)
        listening.settimeout(0)
        yield listening
    finally:
        listening.close()
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == inode:  # Not the socket of one who came after us.
                path.unlink()


def _remove_stale(path: Path) -> None:
    """Remove the socket of a dead process; refuse to touch a live one or anything else."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketUnusable(f"cannot listen on {path}: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise SocketUnusable(f"cannot listen on {path}: there is a file that is no socket; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise SocketUnusable(f"another process serves on {path}; stop it first, or choose another run directory")


class _Server(uvicorn.Server):
    """A uvicorn server that leaves the process's signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing: the gateway handles its signals itself."""
        yield


@contextlib.asynccontextmanager
async def _stopping(server: uvicorn.Server) -> AsyncIterator[None]:
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


class _Api:
    """One method a route."""

    def __init__(self, router: Router, collectors: Iterable[Collector]) -> None:
        self._router = router
        self._registry = CollectorRegistry(auto_describe=False)
        for collector in (RouterCollector(router), *collectors):
            self._registry.register(collector)

    async def metrics(self, _: Request) -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)

    async def status(self, _: Request) -> Response:
        """Everything at one instant."""
        return _json(self._router.status())

    async def devices(self, _: Request) -> Response:
        """A line for each device."""
        return _json(self._router.devices())

    async def explain(self, request: Request) -> Response:
        """Why a device is where it is."""
        device = request.query_params.get("device", "")
        if not device:
            return _error(422, "invalid", "device is missing", "ask /explain?device=NAME")
        query = request.query_params
        return _json(self._router.explain(device, component=query.get("component"), session=query.get("session")))

    async def preview(self, request: Request) -> Response:
        """What a percentage would change."""
        try:
            percentage = float(request.query_params.get("percentage", ""))
        except ValueError:
            return _error(422, "invalid", "percentage is not a number", "ask /preview?percentage=25")
        selector = self._at(percentage)
        if selector is None:
            return _error(409, "refused", "no selector is applied", "put one in place first")
        try:
            return _json(self._router.preview(selector))
        except SelectorInvalid as error:
            return _error(422, "invalid", str(error), "percentages go from 0 to 100 in steps of 0.01")

    async def preview_selector(self, request: Request) -> Response:
        """What a whole selector would change."""
        body = await _body(request)
        if body is None:
            return _error(422, "invalid", f"body is larger than {SELECTOR_MAX_BYTES} bytes", "send the selector alone")
        try:
            selector = parse_selector(body, origin="body", runtimes=self._router.runtimes)
            return _json(self._router.preview(selector))
        except SelectorInvalid as error:
            return _error(422, "invalid", str(error), "nothing was changed")

    async def order(self, request: Request) -> Response:
        """The first devices that a share takes."""
        count = request.query_params.get("count", "")
        if not (count.isascii() and count.isdigit() and len(count) < 10):
            return _error(422, "invalid", "count is not a number", "ask /order?count=7")
        return _json(self._router.in_order(int(count)))

    async def ready(self, _: Request) -> Response:
        """Whether messages can be routed: always, once this answers; says with what."""
        return _json({"ready": True, "router": self._router.status().router})

    async def put_selector(self, request: Request) -> Response:
        """Apply a selector in memory at once; `wait=settled` answers when its moves are settled."""
        body = await _body(request)
        if body is None:
            return _error(422, "invalid", f"body is larger than {SELECTOR_MAX_BYTES} bytes", "send the selector alone")
        try:
            batch = self._router.apply(parse_selector(body, origin="body", runtimes=self._router.runtimes))
        except SelectorInvalid as error:
            return _error(422, "invalid", str(error), "nothing was changed")
        except SelectorKilled as error:
            return _error(409, "refused", str(error), "put the selector file back to end the kill")
        return await _receipt(request, batch)

    async def kill(self, request: Request) -> Response:
        """Send everything to control; `wait=settled` answers when it has settled."""
        return await _receipt(request, self._router.kill(request.query_params.get("reason", "")[:200]))

    def _at(self, percentage: float) -> Selector | None:
        """Return the applied selector with another percentage."""
        selector = self._router.selector
        if selector is None:
            return None
        return selector.with_route(percentage=percentage, up_to="", default=selector.runtimes.control, enabled=True)


async def _receipt(request: Request, batch: MoveBatch) -> Response:
    if request.query_params.get("wait") == "settled":
        with anyio.move_on_after(SETTLE_WAIT_S):
            await batch.settled()
    return _json(batch.receipt())


async def _body(request: Request) -> bytes | None:
    """Read the body as far as a selector may go; None when it goes further."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > SELECTOR_MAX_BYTES:
            return None
    return bytes(data)


def _json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def _error(status: int, code: str, message: str, hint: str) -> Response:
    return _json({"error": {"code": code, "message": message, "hint": hint}}, status)

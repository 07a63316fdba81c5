"""The adapter as a process of its own: selector, router, its socket, the door for callers, and an end in order."""

import logging
import os
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import anyio
from anyio.abc import TaskStatus
from starlette.applications import Starlette

from agt.router._errors import RouterError
from agt.router._journal import LedgerJournal
from agt.router._ledger import Ledger
from agt.router._router import Router
from agt.router._selector_file import SelectorFile
from agt.router._watch import EnvironmentFile, watch
from agt.router.http._adapter import HttpAdapter
from agt.router.http._address import Address
from agt.router.http._config import HttpConfig
from agt.router.http._server import serve_http
from agt.router.http._status import HttpCollector, http_routes
from agt.router.notifying import notify
from agt.router.serving import create_app, serve
from agt.router.shadow import Shadow
from agt.transport.metrics import TransportCollector

_LOG = logging.getLogger("agt.http")


async def serve_all(
    config: HttpConfig, run: Path, *, task_status: TaskStatus[Address] = anyio.TASK_STATUS_IGNORED
) -> None:
    """Run everything that `http.toml` asks for until cancelled; started with the address that callers may use.

    Args:
        config: What it says.
        run: The folder that relative names are in.
        task_status: Told the address.

    Raises:
        SocketUnusable: when a socket can't be had.
        OSError: when the ledger's journal can't be opened.
    """
    files, names = config.router, (config.runtimes.control, config.runtimes.candidate)
    selector = SelectorFile(run / files.selector)
    shadow = Shadow()
    journal = LedgerJournal(run / files.ledger) if files.ledger else None
    router = Router(selector, runtimes=config.runtimes, ledger=Ledger(names, journal=journal), shadow=shadow)
    adapter = HttpAdapter(config, router, shadow)

    async def work_behind(*, task_status: TaskStatus[anyio.CancelScope]) -> None:
        # Shielded: what is under way when the end comes still needs all of this.
        with anyio.CancelScope(shield=True) as behind:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(router.run)
                tasks.start_soon(watch, router, selector, EnvironmentFile(run / files.environment))
                tasks.start_soon(adapter.run)
                if files.api:
                    await tasks.start(serve, _api(router, adapter), run / files.api)
                task_status.started(behind)

    async with anyio.create_task_group() as tasks:
        behind = await tasks.start(work_behind)
        try:
            await serve_http(adapter, task_status=task_status)
        finally:
            behind.cancel()


def _api(router: Router, adapter: HttpAdapter) -> Starlette:
    figures = (*adapter.books.metrics.values(), *adapter.mirror.metrics.values())
    app = create_app(router, [TransportCollector(*figures), HttpCollector(adapter)])
    app.routes.extend(http_routes(adapter))
    return app


def run_http(config: HttpConfig, run: Path, *, listening: Callable[[str], None] | None = None) -> None:
    """Be the process: serve until SIGTERM or Ctrl-C, answer what is under way, end.

    Args:
        config: What `http.toml` says.
        run: The folder that relative names are in.
        listening: Told the address once callers may come.

    Raises:
        SocketUnusable: when a socket can't be had.
        OSError: when the ledger's journal can't be opened.
    """

    async def until_told() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async with anyio.create_task_group() as tasks:
                address = await tasks.start(serve_all, config, run)
                _LOG.info("listening on %s, selector %s", address, run / config.router.selector)
                if listening is not None:
                    listening(str(address))
                if listening is not None:
                    listening(str(address))
                notify("READY=1")
                async for _ in signals:
                    notify("STOPPING=1")
                    tasks.cancel_scope.cancel()
                    break

    try:
        # A proxy does little but move bytes, and uvloop moves them for a fifth less.
        anyio.run(until_told, backend_options={"use_uvloop": find_spec("uvloop") is not None})
    except BaseExceptionGroup as group:
        first = _innermost(group)
        if isinstance(first, RouterError | OSError):
            raise first from group  # One thing is wrong; the groups around it say nothing more.
        raise


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def default_folder(config: Path) -> Path:
    """Return the folder that relative names are in: the supervisor's, or the file's own."""
    given = os.environ.get("AGT_RUN_DIR")
    return Path(given) if given else config.absolute().parent

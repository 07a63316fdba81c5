"""The demo's gateway as a process: the device controller, with listeners, router and ledger.

`python -m agt.chaos.demo.gateway`; started by the supervisor. It listens on three ports (kept over restarts), takes
commands on `sources.sock` and serves the router's API on `gateway.sock`. Where there are several, each has a name
(`AGT_DEMO_GATEWAY`), which stands in the names of its sockets and files: `gateway-east.sock`.
"""

import argparse
import datetime
import logging
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import anyio

from agt.chaos.demo._attachments import Attachments
from agt.chaos.demo._desk import Desk
from agt.chaos.demo._files import CANDIDATE, CONTROL, DemoFiles, Ports, demo_files
from agt.chaos.demo._legacy_policy import LOOK_S, LegacyPolicy
from agt.chaos.demo._loss import LossHook
from agt.chaos.demo._talk import serve_questions
from agt.chaos.demo._twin import dialled_twins, make_shadow
from agt.chaos.demo.events import Courier, Door, EventTimes
from agt.router import (
    Ledger,
    LedgerJournal,
    Router,
    RouterError,
    Runtimes,
    SelectorFile,
    keep_collections_short,
)
from agt.router.modes import RoundLimits, watch_mode
from agt.router.notifying import notify
from agt.router.serving import create_app, serve
from agt.router.watching import EnvironmentFile, watch
from agt.transport import (
    ConnectBudget,
    ConnectionUnavailable,
    Link,
    MetricGroups,
    ProbeLimits,
    ReliableListener,
    TransportMetrics,
    WireListener,
)
from agt.transport.metrics import TransportCollector
from agt.transport.wires.cync import CyncConfig, CyncLink, time_body
from agt.transport.wires.lines import LinesLink

HOST = "127.0.0.1"
RUNTIMES = Runtimes(control=CONTROL, candidate=CANDIDATE)
MEASURING = RoundLimits(probe=ProbeLimits(bytes_max=1 << 20))
"""The whole fleet and its proxies are one process: a larger probe would hold up every device, not one."""
SHADOW_SUFFIX = "-shadow"
"""Behind the candidate's name it labels what is measured of mirrored messages."""
logger = logging.getLogger("agt.demo.gateway")


class Gateway:
    """Listeners, router and ledger of one run."""

    def __init__(self, files: DemoFiles, *, runtimes: Runtimes = RUNTIMES, allow_loss: bool = False) -> None:
        """Open the ledger and read the selector; `runtimes` are those of the plan, where none has been written yet.

        Raises:
            OSError: when the journal can't be opened.
            ValueError: for a clock of the events that is none.
        """
        self._files = files
        self._selector = SelectorFile(files.selector)
        self._runtimes = _runtimes(self._selector, runtimes)
        self._legacy = MetricGroups(self._runtimes.control)
        self._reliable = MetricGroups(self._runtimes.candidate)
        # A mirrored message is none of the candidate's: it is seen under a name of its own and no gate judges it.
        self._mirror = TransportMetrics(f"{self._runtimes.candidate}{SHADOW_SUFFIX}")
        self._shadow = make_shadow(files)
        self._environment = EnvironmentFile(files.environment)
        self._router = Router(
            self._selector,
            runtimes=self._runtimes,
            ledger=Ledger((self._runtimes.control, self._runtimes.candidate), journal=LedgerJournal(files.ledger)),
            shadow=self._shadow,
            redial_per_s=ConnectBudget().connects_per_s,
        )
        self._hook = LossHook() if allow_loss else None
        self._attachments = Attachments(self._router, self._hook)
        times = EventTimes.from_environment()
        self._door = Door(files.events_socket, files.nonce, times=times)
        self._courier = Courier(files.listings_socket, self._door, gateway=files.gateway, times=times)

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            ConnectionUnavailable: when a port can't be had.
        """
        ports = self._files.read_ports() or Ports(cync=0, lines=0, native=0)
        async with AsyncExitStack() as stack:
            cync = await stack.enter_async_context(self._cync_listener(ports.cync))
            lines = await stack.enter_async_context(self._lines_listener(ports.lines))
            native = await stack.enter_async_context(self._native_listener(ports.native))
            await stack.enter_async_context(dialled_twins(self._shadow, self._files, self._runtimes, self._mirror))
            tasks = await stack.enter_async_context(anyio.create_task_group())
            tasks.start_soon(self._router.run)
            tasks.start_soon(keep_collections_short, lambda: sum(len(one.sessions) for one in (cync, lines, native)))
            tasks.start_soon(watch, self._router, self._selector, self._environment)
            tasks.start_soon(partial(watch_mode, self._router, limits=MEASURING))
            tasks.start_soon(self._keep_policy, LegacyPolicy(self._router, lines.sessions))
            tasks.start_soon(Desk(self._router, self._files.sources_socket).run)
            tasks.start_soon(self._door.run)
            tasks.start_soon(self._courier.run)
            if self._hook is not None:
                tasks.start_soon(serve_questions, self._files.hook_socket, self._lose)
            app = create_app(self._router, [TransportCollector(self._legacy, self._reliable, self._mirror)])
            tasks.start_soon(serve, app, self._files.gateway_api)
            self._files.write_ports(Ports(cync=cync.port, lines=lines.port, native=native.port))
            notify("READY=1")

    def _cync_listener(self, port: int) -> WireListener:
        config = CyncConfig(time_answer=_time_answer)

        def make_link() -> Link:
            return CyncLink("controller", config)

        return WireListener(
            make_link,
            host=HOST,
            port=port,
            on_peer=self._attachments.cync_came,
            on_gone=self._attachments.went,
            on_message=lambda _: None,
            metrics=self._reliable,
            written_metrics=self._legacy,
        )

    def _lines_listener(self, port: int) -> WireListener:
        return WireListener(
            lambda: LinesLink("controller"),
            host=HOST,
            port=port,
            on_peer=self._attachments.lines_came,
            on_gone=self._attachments.went,
            metrics=self._legacy,
            written_metrics=self._legacy,
        )

    def _native_listener(self, port: int) -> ReliableListener:
        return ReliableListener(
            host=HOST,
            port=port,
            name="gateway",
            on_peer=self._attachments.native_came,
            on_gone=self._attachments.went,
            metrics=self._reliable,
        )

    async def _keep_policy(self, policy: LegacyPolicy) -> None:
        while True:
            policy.look()
            await anyio.sleep(LOOK_S)

    async def _lose(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._hook is not None, "served only with --allow-loss"
        if question.get("op") != "lose":
            raise ValueError("the hook knows `lose` only")
        self._hook.left += int(question.get("count", 1))
        return {"left": self._hook.left}


def _time_answer() -> bytes:
    return time_body(datetime.datetime.fromtimestamp(time.time()).astimezone())


def _runtimes(selector: SelectorFile, unwritten: Runtimes) -> Runtimes:
    found = selector.read().selector or selector.killed_selector()
    return found.runtimes if found is not None else unwritten


async def live(gateway: Gateway) -> None:
    """Run until told to end."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.run)
            async for _ in signals:
                notify("STOPPING=1")
                tasks.cancel_scope.cancel()
                break


def main(arguments: list[str] | None = None) -> int:
    """Start the gateway."""
    parser = argparse.ArgumentParser(prog="python -m agt.chaos.demo.gateway", description="The demo's gateway.")
    parser.add_argument(
        "--allow-loss",
        action="store_true",
        default=os.environ.get("AGT_DEMO_ALLOW_LOSS") == "1",
        help="test only: lose messages when told to",
    )
    parser.add_argument("--control", default=CONTROL, help="control's name, before a selector says it")
    parser.add_argument("--candidate", default=CANDIDATE, help="the candidate's name")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    files = demo_files()

    async def run() -> None:
        runtimes = Runtimes(control=options.control, candidate=options.candidate)
        await live(Gateway(files, runtimes=runtimes, allow_loss=options.allow_loss))

    status = 0
    try:
        anyio.run(run)
    except* (OSError, ConnectionUnavailable, RouterError, ValueError) as problems:
        sys.stderr.write("".join(f"gateway: {problem}\n" for problem in problems.exceptions))
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

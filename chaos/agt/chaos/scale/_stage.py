"""Several gateways, each with a fleet of its own, as processes in one run directory; started, asked, ended.

No supervisor takes part: what is measured here has to work without one. Every device is a real one on real sockets.
Devices come at a pace that two cores can take in, and say nothing before all of them are there.
"""

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from agt.chaos.checkers import History, join, read_records
from agt.chaos.demo._files import CANDIDATE, CONTROL, DemoFiles
from agt.chaos.demo._ledger import LedgerBook, read_book
from agt.chaos.demo._names import DeviceKind
from agt.chaos.demo._oracle import Finding, Role, examine
from agt.chaos.demo._talk import NoAnswer, ask
from agt.router import Runtimes, Selector, SelectorFile
from agt.supervisor.measure import RequestFailed, RouterStatus, request

ROLES: Final[dict[str, Role]] = {CONTROL: "control", CANDIDATE: "candidate"}
GATEWAYS_MAX: Final = 16
SPARE_FILES: Final = 256
"""Descriptors that a process needs beside its connections."""
DIALLING_MAX: Final = 150
"""Devices of one fleet that dial at the same time, at first: as many as a busy machine takes in within a second."""
POLL_S: Final = 0.1
PROGRESS_S: Final = 2.0
STATUS_TIMEOUT_S: Final = 10.0
END_WITHIN_S: Final = 10.0

Progress = Callable[[str], None]


class StageFailed(Exception):
    """Raised when the run can't be set up or can't go on; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Troupe:
    """Who takes part."""

    devices: int
    gateways: int = 2
    kinds: tuple[DeviceKind, ...] = ("lines",)
    """What the devices are, in turn."""
    rate: float = 1000.0
    """Commands a second over all devices."""
    seed: int = 1
    direct: bool = True
    """Whether devices dial the gateway itself, with no fault proxy between."""

    def share(self, index: int) -> tuple[int, int]:
        """Return how many devices come before a gateway's own, and how many are its own."""
        each, rest = divmod(self.devices, self.gateways)
        return index * each + min(index, rest), each + (index < rest)

    @property
    def files_needed(self) -> int:
        """Descriptors that the fullest process needs: two sockets a device, thrice that with a proxy."""
        most = -(-self.devices // self.gateways)
        return most * (2 if self.direct else 6) + SPARE_FILES

    @property
    def names(self) -> tuple[str, ...]:
        """What the gateways are called."""
        return tuple(f"{index + 1}" for index in range(self.gateways))


class Stage:
    """A run that is set up: gateways and fleets, and the selector that they share."""

    def __init__(self, run: Path, troupe: Troupe, progress: Progress) -> None:
        self.run, self.troupe, self.progress = run, troupe, progress
        self.files = {f"gateway-{name}.sock": DemoFiles(run, name) for name in troupe.names}
        self.selector = SelectorFile(run / "selector.toml")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        """By `gateway-NAME` and `fleet-NAME`."""
        self.attached_s = 0.0
        """How long it took until every device was there both ways."""

    # What is asked

    async def statuses(self) -> dict[str, RouterStatus]:
        """Return what each router says.

        Raises:
            StageFailed: when one doesn't answer.
        """
        found: dict[str, RouterStatus] = {}

        async def one(name: str) -> None:
            try:
                answer = await request(self.run / name, "GET", "/status", timeout_s=STATUS_TIMEOUT_S)
                found[name] = msgspec.json.decode(answer.body, type=RouterStatus)
            except (RequestFailed, msgspec.DecodeError) as problem:
                raise StageFailed(f"{name}: {problem}; its log is {self._log(name)}") from problem

        await self._each(one)
        return found

    async def until(self, says: str, holds: Callable[[dict[str, RouterStatus]], bool], *, within_s: float) -> None:
        """Look at all routers until something holds of them.

        Raises:
            StageFailed: when it doesn't in time, or a process has died.
        """
        ends_at = time.monotonic() + within_s
        while True:
            self.check_alive()
            if holds(await self.statuses()):
                return
            if time.monotonic() > ends_at:
                raise StageFailed(f"not within {within_s:g} s: {says}")
            await anyio.sleep(POLL_S)

    async def tell_fleets(self, operation: str, /, **fields: Any) -> dict[str, dict[str, Any]]:
        """Ask every fleet for something; their answers by router.

        Raises:
            StageFailed: when one doesn't answer.
        """
        answers: dict[str, dict[str, Any]] = {}

        async def one(name: str) -> None:
            try:
                answers[name] = await ask(self.files[name].fleet_socket, {"op": operation, **fields}, timeout_s=60.0)
            except NoAnswer as problem:
                raise StageFailed(f"{problem}; the fleet's log is in {self.run}") from problem

        await self._each(one)
        return answers

    # What is done

    async def route(self, percentage: float, *, after_kill: bool = False) -> int:
        """Write a selector; return its generation."""
        before = (self.selector.killed_selector() if after_kill else self.selector.read().selector) or _first()
        wanted = before.with_route(percentage=percentage, enabled=True)
        written = await anyio.to_thread.run_sync(
            lambda: self.selector.write(wanted, expected=before.generation, after_kill=after_kill)
        )
        return written.generation

    async def until_routed(self, generation: int, *, within_s: float) -> None:
        """Wait until every router has settled a generation; devices that lost their connection may still wait."""
        await self.until(
            f"generation {generation} settled",
            lambda seen: all(one.settled_generation >= generation and not one.killed for one in seen.values()),
            within_s=within_s,
        )

    def finding(self, history: History) -> Finding:
        """Hold the joined logs against each other, and against all gateways' journals."""
        book = LedgerBook()
        for files in self.files.values():
            one = read_book(files.ledger)
            book.settled.update(one.settled)
            book.totals += one.totals
            book.repeated += one.repeated
            book.owned += one.owned
            book.open.update({len(book.open) + key: value for key, value in enumerate(one.open.values())})
        return examine(history, ROLES, book, ())

    def history(self) -> History:
        """Join what sources and devices of all fleets wrote."""
        sources = [record for files in self.files.values() for record in read_records(files.sources_log)]
        devices = [record for files in self.files.values() for record in read_records(files.devices_log)]
        return join(sources, devices)

    def check_alive(self) -> None:
        """See that no process has ended.

        Raises:
            StageFailed: naming the first that has.
        """
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise StageFailed(f"{name} ended with status {process.returncode}; its log is {self._log(name)}")

    # Beginning and end

    async def begin(self, *, percentage: float, within_s: float) -> None:
        """Start everything, and wait until every device is attached both ways and idle."""
        _allow_files(self.troupe)
        began = time.monotonic()
        self.selector.write(_first().with_route(percentage=percentage, enabled=True), expected=0)
        for index, name in enumerate(self.troupe.names):
            first, count = self.troupe.share(index)
            self.processes[f"gateway-{name}"] = self._start("gateway", name)
            self.processes[f"fleet-{name}"] = self._start("fleet", name, *self._fleet_arguments(first, count))
        await self._until_attached(within_s=within_s)
        self.attached_s = time.monotonic() - began

    async def _until_attached(self, *, within_s: float) -> None:
        """Let devices dial as fast as they are taken in; ask for their attachments only once all of them are there.

        A gateway that is asked for five thousand lines again and again has no time for those who dial.
        """
        ends_at, wanted, shown = time.monotonic() + within_s, self.troupe.devices, 0.0
        while True:
            self.check_alive()
            known = {name: await self._known(name) for name in self.files}
            came = sum(known.values())
            if came >= wanted and sum([await self._attached(name) for name in self.files]) >= wanted:
                return
            if time.monotonic() > ends_at:
                raise StageFailed(f"only {came:,} of {wanted:,} devices came within {within_s:g} s")
            if time.monotonic() > shown + PROGRESS_S:
                self.progress(f"{came:,} of {wanted:,} devices are there")
                shown = time.monotonic()
            for name, count in known.items():
                with contextlib.suppress(NoAnswer):  # It isn't up yet; the next look tells it.
                    await ask(self.files[name].fleet_socket, {"op": "dial", "count": count + DIALLING_MAX})
            await anyio.sleep(2 * POLL_S if came else POLL_S)

    async def _known(self, name: str) -> int:
        """Count a gateway's devices; none while it comes up."""
        try:
            answer = await request(self.run / name, "GET", "/status", timeout_s=STATUS_TIMEOUT_S)
            status = msgspec.json.decode(answer.body, type=RouterStatus)
        except (RequestFailed, msgspec.DecodeError):
            return 0
        return sum(one["devices"] for one in status.runtimes.values())

    async def _attached(self, name: str) -> int:
        """Count a gateway's devices that have every attachment that they dial for."""
        try:
            answer = await request(self.run / name, "GET", "/devices", timeout_s=STATUS_TIMEOUT_S)
            lines = msgspec.json.decode(answer.body, type=list[_DeviceLine])
        except (RequestFailed, msgspec.DecodeError):
            return 0
        return sum(len(line.attachments) == len(ROLES) for line in lines)

    def _fleet_arguments(self, first: int, count: int) -> list[str]:
        troupe = self.troupe
        arguments = ["--devices", count, "--first", first, "--kinds", ",".join(troupe.kinds), "--seed", troupe.seed]
        arguments += ["--rate", troupe.rate * count / troupe.devices, "--dialling", 0, "--paused"]
        return [*map(str, arguments), *(["--direct"] if troupe.direct else [])]

    def _start(self, module: str, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "AGT_RUN_DIR": str(self.run), "AGT_DEMO_GATEWAY": name}
        with (self.run / f"{module}-{name}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own modules in our own interpreter.
                [sys.executable, "-m", f"agt.chaos.demo.{module}", *arguments], env=environment, stdout=log, stderr=log
            )

    def end(self) -> None:
        """End every process that was started, fleets first; none is left behind."""
        for process in reversed(self.processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
        ends_at = time.monotonic() + END_WITHIN_S
        for process in self.processes.values():
            try:
                process.wait(max(0.1, ends_at - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _log(self, name: str) -> Path:
        return self.run / f"{name.removesuffix('.sock')}.log"

    async def _each(self, job: Callable[[str], Any]) -> None:
        failed: list[StageFailed] = []

        async def one(name: str) -> None:
            try:
                await job(name)
            except StageFailed as problem:
                failed.append(problem)

        async with anyio.create_task_group() as group:
            for name in self.files:
                group.start_soon(one, name)
        if failed:
            raise failed[0]


class _DeviceLine(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a router's line about a device as is needed."""

    attachments: tuple[str, ...]


@asynccontextmanager
async def staged(
    run: Path, troupe: Troupe, progress: Progress, *, percentage: float, within_s: float
) -> AsyncIterator[Stage]:
    """Set a run up in an empty directory, and end all of it whatever happens.

    Raises:
        StageFailed: when it can't be set up.
    """
    stage = Stage(run, troupe, progress)
    try:
        await stage.begin(percentage=percentage, within_s=within_s)
        yield stage
    finally:
        stage.end()


def _first() -> Selector:
    return Selector(runtimes=Runtimes(control=CONTROL, candidate=CANDIDATE))


def _allow_files(troupe: Troupe) -> None:
    """Let our processes have as many descriptors as they need.

    Raises:
        StageFailed: when this system doesn't allow so many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = troupe.files_needed
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise StageFailed(
            f"{troupe.devices:,} devices on {troupe.gateways} gateways need {needed:,} files a process, "
            f"and this system allows {hard:,}; choose more gateways or fewer devices, or raise `ulimit -Hn`"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))

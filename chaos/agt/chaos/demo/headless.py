"""A whole migration without a screen: start it, break it as asked, wait for its end, count what became of everything.

The supervisor, the fleet, the gateway and the daemon are the real processes that `agt up` starts. What is printed
comes from the logs that sources and devices wrote themselves, joined when all of them have ended.
"""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import anyio.abc
import httpx

from agt.chaos.checkers import join, read_records
from agt.chaos.demo._decisions import apply_decisions
from agt.chaos.demo._fault_spec import FaultSpec
from agt.chaos.demo._files import DemoFiles
from agt.chaos.demo._folder import disk_full
from agt.chaos.demo._inject import inject
from agt.chaos.demo._ledger import Counters, read_book
from agt.chaos.demo._oracle import Finding, Role, Span, examine
from agt.chaos.demo._report import Report, make_report, shortcomings, visit_key
from agt.chaos.demo._signer import sign_off
from agt.chaos.demo._story import Story, Visit
from agt.chaos.demo._supervised import DemoFailed, EndedEarly, Options, files_of, supervised
from agt.chaos.demo._talk import NoAnswer, ask
from agt.supervisor.client import Client, NoSupervisor
from agt.supervisor.rollout import Plan
from agt.supervisor.view import AlertView

OVERTIME_SHARE = 0.5
OVERTIME_S = 45.0
"""A plan that hasn't ended after its duration, half of it again and these seconds, is not going to. A busy machine
holds a rollout for a while, and that is no failure."""
SETTLE_WITHIN_S = 8.0
"""How long is waited for a way back to settle before the run is ended."""
QUIESCE_WITHIN_S = 20.0
"""Longer than a command's deadline, so that every command ends."""
STRIKE_AFTER_SHARE = 0.25
STRIKE_AFTER_MAX_S = 2.0
"""A fault strikes when a quarter of its phase's soak has passed, at most this late."""


@dataclass(slots=True)
class Outcome:
    """What came of a headless run."""

    report: Report
    finding: Finding
    shortcomings: list[str]
    notes: list[str] = field(default_factory=list)
    """What went otherwise than planned and spoils nothing."""


class HeadlessRun:
    """One run from start to count."""

    def __init__(self, options: Options, plan: Plan, faults: Sequence[FaultSpec], *, duration_s: float) -> None:
        """Prepare; nothing is started before `run`."""
        self._options, self._plan, self._faults = options, plan, tuple(faults)
        self._limit_s = duration_s * (1 + OVERTIME_SHARE) + OVERTIME_S
        self._files: DemoFiles = files_of(options)
        self._story = Story()
        self._struck: set[FaultSpec] = set()
        self._notes: list[str] = []

    async def run(self) -> Outcome:
        """Run it.

        Raises:
            DemoFailed: when it can't be run at all.
        """
        began = time.time()
        async with supervised(self._options) as client:
            with anyio.move_on_after(self._limit_s) as limit:
                await self._follow(client)
            if limit.cancelled_caught:
                self._notes.append(f"the run was ended after {self._limit_s:.0f} s")
            counters = await self._wind_down()
            alerts = await self._last_words(client)
        if self._story.last is None:
            raise DemoFailed(f"the supervisor never showed a view; see {self._options.run_dir}")
        return self._count(alerts, counters, began)

    async def _follow(self, client: Client) -> None:
        """See every view until the rollout has ended, and strike where faults were asked for."""
        async with anyio.create_task_group() as strikes:
            while not (self._story.ended and self._story.settled):
                try:
                    async for view in client.stream():
                        visit = self._story.see(view)
                        if visit is not None:
                            self._strike(strikes, visit)
                        if self._story.ended:
                            break
                        await sign_off(client, self._plan, view)
                except NoSupervisor as problem:
                    raise DemoFailed(str(problem)) from problem
                if self._story.ended:
                    await self._wait_until_settled(client)
                    break
            strikes.cancel_scope.cancel()

    async def _wait_until_settled(self, client: Client) -> None:
        with anyio.move_on_after(SETTLE_WITHIN_S):
            while not self._story.settled:
                await anyio.sleep(0.1)
                self._story.see(await client.view())

    def _strike(self, strikes: anyio.abc.TaskGroup, visit: Visit) -> None:
        delay_s = min(STRIKE_AFTER_MAX_S, visit.soak_s * STRIKE_AFTER_SHARE)
        for spec in self._faults:
            if spec.phase == visit.name and spec not in self._struck:
                self._struck.add(spec)
                strikes.start_soon(self._strike_one, spec, delay_s)

    async def _strike_one(self, spec: FaultSpec, delay_s: float) -> None:
        await anyio.sleep(delay_s)
        try:
            await inject(spec, self._files)
        except NoAnswer as problem:
            self._notes.append(f"{spec.text} could not be done: {problem}")

    async def _wind_down(self) -> Counters | None:
        """Heal, let everything arrive that is on its way, and ask the router what it has counted."""
        try:
            await ask(self._files.fleet_socket, {"op": "clear"})
            question = {"op": "quiesce", "within_s": QUIESCE_WITHIN_S}
            await ask(self._files.fleet_socket, question, timeout_s=QUIESCE_WITHIN_S + 10.0)
        except NoAnswer as problem:
            self._notes.append(str(problem))
        return await _router_counters(self._files)

    async def _last_words(self, client: Client) -> tuple[AlertView, ...]:
        try:
            self._story.see(await client.view())
            return await client.alerts()
        except NoSupervisor as problem:
            self._notes.append(str(problem))
            return ()

    def _count(self, alerts: Sequence[AlertView], counters: Counters | None, began: float) -> Outcome:
        phases = [phase.name for phase in self._plan.phases]
        apply_decisions(self._story.visits, self._options.run_dir / "records.sqlite", phases)
        roles: dict[str, Role] = {self._plan.control: "control", self._plan.candidate: "candidate"}
        history = join(read_records(self._files.sources_log), read_records(self._files.devices_log))
        finding = examine(history, roles, read_book(self._files.ledger), self._spans(), counters=counters)
        report = make_report(self._story, finding, alerts, plan=self._plan, began=began, seed=self._options.seed)
        complete = self._story.status == "complete"
        found = shortcomings(report, finding.violations, complete=complete, faults=bool(self._faults))
        if disk_full(self._options.run_dir):
            self._notes.append(f"the disk of {self._options.run_dir} is full: not all that happened was written down")
        unstruck = [spec.text for spec in self._faults if spec not in self._struck]
        found += [f"{text} never struck: its phase was not reached" for text in unstruck]
        return Outcome(report, finding, found, self._notes)

    def _spans(self) -> list[Span]:
        return [
            Span(name=visit_key(index, visit.name), since=visit.entered_at, until=visit.left_at or time.time())
            for index, visit in enumerate(self._story.visits)
        ]


async def until_told(run: HeadlessRun) -> Outcome:
    """Run it; SIGTERM and SIGINT end it early and in good order, with everything that was started.

    Raises:
        DemoFailed: when it can't be run.
        EndedEarly: when it was told to end.
    """
    outcomes: list[Outcome] = []

    async def obey(scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                scope.cancel()

    async def work(scope: anyio.CancelScope) -> None:
        outcomes.append(await run.run())
        scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(obey, tasks.cancel_scope)
            tasks.start_soon(work, tasks.cancel_scope)
    except* DemoFailed as failures:
        raise DemoFailed(str(_first(failures))) from None
    if not outcomes:
        raise EndedEarly("the run was ended early")
    return outcomes[0]


def _first(group: BaseExceptionGroup[DemoFailed]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


async def _router_counters(files: DemoFiles) -> Counters | None:
    """Ask the router for its own counters; None when it doesn't answer."""
    transport = httpx.AsyncHTTPTransport(uds=str(files.gateway_api))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=5.0) as client:
        try:
            status = (await client.get("/status")).raise_for_status().json()
        except (httpx.HTTPError, ValueError):
            return None
    ledger: Counters = status["ledger"]
    return ledger

"""The runner: asks the routers, lets the pure engine decide, and performs what it says. The only file here that waits.

Theory of operation. One loop checks; operators act beside it. A decision that goes forward is made under a lock,
becomes durable, and is only then performed; if something went back while the disk was busy, it is dropped. A
decision that goes back takes no lock: the state changes in the same instant, the routers are told, then it is written
down. So nothing advances without a record, and nothing that goes back ever waits for one.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
from anyio.abc import TaskStatus

from agt.router import Selector, SelectorState
from agt.supervisor.actions import Action, Refused
from agt.supervisor.measure import Reading, Readings, RequestFailed, RouterSeen, Timeline
from agt.supervisor.records import AuditRow, Entry, Policy, StoreUnavailable
from agt.supervisor.rollout._books import Books
from agt.supervisor.rollout._checks import asked_for
from agt.supervisor.rollout._clock import ClockWatch, not_ahead
from agt.supervisor.rollout._counting import wanted
from agt.supervisor.rollout._effects import RaiseAlert, ResolveAlerts, is_forward
from agt.supervisor.rollout._engine import step
from agt.supervisor.rollout._inspector import RUNNERS, Inspector
from agt.supervisor.rollout._live import Live
from agt.supervisor.rollout._measuring import look_at_routers
from agt.supervisor.rollout._operator import Counted, is_back, operate
from agt.supervisor.rollout._past import Numbers, Past, entry_of, past_of
from agt.supervisor.rollout._performer import Performer
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._previews import preview_of
from agt.supervisor.rollout._recorder import Recorder
from agt.supervisor.rollout._rehearsal import OWNER, Rehearsals, done_in_words
from agt.supervisor.rollout._rollbacks import Rollbacks
from agt.supervisor.rollout._runtime_status import DaemonStatus, StatusDesk
from agt.supervisor.rollout._sections import Picture, sections_of
from agt.supervisor.rollout._signals import happenings_of, of_components, signals_of
from agt.supervisor.rollout._soak import Soak
from agt.supervisor.rollout._state import State, Status
from agt.supervisor.rollout._step import Observation, Step, judge_gates, look_of
from agt.supervisor.rollout._turns import fresh
from agt.supervisor.rollout._verdict import Judgement
from agt.supervisor.rollout._way import Told, Way
from agt.supervisor.view import Preview, Receipt, RehearsalView, RollbackView, Severity

log = logging.getLogger("agt.supervisor.rollout")

SCRAPE_TIMEOUT_S: Final = 1.0
"""A router that takes longer to answer counts as silent."""
STORE: Final = "store"
"""Source of the alert that stands while nothing can be recorded."""


class Rollout:
    """One plan being carried out on one run directory."""

    def __init__(
        self,
        plan: Plan,
        run: Path,
        *,
        on_change: Callable[[], None] = lambda: None,
        view_version: Callable[[], int] = lambda: 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare a rollout; nothing happens before `run`.

        Args:
            plan: What to carry out, at its speed.
            run: The run directory, with the routers' sockets, the selector and the records.
            on_change: Called whenever `sections` would answer something new.
            view_version: Version of the newest view that operators may have seen.
            clock: Seconds since the epoch.
        """
        self.plan = plan
        self._way, self._path = Way(plan, run), run / "records.sqlite"
        self._on_change, self._view_version, self._clock = on_change, view_version, clock
        self._state = fresh(plan, now=clock())
        self._timeline, self._soak, self._clocks = Timeline(), Soak(), ClockWatch()
        self._live = Live(plan, self._way.sockets, clock)
        self.costs: Callable[[], dict[str, Reading]] = dict
        """What components cost, asked at each check."""
        self._recorder: Recorder | None = None
        self._rollbacks = Rollbacks(self._way, keep=self._keep_settled, on_change=on_change)
        self._performer: Performer | None = None
        self._forward = anyio.Lock()
        self.books = Books(plan, run, clock=clock, tell=self._tell)
        """Audit, incidents and snapshots."""
        self._rehearsals = Rehearsals(
            plan,
            self._way,
            state=lambda: self._state,
            act=self.act,
            keep=self._keep_rehearsal,
            tell=self._tell,
            clock=clock,
        )
        runners = {
            **RUNNERS,
            "snapshot": self.books.snapshots.look,
            "way_back": self._rehearsals.look,
        }
        self._inspector = Inspector(plan, run, clock=clock, asked=self._asked, runners=runners)
        self._daemon = StatusDesk(plan, run, clock=clock, counted=self._daemon_counted)
        self._by_hand: Selector | None = None
        self._selector: Selector | None = None
        self._seen = self._observation((), clock())
        self._gates = self._judged()
        self._carried_before: dict[str, float] = {}
        self._stale_before = 0

    @property
    def state(self) -> State:
        """The present state; frozen."""
        return self._state

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Load the records, then check until cancelled.

        Raises:
            StoreUnavailable: if the records can't be opened; nothing was changed then.
        """
        recorder = self._recorder = await Recorder.open(self._path)
        try:
            self._state = not_ahead(await recorder.state(self.plan.name) or self._state, self._clock())
            await recorder.keep_plan(self.plan, at=self._clock())
            self._timeline, self._soak = await recorder.past(self._state.generation)
            self._timeline.not_ahead(self._clock())
            await self.books.opened(recorder)
            self._show_again(past_of(self.plan, await recorder.entries()))
            self._gates = self._judged()
            async with anyio.create_task_group() as group:
                self._performer = Performer(self.plan, self._way, recorder, self.books, self._rollbacks, group)
                group.start_soon(self._live.run, self._on_change)
                group.start_soon(self._inspector.run)
                group.start_soon(self.books.run)
                group.start_soon(self._daemon.run)
                task_status.started()
                while True:
                    began = anyio.current_time()
                    await self.check()
                    # Nothing is judged while the routers come up, and nobody wants to wait a whole check for that.
                    starting = self._state.status is Status.STARTING
                    pause_s = self._live.look_s if starting else self.plan.check_interval_s
                    await anyio.sleep(max(0.0, pause_s - (anyio.current_time() - began)))
        finally:
            self._performer = None
            await self.books.closed()
            await recorder.aclose()

    async def check(self) -> None:
        """Ask every router once, decide, and do it."""
        timeout_s = min(5.0, max(SCRAPE_TIMEOUT_S, self.plan.check_interval_s))
        routers = await look_at_routers(self.plan, self._way.sockets, at=self._clock(), timeout_s=timeout_s)
        now = self._clock()
        jump_s = self._clocks.jumped_s(wall=now, monotonic=anyio.current_time())
        self._timeline.move(jump_s)
        for router in routers:
            if router.sample is not None:
                self._timeline.add(router.socket, router.sample)
            else:
                self._timeline.forget(router.socket)
        await self._remember(routers, now)
        counts = await self._way.counts(wanted(self.plan, self._state))
        self._seen = replace(self._observation(routers, now), counts=counts, clock_jump_s=jump_s)
        done = step(self.plan, self._state, self._seen, now=now)
        if any(is_forward(effect) for effect in done.effects):
            async with self._forward:
                await self._try_forward(step(self.plan, self._state, self._seen, now=now))
        else:
            await self._perform_now(done)
        self._live.checked(routers, now)
        self._on_change()

    async def act(self, action: Action) -> Receipt:
        """Do what an operator asks.

        Raises:
            Refused: if it can't be done; then nothing was changed.
        """
        self._parts()
        if action.action == "rehearse-back":
            return await self._rehearsals.asked(action)
        action = await self._counted(action)
        if is_back(action, self._state) or action.action in ("sign-off", "record-cause"):
            done = self._operate(action)
            told = await self._perform_now(done)
        else:
            self._check_version(action)
            async with self._forward:
                try:
                    done = self._operate(action)
                    told = await self._go_forward(done)
                except StoreUnavailable as error:
                    raise Refused("unavailable", str(error), "nothing goes forward without a record") from error
        self._on_change()
        state = self._state
        stands = state.reason or f"{self.plan.phases[state.phase].name} at {state.percent:g} %"
        return Receipt(
            action=action.action,
            says=done.says if action.action in ("override", "mode", "sign-off") else stands,
            version=self._view_version(),
            routed_ms=told.routed_ms if told else None,
            missing=told.missing if told else (),
            routers=told.answers if told else (),
            latched=told.latched if told and action.action == "kill-switch-on" else None,
        )

    async def preview(self, action: Action) -> Preview:
        """Say what an action would do, and change nothing.

        Raises:
            Refused: if it could not be done now.
        """
        action = await self._counted(action)
        done, version = self._operate(action), self._view_version()
        return await preview_of(
            self.plan, self._way, done, action=action.action, percent=self._state.percent, version=version
        )

    def raise_alert(self, severity: Severity, source: str, message: str, policy: Policy = "auto-resolve") -> None:
        """Put an alert of another part (a component, say) into the ledger; ignored while the rollout isn't running."""
        self._tell(RaiseAlert(severity, source, message, policy))

    def happened(self, kind: str, source: str) -> None:
        """Count what gates ask for over windows (`restarts`, say); ignored while the rollout isn't running."""
        if self._recorder is not None:
            self._recorder.happenings.note(kind, at=self._clock(), source=source)

    def _daemon_counted(self, status: DaemonStatus, at: float) -> None:
        if self._recorder is not None:
            happenings = self._recorder.happenings
            happenings.count(status.counts, at=at, source="daemon", instance=status.instance)

    def _tell(self, effect: RaiseAlert | ResolveAlerts) -> None:
        if self._performer is not None:
            self._performer.alert(effect, at=self._clock())

    def resolve_alerts(self, source: str) -> None:
        """Resolve what a source has open."""
        self._tell(ResolveAlerts(source))

    def sections(self) -> dict[str, Any]:
        """Return the sections of `View` that the rollout knows."""
        alerts = self._recorder.alerts.book.newest() if self._recorder else []
        return sections_of(
            Picture(
                plan=self.plan,
                state=self._state,
                seen=self._seen,
                gates=self._gates,
                live=self._live,
                alerts=[alert.shown() for alert in alerts],
                rollbacks=self._rollbacks.views,
                rehearsals=self._rehearsals.views,
                selector=self._selector,
                carried_before=self._carried_before,
                now=self._clock(),
            )
        )

    async def _counted(self, action: Action) -> Action:
        """Resolve a number of devices into the last one of them, and its percentage; a phase's own into its share."""
        if action.action in ("advance", "resume"):
            counts = await self._way.counts(wanted(self.plan, self._state, operator=True))
            self._seen = replace(self._seen, counts=counts)
        if action.action != "set" or action.devices is None:
            return action
        try:
            last, percentage = await self._way.last_of(action.devices)
        except RequestFailed as error:
            raise Refused("unavailable", f"devices can't be counted: {error}", "set a percentage instead") from error
        given = {**msgspec.structs.asdict(action), "percentage": percentage, "up_to": last}
        return msgspec.convert(given, Counted)

    def _operate(self, action: Action) -> Step:
        return operate(self.plan, self._state, self._seen, action, now=self._clock())

    async def _try_forward(self, done: Step) -> None:
        """Go forward at a check; what is refused now is decided anew at the next one."""
        try:
            await self._go_forward(done)
        except (StoreUnavailable, Refused) as error:
            self.raise_alert("degraded", STORE, f"not advancing: {error}")

    async def _go_forward(self, done: Step) -> Told | None:
        """Record a decision, then perform it; drop it when something went back meanwhile."""
        before = self._state
        if not (done.decided and any(is_forward(effect) for effect in done.effects)):
            return await self._perform_now(done)
        recorder, performer = self._parts()
        if done.state.phase != before.phase or done.kind == "started":
            await self.books.before(self.plan.phases[done.state.phase].name)
        number = await recorder.decide(entry_of(done, carried_s=self._seen.carried_s, at=self._clock()))
        if self._state.journal != before.journal:  # A check in between that decides nothing is no reason to refuse.
            raise Refused("stale", "the rollout went back while this was being recorded")
        self._assign(replace(done, state=msgspec.structs.replace(done.state, journal=number)))
        return await performer.perform(done, before=before, at=self._clock())

    async def _perform_now(self, done: Step) -> Told | None:
        """Take a step that needs no record first: change the state, act, then write it down."""
        before = self._state
        recorder, performer = self._parts()
        self._assign(done)
        told = await performer.perform(done, before=before, at=self._clock())
        if done.decided:
            recorder.done(entry_of(done, told, carried_s=self._seen.carried_s, at=self._clock()))
            await recorder.flush()
        if told is not None and told.rollback is not None:
            self.books.on_back()
        return told

    def _assign(self, done: Step) -> None:
        """Make a step's state the present one; the only place that does."""
        if done.state.phase != self._state.phase:
            self._carried_before[self.plan.phases[self._state.phase].name] = self._seen.carried_s
        if done.decided:
            log.info("%s: %s", done.kind, done.says)
            self._stale_before = self._view_version() + 1
        if done.state.routed_at != self._state.routed_at:
            self._inspector.again()
        self._state = done.state
        self._gates = self._judged()

    def _judged(self) -> tuple[tuple[str, Judgement], ...]:
        look = look_of(self.plan, self._state, self._seen, now=self._clock())
        return judge_gates(self.plan.phases[self._state.phase], look)

    def _show_again(self, past: Past) -> None:
        """Show what earlier supervisors of this run showed."""
        self._carried_before = dict(past.carried_s)
        self._rehearsals.remember(past.rehearsals)
        self._rollbacks = Rollbacks(self._way, past.rollbacks, keep=self._keep_settled, on_change=self._on_change)

    async def _keep_settled(self, view: RollbackView) -> None:
        """Journal what came of a way back; nothing waits for it."""
        settled = "not settled in time" if view.settled_ms is None else f"settled in {view.settled_ms:,.0f} ms"
        says = f"back to {view.to_phase}: moved {view.moved}, {settled}, {view.indeterminate} indeterminate"
        await self._keep("settled", says, Numbers(carried_s=self._seen.carried_s, rollback=view))
        self.books.on_back()

    async def _keep_rehearsal(self, view: RehearsalView) -> None:
        """Journal a rehearsal of the way back, and put it into the audit where the plan wanted it."""
        says = done_in_words(view)
        row = AuditRow(
            at=view.at,
            by=OWNER,
            action="rehearse-back",
            detail=msgspec.json.encode(view).decode(),
            outcome="refused" if view.problem else "done",
            says=says,
        )
        self.books.note_action(row)
        await self._keep("rehearsed", says, Numbers(carried_s=self._seen.carried_s, rehearsal=view))
        self._on_change()

    async def _keep(self, kind: str, says: str, numbers: Numbers) -> None:
        """Write an entry that decides nothing; what the disk refuses is written when it takes it."""
        if self._recorder is None:
            return
        async with self._forward:  # Not between a forward decision's record and its state: the newest entry is gone by.
            state = msgspec.json.encode(self._state)
            entry = Entry(at=self._clock(), kind=kind, says=says, numbers=msgspec.json.encode(numbers), state=state)
            self._recorder.done(entry)
            await self._recorder.flush()

    def _check_version(self, action: Action) -> None:
        if action.version is None:
            raise Refused("stale", f"{action.action} needs the version of the view it is based on")
        if action.version < self._stale_before:
            raise Refused("stale", "something was decided since that view", "look again")

    async def _remember(self, routers: tuple[RouterSeen, ...], now: float) -> None:
        """Keep what was seen, and say so when the disk refuses."""
        recorder, performer = self._parts()
        carried = self._soak.observe(routers, generation=self._state.generation)
        since = now - self.plan.longest_window_s
        kept = await recorder.observe(routers, carried, self._state, keep_since=since)
        if not kept:
            why = f"records can't be written, nothing advances: {recorder.trouble}"
            performer.alert(RaiseAlert("degraded", STORE, why), at=now)
        if await recorder.flush() and kept:
            performer.alert(ResolveAlerts(STORE), at=now)

    def _observation(self, routers: tuple[RouterSeen, ...], now: float) -> Observation:
        reading = self._way.read()
        selector = self._selector = reading.selector
        statuses = [router.status for router in routers if router.status is not None]
        alerts = tuple(self._recorder.alerts.book.open_at("warn")) if self._recorder else ()
        state = self._state
        return Observation(
            routers=routers,
            readings=Readings(
                timeline=self._timeline,
                now=now,
                control=self.plan.control,
                latency_limit_s=self.plan.latency_limit_s,
                control_observed=self.plan.file.legacy_observed,
                signals={
                    **signals_of(self.plan, routers, incidents=self.books.open_incidents),
                    **of_components(self.plan),
                    **self.costs(),
                    **self._daemon.readings(now=now),
                },
                happenings=happenings_of(self.plan, self._recorder.happenings.times) if self._recorder else {},
            ),
            carried_s=state.credit_s + self._soak.carried_s(state.generation, self._way.sockets),
            selector_generation=self._generation_of(selector) if selector else 0,
            selector_percent=selector.percentage if selector else 0.0,
            selector_cohort=selector.runtime.cohort if selector else (),
            killed=reading.state is SelectorState.KILLED
            or any(status.killed and status.generation >= state.generation for status in statuses),
            alerts=alerts,
            checks=self._inspector.results,
        )

    def _asked(self) -> frozenset[str]:
        """Return the checks that somebody waits for now."""
        state = self._state
        starting = state.status is Status.STARTING and state.generation == 0
        return asked_for(self.plan, self.plan.phases[state.phase], starting=starting)

    def _generation_of(self, selector: Selector) -> int:
        """Return which generation a selector counts as: one that was written by hand is the next one, once."""
        state = self._state
        edited = selector.generation == state.generation and selector.percentage != state.percent
        if state.generation == 0 or not (selector.generation == 0 or edited):
            return selector.generation
        if selector == self._by_hand:
            return state.generation
        self._by_hand = selector
        return state.generation + 1

    def _parts(self) -> tuple[Recorder, Performer]:
        if self._recorder is None or self._performer is None:
            raise Refused("unavailable", "the rollout is not running", "start it: agt up")
        return self._recorder, self._performer

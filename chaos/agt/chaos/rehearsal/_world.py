"""A rollout in virtual time: the engine's own step, windows, soak and alerts, around gateways that carry a fluid.

What the runner does with sockets and a disk is done here in the same order with neither: ask the gateways, remember,
decide, and perform; what goes forward needs its record first, what goes back doesn't. The operator is played too: signs
off what waits for a name. Months pass in seconds, because the checks in which nothing can happen are left out.
"""

import copy
import random
from dataclasses import dataclass, field
from typing import Final

from agt.chaos.rehearsal._conditions import HEALTHY, Cause
from agt.chaos.rehearsal._gateway import DEVICES, VirtualGateway
from agt.supervisor.actions import Action
from agt.supervisor.measure import Reading, Readings, RouterSeen, Timeline
from agt.supervisor.records import Alert, AlertBook
from agt.supervisor.rollout import Judgement, Plan, State, Status, Verdict
from agt.supervisor.rollout.engine import (
    DAEMON_LEVELS,
    Check,
    Checked,
    Counts,
    Kill,
    Observation,
    OpenIncident,
    RaiseAlert,
    ResolveAlerts,
    SetRoute,
    Share,
    Soak,
    Step,
    fresh,
    gate_name,
    happenings_of,
    is_forward,
    judge_hours,
    operate,
    signals_of,
    step,
)

BEGINS_AT: Final = 1_700_000_000.0
"""Wall clock at the beginning, seconds since the epoch."""
STRIDE_SHARE: Final = 24
"""While nothing happens, a phase's soak is passed in so many strides."""
STORE: Final = "store"
LOOKS: Final = 3
"""Checks at the plan's own pace after each stride, so that short windows have something to look at."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the journal."""

    number: int
    at_s: float
    """Since the beginning."""
    kind: str
    by: str
    says: str
    phase: str


@dataclass(slots=True)
class World:
    """One plan, its gateways, and a clock that `tick` moves."""

    plan: Plan
    rate: float = 100.0
    """Messages a second, over all gateways."""
    seed: int = 1
    state: State = field(init=False)
    wall: float = BEGINS_AT
    began: float = BEGINS_AT
    elapsed_s: float = 0.0
    """True time since the beginning."""
    gateways: list[VirtualGateway] = field(default_factory=list)
    timeline: Timeline = field(default_factory=Timeline)
    soak: Soak = field(default_factory=Soak)
    book: AlertBook = field(default_factory=AlertBook)
    journal: list[Decision] = field(default_factory=list)
    incidents: int = 0
    happenings: dict[str, list[float]] = field(default_factory=dict)
    selector: tuple[int, float] = (0, 0.0)
    """Generation and percentage on the disk."""
    signs: bool = True
    """Whether the people who are waited for sign."""
    jumped_s: float = 0.0
    gates: tuple[tuple[str, Judgement], ...] = ()
    cause: Cause = HEALTHY
    _checked: int = 0
    """Checks that the present cause has stood for."""
    _looks: int = 0
    """Checks since the last stride."""

    def __post_init__(self) -> None:
        self.state = fresh(self.plan, now=self.wall)
        dice = random.Random(self.seed)
        for number, socket in enumerate(self.plan.routers):
            share = self.rate / len(self.plan.routers)
            self.gateways.append(VirtualGateway(socket, self.plan, share, dice, number))

    @property
    def phase(self) -> str:
        """The present phase's name."""
        return self.plan.phases[self.state.phase].name

    def fork(self) -> "World":
        """Return a world that goes on by itself from here."""
        shared = (self.plan, self.state, self.cause, *self.journal)
        return copy.deepcopy(self, {id(one): one for one in shared})

    def begin(self, cause: Cause) -> None:
        """Let something go wrong from now on."""
        self.cause, self._checked = cause, 0
        fault = cause.supervisor
        self.wall += fault.clock_jumps_s + fault.suspended_s
        self.jumped_s = fault.clock_jumps_s + fault.suspended_s
        self.incidents += cause.incidents
        if fault.paused_s:
            self._pass(fault.paused_s)
        self._happens()

    def end(self) -> None:
        """Let it be over."""
        self._happens()
        if self.cause.alert:
            self.book.resolve(source="component", at=self.wall)
        self._tell(ResolveAlerts(STORE))
        self.incidents = max(0, self.incidents - self.cause.incidents)
        self.cause = HEALTHY

    def tick(self, seconds: float | None = None) -> Step:
        """Let one check's time pass, then check."""
        interval_s = self.plan.check_interval_s
        self._pass(interval_s if seconds is None else seconds)
        self._looks = 0 if seconds is not None and seconds > interval_s else self._looks + 1
        if self.cause.gateway.restarts and not self._checked:
            for gateway in self.gateways:
                if self.cause.gateway.only in (-1, gateway.number):
                    gateway.start_anew()
        if self.cause.alert:
            self.book.raise_alert(at=self.wall, severity=self.cause.alert, source="component", message=self.cause.says)
        done = self._check()
        self._checked += 1
        self._sign()
        return done

    def act(self, action: Action) -> Step:
        """Do what an operator asks.

        Raises:
            Refused: when it can't be done now.
        """
        done = operate(self.plan, self.state, self._observe(self._ask()), action, now=self.wall)
        self._perform(done)
        return done

    def stride_s(self) -> float:
        """Return how long nothing can happen: a check's time, or much more while all is well and soaks."""
        quiet = (
            self.cause is HEALTHY
            and self._looks >= LOOKS
            and self.state.status is Status.RUNNING
            and self.state.applied_at is not None
            and not self.state.breaches
            and all(gateway.settled == self.state.generation for gateway in self.gateways)
        )
        if not quiet:
            return self.plan.check_interval_s
        phase = self.plan.phases[self.state.phase]
        windows = [self.plan.window_s(gate.window) for gate in phase.gate if gate.window]
        return max(self.plan.check_interval_s, min([self.plan.soak_s(phase), *windows]) / STRIDE_SHARE)

    def alerts(self) -> list[Alert]:
        """Return what is open."""
        return self.book.open_at("warn")

    def _pass(self, seconds: float) -> None:
        self.wall += seconds
        self.elapsed_s += seconds
        for gateway in self.gateways:
            gateway.passes(seconds, self.cause)

    def _ask(self) -> tuple[RouterSeen, ...]:
        fault = self.cause.gateway
        return tuple(
            gateway.seen(at=self.wall, forgets=fault.forgets and fault.only in (-1, gateway.number))
            for gateway in self.gateways
        )

    def _check(self) -> Step:
        routers = self._ask()
        self.timeline.move(self.jumped_s)
        if self.cause.supervisor.disk_full:
            self._tell(RaiseAlert("degraded", STORE, "records can't be written, nothing advances"))
        for router in routers:
            if router.sample is not None:
                self.timeline.add(router.socket, router.sample)
            else:
                self.timeline.forget(router.socket)
        self.soak.observe(routers, generation=self.state.generation)
        done = step(self.plan, self.state, self._observe(routers), now=self.wall)
        self.jumped_s = 0.0
        self.gates = done.gates
        self._perform(done)
        return done

    def _perform(self, done: Step) -> None:
        if self.cause.supervisor.disk_full and any(is_forward(effect) for effect in done.effects):
            return
        before, self.state = self.state, done.state
        if done.decided:
            phase = self.plan.phases[before.phase].name
            self.journal.append(Decision(done.state.journal, self.elapsed_s, done.kind, done.by, done.says, phase))
        for effect in done.effects:
            if isinstance(effect, SetRoute):
                self._route(effect)
            elif isinstance(effect, Kill):
                self.selector = (0, 0.0)
                for gateway in self.gateways:
                    gateway.killed, gateway.percent, gateway.cohort = True, 0.0, 0.0
            elif isinstance(effect, OpenIncident):
                self.incidents += 1
            elif isinstance(effect, RaiseAlert | ResolveAlerts):
                self._tell(effect)

    def _route(self, effect: SetRoute) -> None:
        self.selector = (effect.generation, self.state.percent)
        for gateway in self.gateways:
            gateway.apply(effect.route, effect.generation, self.state.percent)

    def _tell(self, effect: RaiseAlert | ResolveAlerts) -> None:
        if isinstance(effect, ResolveAlerts):
            self.book.resolve(source=effect.source, at=self.wall)
        else:
            self.book.raise_alert(
                at=self.wall,
                severity=effect.severity,
                source=effect.source,
                message=effect.message,
                policy=effect.policy,
            )

    def _observe(self, routers: tuple[RouterSeen, ...]) -> Observation:
        plan, state = self.plan, self.state
        numbers = {phase.route.devices for phase in plan.phases} - {None}
        shares = {count: Share(percent=100.0 * count / DEVICES, up_to=f"device-{count}") for count in numbers if count}
        return Observation(
            routers=routers,
            readings=Readings(
                timeline=self.timeline,
                now=self.wall,
                control=plan.control,
                latency_limit_s=plan.latency_limit_s,
                control_observed=plan.file.legacy_observed,
                signals={
                    **signals_of(plan, routers, incidents=self.incidents),
                    **dict.fromkeys(DAEMON_LEVELS, Reading(0.0, samples=1)),
                },
                happenings=happenings_of(plan, lambda kind: self.happenings.get(kind, [])),
            ),
            carried_s=state.credit_s + self.soak.carried_s(state.generation, plan.routers),
            selector_generation=self.selector[0],
            selector_percent=self.selector[1],
            killed=any(gateway.killed for gateway in self.gateways),
            alerts=tuple(self.alerts()),
            checks={check.name: self._look(check) for check in plan.file.check},
            counts=Counts(shares=shares),
            clock_jump_s=self.jumped_s,
        )

    def _look(self, check: Check) -> Checked:
        if self.cause.check in (check.name, "*"):
            return Checked(Judgement(Verdict.FAILED, self.cause.says), at=self.wall)
        if check.hours is not None:
            return Checked(judge_hours(check.hours, now=self.wall), at=self.wall)
        return Checked(Judgement(Verdict.PASSED, "rehearsed"), at=self.wall)

    def _sign(self) -> None:
        """Sign what waits for a name."""
        if not self.signs or self.state.status is not Status.RUNNING:
            return
        for gate in self.plan.phases[self.state.phase].gate:
            if gate.sign_off and gate_name(gate) not in self.state.sign_offs:
                self.act(Action(action="sign-off", by=f"the {gate.sign_off}", name=gate_name(gate)))

    def _happens(self) -> None:
        if self.cause.happens:
            self.happenings.setdefault(self.cause.happens, []).append(self.wall)

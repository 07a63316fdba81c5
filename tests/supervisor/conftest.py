"""A bench for the engine: routers that say what a test wants them to have carried, and a clock that it moves."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from agt.supervisor.measure import (
    Reading,
    Readings,
    RouterSample,
    RouterSeen,
    RouterStatus,
    RuntimeCounters,
    RuntimeGauges,
    Timeline,
)
from agt.supervisor.rollout import Plan, State, parse_plan
from agt.supervisor.rollout._effects import Effect, Kill, SetRoute
from agt.supervisor.rollout._engine import step
from agt.supervisor.rollout._step import Observation, Step
from agt.supervisor.rollout._turns import fresh

PLAN = """
schema = 1
name = "three-steps"
checks_every = "1s"
[runtimes]
control = "old"
candidate = "new"
[[objective]]
name = "success"
metric = "success_ratio"
at_least = 0.99
[[objective]]
name = "p99"
metric = "p99_seconds"
at_most = 0.8
[[phase]]
name = "shadow"
route = { shadow = "candidate" }
soak = "5s"
[[phase.gate]]
metric = "samples"
runtime = "control"
at_least = 50
[[phase]]
name = "half"
route = { percent = 50 }
soak = "10s"
[[phase.gate]]
objective = "all"
[[phase]]
name = "most"
route = { percent = 90 }
soak = "10s"
[[phase.gate]]
objective = "all"
[[rule]]
name = "slo"
when = { objective = "any", violated_for = "3 checks" }
then = "rollback"
phases = ["half"]
[[rule]]
name = "slo-late"
when = { objective = "any", violated_for = "3 checks" }
then = "previous_phase"
phases = ["most"]
"""


@dataclass
class Counts:
    """What a runtime counts in a second, and what it holds."""

    good: float = 0.0
    bad: float = 0.0
    latency_s: float = 0.1
    stuck: float = 0.0


@dataclass
class Bench:
    """One router, one plan, one clock. `tick` is one check of the engine."""

    plan: Plan
    state: State
    now: float = 1000.0
    router: str = "r1"
    up: bool = True
    killed: bool = False
    lag_s: float = 0.0
    signals: dict[str, Reading] = field(default_factory=dict)
    counted: bool = True
    """Whether somebody has counts of the router; a Prometheus server that is away has none."""
    generation: int = 0
    carried: dict[int, float] = field(default_factory=dict)
    old: Counts = field(default_factory=lambda: Counts(good=100))
    new: Counts = field(default_factory=Counts)
    timeline: Timeline = field(default_factory=Timeline)
    totals: dict[str, dict[str, float]] = field(default_factory=dict)
    done: list[Effect] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def observe(self) -> Observation:
        """Return what a check would see now."""
        seen = RouterSeen(socket="gateway.sock", error="gateway.sock can't be reached")
        if self.up:
            sample = self._sample()
            if self.counted:
                self.timeline.add("gateway.sock", sample)
            status = RouterStatus(
                router=self.router,
                generation=self.generation,
                settled_generation=self.generation,
                carried_s={str(key): value for key, value in self.carried.items()},
            )
            seen = RouterSeen(socket="gateway.sock", status=status, sample=sample)
            if not self.counted:
                seen = RouterSeen(socket="gateway.sock", status=status, error="Prometheus can't be reached")
        else:
            self.timeline.forget("gateway.sock")
        return Observation(
            routers=(seen,),
            readings=Readings(
                timeline=self.timeline,
                now=self.now,
                control=self.plan.control,
                latency_limit_s=self.plan.latency_limit_s,
                signals=self.signals,
            ),
            carried_s=self.carried.get(self.state.generation, 0.0),
            selector_generation=self.generation,
            killed=self.killed,
        )

    def tick(self, seconds: float = 1.0) -> Step:
        """Let time pass, check once, and do what the engine says."""
        self.now += seconds
        if self.up:
            self.carried[self.generation] = self.carried.get(self.generation, 0.0) + seconds
            for name, counts in ((self.plan.control, self.old), (self.plan.candidate, self.new)):
                self._count(name, counts, seconds)
        done = step(self.plan, self.state, self.observe(), now=self.now)
        self.take(done)
        return done

    def take(self, done: Step) -> None:
        """Make a step real."""
        self.state = done.state
        if done.decided:
            self.said.append(done.kind)
        for effect in done.effects:
            self.done.append(effect)
            if isinstance(effect, SetRoute) and self.up:
                self.generation = effect.generation
                self.killed = self.killed and not effect.ends_kill
            elif isinstance(effect, Kill):
                self.killed = True

    def until(self, phase: str, *, limit: int = 200) -> None:
        """Tick until the phase is entered; the candidate carries cleanly meanwhile."""
        for _ in range(limit):
            if self.plan.phases[self.state.phase].name == phase and self.state.applied_at is not None:
                return
            self.new.good = 50.0 if self.state.percent else 0.0
            self.tick()
        raise AssertionError(f"never came to {phase}: {self.state}")

    def _count(self, name: str, counts: Counts, seconds: float) -> None:
        total = self.totals.setdefault(name, {"good": 0.0, "bad": 0.0, "fast": 0.0})
        total["good"] += counts.good * seconds
        total["bad"] += counts.bad * seconds
        total["fast"] += counts.good * seconds if counts.latency_s <= 0.8 else 0.0

    def _sample(self) -> RouterSample:
        counters = {}
        for name in (self.plan.control, self.plan.candidate):
            total = self.totals.get(name, {"good": 0.0, "bad": 0.0, "fast": 0.0})
            good, bad = total["good"], total["bad"]
            counters[name] = RuntimeCounters(
                accepted=good + bad,
                delivered=good,
                not_delivered=bad,
                sent=good + bad,
                observed_replies=good,
                observed_missing=bad,
                latency={0.1: total["fast"], 0.8: total["fast"], 5.0: good, float("inf"): good},
            )
        gauges = {
            name: RuntimeGauges(in_flight=counts.stuck, older_than={0.5: counts.stuck, 0.8: counts.stuck})
            for name, counts in ((self.plan.control, self.old), (self.plan.candidate, self.new))
        }
        return RouterSample(router=self.router, at=self.now, counters=counters, gauges=gauges, loop_lag_s=self.lag_s)


@pytest.fixture
def plan_text() -> str:
    """The text of a small plan: shadow, half, most."""
    return PLAN


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    """Make a bench for a plan's text."""

    def make(text: str = PLAN) -> Bench:
        plan = parse_plan(text)
        return Bench(plan, fresh(plan, now=1000.0))

    return make


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    """A bench with the small plan."""
    return make_bench()

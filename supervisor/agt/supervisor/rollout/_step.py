"""What one check saw, and what came of it: the two records that the engine's functions hand to each other. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agt.supervisor.measure import Readings, RouterSeen
from agt.supervisor.records import Alert
from agt.supervisor.rollout._checks import Checked
from agt.supervisor.rollout._counting import Counts
from agt.supervisor.rollout._effects import Effect
from agt.supervisor.rollout._gates import Look, gate_name, judge_gate
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Phase
from agt.supervisor.rollout._state import State
from agt.supervisor.rollout._verdict import Judgement, Verdict, worst


@dataclass(frozen=True, slots=True)
class Observation:
    """What one check saw."""

    routers: tuple[RouterSeen, ...]
    readings: Readings
    carried_s: float
    """How long the present generation has been carried, by the routers' clocks."""
    selector_generation: int
    """Of the selector as it is on the disk, 0 when there is none; one that was written by hand counts as the next."""
    killed: bool = False
    """Whether a kill holds, in the selector's place or in a router."""
    alerts: tuple[Alert, ...] = ()
    """Open ones."""
    checks: Mapping[str, Checked] = field(default_factory=dict)
    """The newest results of named checks."""
    selector_percent: float = 0.0
    """What the selector on the disk routes to the candidate."""
    selector_cohort: tuple[str, ...] = ()
    """Whom the selector on the disk has in its cohort."""
    counts: Counts = field(default_factory=Counts)
    """What the next phase's number of devices is as a share."""
    clock_jump_s: float = 0.0
    """How far the supervisor's wall clock has moved since the check before, beyond the time that has passed."""


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one event or check."""

    state: State
    effects: tuple[Effect, ...] = ()
    says: str = ""
    """The decision in words; empty when nothing was decided."""
    kind: str = ""
    """The decision's name in the journal."""
    by: str = ""
    """Who went back: a rule's name, or `operator`."""
    gates: tuple[tuple[str, Judgement], ...] = ()
    """The phase's gates at this check."""

    @property
    def decided(self) -> bool:
        """Whether there is anything to record."""
        return bool(self.says)


def look_of(plan: Plan, state: State, seen: Observation, *, now: float) -> Look:
    """Return what conditions are judged on."""
    return Look(
        plan=plan,
        readings=seen.readings,
        now=now,
        since=state.since,
        candidate_since=state.candidate_since,
        alerts=seen.alerts,
        checks=seen.checks,
        phase=state.phase,
        visit=state.visits.get(plan.phases[state.phase].name, 1),
        sign_offs=state.sign_offs,
        baseline=state.baseline,
    )


def judge_gates(phase: Phase, look: Look) -> tuple[tuple[str, Judgement], ...]:
    """Return how each gate of a phase stands."""
    return tuple((gate_name(gate), judge_gate(gate, look)) for gate in phase.gate)


def gates_passed(gates: tuple[tuple[str, Judgement], ...]) -> bool:
    """Return whether all gates are passed; a phase without gates asks for nothing."""
    return not gates or worst((judged for _, judged in gates), empty="").verdict is Verdict.PASSED

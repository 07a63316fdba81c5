"""The engine's step: from a state and what is seen to a new state and effects. Pure; time is an argument.

At each check, in this order: has someone killed or changed the route behind our back; is a fault standing that isn't
the candidate's; does a rule speak; may the phase be left. A step makes at most one decision, so that the journal reads
as one line of reasons. `_runner` performs what comes out: forward effects after their record, the others before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from agt.supervisor.measure import Readings, RouterSeen
from agt.supervisor.records import Alert
from agt.supervisor.rollout._attribution import UNANSWERED, Fault, find_fault, is_clean, unanswered_share
from agt.supervisor.rollout._checks import Checked, failed_recurring, preflight_missing
from agt.supervisor.rollout._counting import Counts, NotCounted, remembered, share_again, share_of
from agt.supervisor.rollout._effects import Effect, Kill, Number, OpenIncident, RaiseAlert, ResolveAlerts, SetRoute
from agt.supervisor.rollout._gates import Look, gate_name, judge_gate, judge_objective
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Phase, Route
from agt.supervisor.rollout._rules import RuleLook, applies, counted, look_at, speaking
from agt.supervisor.rollout._state import TRANSITIONS, Event, Share, State, Status, moved
from agt.supervisor.rollout._verdict import Judgement, Verdict, worst

TO_CONTROL: Final = Route()
"""Everything on control, nothing mirrored."""
ROLLBACK: Final = "rollback"
"""Source of the alert that stands until a cause is recorded."""
RECURRING: Final = "recurring-check"
"""Source of the alert that a failed recurring check raises."""
KILL_SWITCH: Final = "kill-switch"
"""Source of the alert that stands until the kill switch is lifted."""
BASELINE_METRICS: Final = ("p50_seconds", "p95_seconds", "p99_seconds", "success_ratio")
_JUDGED: Final = (Status.RUNNING, Status.HELD, Status.ROLLED_BACK, Status.CLEARED, Status.COMPLETE)
"""Where rules may speak: everywhere that the candidate may carry traffic, except while a fault is standing."""


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


def fresh(plan: Plan, *, now: float) -> State:
    """Return the state of a rollout that has never run."""
    return State(plan=plan.name, entered_at=now)


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


def step(plan: Plan, state: State, seen: Observation, *, now: float) -> Step:
    """Return what to do after one check."""
    state = _applied(plan, state, seen, now)
    look = look_of(plan, state, seen, now=now)
    gates = judge_gates(plan.phases[state.phase], look)
    done = _outside(plan, state, seen, now) or _fault(plan, state, seen, look) or _recurring(plan, state, look)
    if done is None:
        done = _rules(plan, state, seen, look)
        if not done.decided and not _counting(plan, done.state):
            done = _forward(plan, done.state, seen, look, gates)
    return replace(done, gates=gates)


def judge_gates(phase: Phase, look: Look) -> tuple[tuple[str, Judgement], ...]:
    """Return how each gate of a phase stands."""
    return tuple((gate_name(gate), judge_gate(gate, look)) for gate in phase.gate)


def gates_passed(gates: tuple[tuple[str, Judgement], ...]) -> bool:
    """Return whether all gates are passed; a phase without gates asks for nothing."""
    return not gates or worst((judged for _, judged in gates), empty="").verdict is Verdict.PASSED


def next_generation(state: State, seen: Observation) -> int:
    """Return a generation that is newer than anything seen."""
    routers = (router.status.generation for router in seen.routers if router.status)
    return max(state.generation, seen.selector_generation, *routers, 0) + 1


def enter(plan: Plan, state: State, seen: Observation, event: Event, index: int, *, now: float, says: str) -> Step:
    """Return the step that begins a phase and routes what it says.

    Raises:
        NotCounted: when it goes by a number of devices that can't be counted out now.
    """
    phase, share = plan.phases[index], share_of(plan.phases[index], seen.counts)
    since = state.candidate_since if state.candidate_since is not None or not phase.route.sends else now
    after = moved(
        state,
        event,
        **_routed(state, seen, share, now),
        counted=remembered(phase, state, share),
        phase=index,
        visits=_visited(state, plan.phases[index].name),
        entered_at=now,
        sign_offs={},
        reason="",
        candidate_since=since,
        suspended_since=None,
        back_from="",
        cause="",
    )
    effect = SetRoute(after.journal, after.generation, phase.route, forward=True, up_to=share.up_to)
    return Step(after, (effect, RaiseAlert("info", "rollout", says)), says, event.value)


def _visited(state: State, phase: str) -> dict[str, int]:
    """Count one more visit: each has less to spend on tests than the one before."""
    return {**state.visits, phase: state.visits.get(phase, 0) + 1}


def go_back(plan: Plan, state: State, seen: Observation, *, to: int | None, says: str, by: str) -> Step:
    """Return the step that goes back: to an earlier phase, or to control when `to` is None."""
    route = TO_CONTROL if to is None else plan.phases[to].route
    share = Share() if to is None else share_again(plan.phases[to], state)
    event = Event.ROLLED_BACK if to is None else Event.STEPPED_BACK
    after = moved(
        state,
        event,
        **_routed(state, seen, share, seen.readings.now),
        phase=state.phase if to is None else to,
        reason=says,
        back_from=plan.phases[state.phase].name,
        candidate_since=None if to is None else state.candidate_since,
        cause="",
    )
    effects: tuple[Effect, ...] = (
        SetRoute(after.journal, after.generation, route, forward=False, up_to=share.up_to),
        RaiseAlert("escalate", ROLLBACK, says),
    )
    return Step(after, effects, says, event.value, by)


def kill(state: State, *, says: str, by: str) -> Step:
    """Return the step that sends everything to control at once and keeps it there."""
    after = moved(
        state, Event.KILLED, journal=state.journal + 1, percent=0.0, up_to="", reason=says, candidate_since=None
    )
    effects = (Kill(after.journal, says), RaiseAlert("escalate", KILL_SWITCH, says))
    return Step(after, effects, says, Event.KILLED.value, by)


def _routed(state: State, seen: Observation, share: Share, now: float) -> dict[str, Any]:
    """Return the changes that every new route brings: windows and counts start over."""
    return {
        "journal": state.journal + 1,
        "generation": next_generation(state, seen),
        "percent": share.percent,
        "up_to": share.up_to,
        "amendment": None,
        "credit_s": 0.0,
        "by_hand": False,
        "routed_at": now,
        "applied_at": None,
        "window_since": None,
        "breaches": {},
        "fired": (),
    }


def _applied(plan: Plan, state: State, seen: Observation, now: float) -> State:
    """Note when every router was first seen to apply the route, and which instances they are."""
    statuses = [router.status for router in seen.routers if router.status is not None]
    everyone = len(statuses) == len(plan.routers) and state.generation > 0
    if everyone and state.applied_at is None and all(one.settled_generation >= state.generation for one in statuses):
        instances = {router.socket: router.status.router for router in seen.routers if router.status}
        state = msgspec.structs.replace(state, applied_at=now, routers=instances)
        if state.status is Status.STARTING:
            state = moved(state, Event.APPLIED, reason="")
    return state


def _outside(plan: Plan, state: State, seen: Observation, now: float) -> Step | None:
    """React to a kill, a lifted kill, a selector that someone else wrote, and an effect that was cut off."""
    if seen.killed:
        return Step(state) if state.status is Status.KILLED else kill(state, says="killed from outside", by="outside")
    if seen.selector_generation > state.generation and state.generation > 0:
        return _adopted(state, seen)
    if state.status is Status.KILLED:  # The selector is still there: the kill was cut off.
        return Step(state, (Kill(state.journal, state.reason),))
    if state.status is Status.STARTING and state.generation == 0:
        return _started(plan, state, seen, now)
    if seen.selector_generation < state.generation:
        forward = state.status not in (Status.ROLLED_BACK, Status.CLEARED)
        # A change beside the route is made to the selector there is: the phase's own words would undo earlier ones.
        beside = state.amendment is not None and seen.selector_generation > 0
        route = None if beside else current_route(plan, state)
        return Step(
            state,
            (
                SetRoute(
                    state.journal,
                    state.generation,
                    route,
                    forward=forward,
                    up_to=state.up_to,
                    amendment=state.amendment,
                ),
            ),
        )
    return None


def current_route(plan: Plan, state: State) -> Route:
    """Return the route that the state stands for."""
    phase = plan.phases[state.phase]
    if state.by_hand:
        # What an operator has switched beside the percentage stays.
        by_hand: dict[str, Any] = {"percent": state.percent, "devices": None, "default": "control", "components": {}}
        return msgspec.structs.replace(phase.route, **by_hand)
    back = state.status in (Status.ROLLED_BACK, Status.CLEARED, Status.KILLED) and state.back_from == phase.name
    return TO_CONTROL if back else phase.route


def _adopted(state: State, seen: Observation) -> Step:
    """Take a selector that someone else wrote for what it is, and wait for someone to say how to go on."""
    says = f"someone wrote the selector (generation {seen.selector_generation}): {seen.selector_percent:g} %"
    event = Event.KILL_LIFTED if state.status is Status.KILLED else Event.HELD
    if (state.status, event) in TRANSITIONS:
        state = moved(state, event)
    after = msgspec.structs.replace(
        state,
        journal=state.journal + 1,
        generation=seen.selector_generation,
        percent=seen.selector_percent,
        up_to="",
        amendment=None,
        credit_s=0.0,
        by_hand=True,
        applied_at=None,
        reason=says,
    )
    # Only what has no number of its own, or had it twice, is given one; the others are left as they are.
    effects = (Number(after.journal, after.generation), RaiseAlert("warn", "selector", says))
    return Step(after, effects, says, event.value)


def _started(plan: Plan, state: State, seen: Observation, now: float) -> Step | None:
    if any(router.status is None for router in seen.routers):
        missing = next(router.error for router in seen.routers if router.status is None)
        return Step(msgspec.structs.replace(state, reason=missing))
    if missing := preflight_missing(plan, seen.checks, now=now):
        return Step(msgspec.structs.replace(state, reason=missing))
    phase = plan.phases[0]
    try:
        share = share_of(phase, seen.counts)
    except NotCounted as missing_devices:
        return Step(msgspec.structs.replace(state, reason=str(missing_devices)))
    says = f"started {plan.name} with {phase.name}"
    after = msgspec.structs.replace(
        state,
        **_routed(state, seen, share, now),
        counted=remembered(phase, state, share),
        entered_at=now,
        candidate_since=now if phase.route.sends else None,
        reason="waits until every router applies the first route",
    )
    effect = SetRoute(after.journal, after.generation, phase.route, forward=True, up_to=share.up_to)
    return Step(after, (effect,), says, "started")


def _fault(plan: Plan, state: State, seen: Observation, look: Look) -> Step | None:
    """Suspend for what isn't the candidate's fault, and go on after a clean window."""
    if state.status not in (Status.RUNNING, Status.SUSPENDED):
        return None
    fault = find_fault(state, seen.routers, look)
    if fault is not None:
        return _suspended(state, seen, fault, look.now)
    if state.status is Status.RUNNING:
        return None
    if not is_clean(state, look):
        waited_s = look.now - (look.since or look.now)
        return Step(_restart_window(state, look, waited_s))
    says = f"goes on: {plan.phases[state.phase].name} has a clean window again"
    after = moved(
        state, Event.FAULT_CLEARED, journal=state.journal + 1, reason="", suspended_since=None, breaches={}, fired=()
    )
    return Step(after, (ResolveAlerts("attribution"), RaiseAlert("info", "rollout", says)), says, "fault-cleared")


def _suspended(state: State, seen: Observation, fault: Fault, now: float) -> Step:
    instances = {router.socket: router.status.router for router in seen.routers if router.status}
    changes: dict[str, Any] = {
        "window_since": now,
        "candidate_since": None if state.candidate_since is None else now,
        "routers": {**state.routers, **instances},
        "reason": fault.reason,
        "breaches": {},
    }
    if state.status is Status.SUSPENDED:
        return Step(msgspec.structs.replace(state, **changes))
    after = moved(state, Event.FAULT_SEEN, journal=state.journal + 1, suspended_since=now, **changes)
    return Step(after, (RaiseAlert("degraded", "attribution", fault.reason),), fault.reason, "fault-seen")


def _restart_window(state: State, look: Look, waited_s: float) -> State:
    """Let the window start over when it has run its length and still holds what the fault left behind."""
    if look.since is not None and waited_s >= look.plan.check_interval_s * 2:
        judged = [judge_objective(one, look) for one in look.plan.objectives]
        if any(one.verdict is Verdict.FAILED for one in judged):
            budgets = None if state.candidate_since is None else look.now
            return msgspec.structs.replace(state, window_since=look.now, candidate_since=budgets)
    return state


def _recurring(plan: Plan, state: State, look: Look) -> Step | None:
    """Hold for a recurring check of the phase that has failed."""
    phase = plan.phases[state.phase]
    if state.status is not Status.RUNNING:
        return None
    failed = failed_recurring(plan, phase, look.checks, now=look.now, since=look.since)
    if not failed:
        return None
    says = f"recurring check failed: {failed}"
    after = moved(state, Event.HELD, journal=state.journal + 1, reason=says)
    return Step(after, (RaiseAlert("degraded", RECURRING, says),), says, "held")


def _rules(plan: Plan, state: State, seen: Observation, look: Look) -> Step:
    """Count what is violated, and let the most urgent rule that is ripe speak."""
    if state.status not in _JUDGED or not (state.percent or state.status is Status.RUNNING):
        return Step(state)
    phase = plan.phases[state.phase]
    # While moves settle nothing can pass, but a candidate that stalls in the middle of them has to be seen.
    look = replace(look, since=look.since or state.routed_at)
    looks = [look_at(rule, look) for rule in plan.rules if applies(rule, phase.name)]
    breaches = counted(looks, state.breaches)
    fired = tuple(name for name in state.fired if name in breaches)
    state = msgspec.structs.replace(state, breaches=breaches, fired=fired)
    speaker = speaking(looks, breaches, plan, silent=fired)
    return Step(state) if speaker is None else _react(plan, state, seen, speaker)


def _counting(plan: Plan, state: State) -> bool:
    """Return whether a rule that would stop or turn the rollout is being violated: then nothing advances."""
    return any(rule.then != "notify" and rule.name in state.breaches for rule in plan.rules)


def _react(plan: Plan, state: State, seen: Observation, look: RuleLook) -> Step:
    done = _answer(plan, state, seen, look)
    if not look.rule.incident:
        return done
    title = f"{look.rule.name} in {plan.phases[state.phase].name}"
    return replace(done, effects=(*done.effects, OpenIncident(look.rule.incident, title, look.rule.name)))


def _answer(plan: Plan, state: State, seen: Observation, look: RuleLook) -> Step:
    rule = look.rule
    says = f"{rule.name}: {look.reason} ({state.breaches[rule.name]} checks in a row)"
    if rule.then == "rollback":
        return go_back(plan, state, seen, to=None, says=says, by=rule.name)
    if rule.then == "previous_phase":
        return go_back(plan, state, seen, to=plan.back_from(state.phase), says=says, by=rule.name)
    after = msgspec.structs.replace(state, fired=(*state.fired, rule.name), journal=state.journal + 1)
    if rule.then == "notify" or state.status is not Status.RUNNING:
        return Step(after, (RaiseAlert("warn", rule.name, says),), says, "notified")
    return Step(moved(after, Event.HELD, reason=says), (RaiseAlert("degraded", rule.name, says),), says, "held")


def _forward(plan: Plan, state: State, seen: Observation, look: Look, gates: tuple[tuple[str, Judgement], ...]) -> Step:
    """Leave the phase when it was carried for long enough and every gate is passed."""
    phase = plan.phases[state.phase]
    ready = state.status is Status.RUNNING and state.applied_at is not None and not state.by_hand
    if not ready or seen.carried_s < plan.soak_s(phase) or not gates_passed(gates):
        return Step(state)
    try:
        return advance(plan, _with_baseline(state, phase, look), seen, now=look.now, by="all gates passed")
    except NotCounted as missing:
        return Step(msgspec.structs.replace(state, reason=str(missing)))


def advance(plan: Plan, state: State, seen: Observation, *, now: float, by: str) -> Step:
    """Return the step into the next phase, or to the end after the last one."""
    phase = plan.phases[state.phase]
    if state.phase + 1 < len(plan.phases):
        following = plan.phases[state.phase + 1]
        says = f"{phase.name} -> {following.name}: {by}"
        return enter(plan, state, seen, Event.ADVANCED, state.phase + 1, now=now, says=says)
    says = f"{plan.name} is complete: {by}"
    after = moved(state, Event.COMPLETED, journal=state.journal + 1, reason="")
    return Step(after, (RaiseAlert("info", "rollout", says),), says, Event.COMPLETED.value)


def _with_baseline(state: State, phase: Phase, look: Look) -> State:
    """Keep control's measures where the plan says so, or before the candidate carries anything."""
    if not phase.baseline and phase.route.sends:
        return state
    start = look.since or look.now
    values: Mapping[str, float | None] = {
        metric: look.readings.read(metric, look.plan.control, start=start).value for metric in BASELINE_METRICS
    } | {UNANSWERED: unanswered_share(look)}
    return msgspec.structs.replace(state, baseline={name: value for name, value in values.items() if value is not None})

"""The engine's step: from a state and what is seen to a new state and effects. Pure; time is an argument.

At each check, in this order: has someone killed or changed the route behind our back; is a fault standing that isn't
the candidate's; does a rule speak; may the phase be left. A step makes at most one decision, so that the journal reads
as one line of reasons. `_runner` performs what comes out: forward effects after their record, the others before.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import msgspec

from agt.supervisor.resources import RESOURCES
from agt.supervisor.rollout._attribution import UNANSWERED, unanswered_share
from agt.supervisor.rollout._checks import failed_recurring, preflight_missing
from agt.supervisor.rollout._clock import clock_was_set, moved_with_clock
from agt.supervisor.rollout._counting import NotCounted, remembered, share_of
from agt.supervisor.rollout._effects import OpenIncident, RaiseAlert, SetRoute, is_forward
from agt.supervisor.rollout._freeze import frozen, thawed
from agt.supervisor.rollout._gates import Look
from agt.supervisor.rollout._metrics import BASELINE_METRICS
from agt.supervisor.rollout._outside import from_fault, from_outside, written_again
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Phase
from agt.supervisor.rollout._rules import RuleLook, applies, counted, look_at, speaking
from agt.supervisor.rollout._state import Event, State, Status, moved
from agt.supervisor.rollout._step import Observation, Step, gates_passed, judge_gates, look_of
from agt.supervisor.rollout._turns import advance, current_route, go_back, routed
from agt.supervisor.rollout._verdict import Judgement

RECURRING: Final = "recurring-check"
"""Source of the alert that a failed recurring check raises."""
_JUDGED: Final = (Status.RUNNING, Status.HELD, Status.ROLLED_BACK, Status.CLEARED, Status.COMPLETE)
"""Where rules may speak: everywhere that the candidate may carry traffic, except while a fault is standing."""


def step(plan: Plan, state: State, seen: Observation, *, now: float) -> Step:
    """Return what to do after one check."""
    state = _applied(plan, moved_with_clock(state, seen.clock_jump_s), seen, now)
    look = look_of(plan, state, seen, now=now)
    gates = judge_gates(plan.phases[state.phase], look)
    done = (
        from_outside(state, seen)
        or clock_was_set(state, seen)
        or _started(plan, state, seen, now)
        or _written_again(plan, state, seen, now)
        or from_fault(plan, state, seen, look)
        or _recurring(plan, state, look)
        or thawed(state, now=now)
    )
    if done is None:
        done = _rules(plan, state, seen, look)
        if not done.decided and not _counting(plan, done.state):
            done = _forward(plan, done.state, seen, look, gates)
    return replace(done, gates=gates)


def _written_again(plan: Plan, state: State, seen: Observation, now: float) -> Step | None:
    """Write a route that was cut off; what goes forward waits for the end of a freeze."""
    again = written_again(plan, state, seen)
    forward = again is not None and any(is_forward(effect) for effect in again.effects)
    return None if forward and frozen(plan, state, now=now) else again


def _applied(plan: Plan, state: State, seen: Observation, now: float) -> State:
    """Note when every router was first seen to apply the route, and which instances they are."""
    statuses = [router.status for router in seen.routers if router.status is not None]
    everyone = len(statuses) == len(plan.routers) and state.generation > 0
    applied = everyone and all(one.settled_generation >= state.generation for one in statuses)
    if applied and state.applied_generation != state.generation:
        state = msgspec.structs.replace(state, applied_generation=state.generation)
    if applied and state.applied_at is None:
        instances = {router.socket: router.status.router for router in seen.routers if router.status}
        state = msgspec.structs.replace(state, applied_at=now, routers=instances)
        if state.status is Status.STARTING:
            state = moved(state, Event.APPLIED, reason="")
    return state


def _started(plan: Plan, state: State, seen: Observation, now: float) -> Step | None:
    """Route the first phase once every router answers and the preflight has passed."""
    if state.status is not Status.STARTING or state.generation:
        return None
    if says := frozen(plan, state, now=now):
        return Step(msgspec.structs.replace(state, reason=says))
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
        **routed(state, seen, share, now),
        counted=remembered(phase, state, share),
        entered_at=now,
        candidate_since=now if phase.route.sends else None,
        reason="waits until every router applies the first route",
    )
    effect = SetRoute(after.journal, after.generation, phase.route, forward=True, up_to=share.up_to)
    return Step(after, (effect,), says, "started")


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
    carries = state.percent or current_route(plan, state).cohort
    if state.status not in _JUDGED or not (carries or state.status is Status.RUNNING):
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
    ripe = ready and seen.carried_s >= plan.soak_s(phase) and gates_passed(gates)
    if not ripe or frozen(plan, state, now=look.now):
        return Step(state)
    try:
        return advance(plan, with_baseline(state, phase, look), seen, now=look.now, by="all gates passed")
    except NotCounted as missing:
        return Step(msgspec.structs.replace(state, reason=str(missing)))


def with_baseline(state: State, phase: Phase, look: Look) -> State:
    """Keep control's measures where the plan says so, or before the candidate carries anything."""
    if not phase.baseline and phase.route.sends:
        return state
    start = look.since or look.now
    values: Mapping[str, float | None] = {
        metric: look.readings.read(metric, look.plan.control, start=start).value for metric in BASELINE_METRICS
    } | {UNANSWERED: unanswered_share(look)}
    costs = {key: one.value for key, one in look.readings.signals.items() if key.partition(":")[0] in RESOURCES}
    return msgspec.structs.replace(state, baseline={k: v for k, v in {**values, **costs}.items() if v is not None})

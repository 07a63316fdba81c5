"""What happens to a rollout from outside and isn't the candidate's doing: hands on the selector, and faults. Pure."""

from typing import Any

import msgspec

from agt.supervisor.rollout._attribution import DEVICES, Fault, find_fault, is_clean
from agt.supervisor.rollout._effects import Kill, Number, RaiseAlert, ResolveAlerts, SetRoute
from agt.supervisor.rollout._gates import Look, judge_objective
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._state import TRANSITIONS, Event, State, Status, moved
from agt.supervisor.rollout._step import Observation, Step
from agt.supervisor.rollout._turns import current_route, kill
from agt.supervisor.rollout._verdict import Verdict


def from_outside(state: State, seen: Observation) -> Step | None:
    """React to a kill, a lifted kill, a selector that someone else wrote, and a kill that was cut off."""
    if seen.killed:
        return Step(state) if state.status is Status.KILLED else kill(state, says="killed from outside", by="outside")
    if seen.selector_generation > state.generation and state.generation > 0:
        return _adopted(state, seen)
    if state.status is Status.KILLED:  # The selector is still there: the kill was cut off.
        return Step(state, (Kill(state.journal, state.reason),))
    return None


def written_again(plan: Plan, state: State, seen: Observation) -> Step | None:
    """Ask once more for the route that was decided and isn't on the disk: its writing was cut off."""
    if seen.selector_generation >= state.generation:
        return None
    forward = state.status not in (Status.ROLLED_BACK, Status.CLEARED)
    # A change beside the route is made to the selector there is: the phase's own words would undo earlier ones.
    beside = state.amendment is not None and seen.selector_generation > 0
    route = None if beside else current_route(plan, state)
    effect = SetRoute(
        state.journal, state.generation, route, forward=forward, up_to=state.up_to, amendment=state.amendment
    )
    return Step(state, (effect,))


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


def from_fault(plan: Plan, state: State, seen: Observation, look: Look) -> Step | None:
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
        "blame": fault.blame,
        "excused_since": state.excused_since or (now if fault.source == DEVICES else None),
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

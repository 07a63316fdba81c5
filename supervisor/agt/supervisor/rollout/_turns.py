"""Turns: the steps that change the route, forward, back and to the kill, whoever asked for them. Pure.

The engine takes them at a check, an operator at any time; both get the same state and the same effects for them.
"""

from typing import Any, Final

import msgspec

from agt.supervisor.rollout._counting import remembered, share_again, share_of
from agt.supervisor.rollout._effects import Effect, Kill, RaiseAlert, SetRoute
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Route
from agt.supervisor.rollout._state import Event, Share, State, Status, moved
from agt.supervisor.rollout._step import Observation, Step

TO_CONTROL: Final = Route()
"""Everything on control, nothing mirrored."""
ROLLBACK: Final = "rollback"
"""Source of the alert that stands until a cause is recorded."""
KILL_SWITCH: Final = "kill-switch"
"""Source of the alert that stands until the kill switch is lifted."""


def fresh(plan: Plan, *, now: float) -> State:
    """Return the state of a rollout that has never run."""
    return State(plan=plan.name, entered_at=now)


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
        **routed(state, seen, share, now),
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
        **routed(state, seen, share, seen.readings.now),
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


def routed(state: State, seen: Observation, share: Share, now: float) -> dict[str, Any]:
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
        "excused_since": None,
        "breaches": {},
        "fired": (),
    }


def current_route(plan: Plan, state: State) -> Route:
    """Return the route that the state stands for."""
    phase = plan.phases[state.phase]
    if state.by_hand:
        # What an operator has switched beside the percentage stays.
        by_hand: dict[str, Any] = {"percent": state.percent, "devices": None, "default": "control", "components": {}}
        return msgspec.structs.replace(phase.route, **by_hand)
    back = state.status in (Status.ROLLED_BACK, Status.CLEARED, Status.KILLED) and state.back_from == phase.name
    return TO_CONTROL if back else phase.route

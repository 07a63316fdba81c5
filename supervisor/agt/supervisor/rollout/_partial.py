"""Ways back in part: one component, or members of the cohort, while everything else stays where it is. Pure.

Like every way back they need neither version nor reason. What they change is a part of the phase's own route, so the
rollout is held, as after `set`; the next phase routes what the plan says again.
"""

import msgspec

from agt.supervisor.actions import Action, Refused
from agt.supervisor.rollout._amend import set_component
from agt.supervisor.rollout._effects import RaiseAlert, SetRoute
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._shape import nearest
from agt.supervisor.rollout._state import Amendment, Event, State, moved
from agt.supervisor.rollout._step import Observation, Step
from agt.supervisor.rollout._turns import next_generation

ALL = "all"
"""The whole cohort."""


def back_in_part(plan: Plan, state: State, seen: Observation, action: Action, now: float) -> Step:
    """Take one component back, or members of the cohort.

    Raises:
        Refused: when it asks for more than one of them, or for members that the cohort doesn't have.
    """
    if action.to or (action.component and action.cohort):
        raise Refused("invalid", "a rollback goes to a phase, or takes a component or members of the cohort back")
    if action.component:
        off = msgspec.structs.replace(action, action="component", name=action.component, on=False)
        return set_component(plan, state, seen, off, now)
    return _cohort_back(plan, state, seen, action, now)


def _cohort_back(_plan: Plan, state: State, seen: Observation, action: Action, now: float) -> Step:
    members = seen.selector_cohort if action.cohort == (ALL,) else action.cohort
    unknown = [name for name in members if name not in seen.selector_cohort]
    if unknown or not members:
        missing = unknown[0] if unknown else ALL
        raise Refused("unknown", f"{missing!r} is not in the cohort", nearest(missing, seen.selector_cohort))
    who = f"{action.by or 'operator'}{f': {action.reason}' if action.reason else ''}"
    says = f"cohort without {', '.join(members)} by {who}"
    after = moved(
        state,
        Event.SET,
        journal=state.journal + 1,
        generation=next_generation(state, seen),
        amendment=Amendment(cohort=members),
        routed_at=now,
        applied_at=None,
        credit_s=0.0,
        breaches={},
        fired=(),
        reason=says,
    )
    effect = SetRoute(after.journal, after.generation, None, forward=False, amendment=after.amendment)
    return Step(after, (effect, RaiseAlert("info", "rollout", says)), says, Event.SET.value)

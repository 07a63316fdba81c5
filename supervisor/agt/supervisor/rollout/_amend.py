"""Changes of the selector beside its route: one component's flag, one device's override. Pure, as the step is.

A component that goes off, or comes on, changes what the phase tries out: the rollout is held, as after `set`. An
override is one device's own business: the rollout goes on, and what was carried so far still counts.
"""

import datetime

import msgspec

from agt.router import Override, Selector
from agt.supervisor.actions import Action, Refused
from agt.supervisor.rollout._effects import RaiseAlert, SetRoute
from agt.supervisor.rollout._engine import Observation, Step, current_route, next_generation
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._state import TRANSITIONS, Amendment, Event, NotPossible, State, Status, moved


def amended(selector: Selector, change: Amendment) -> Selector:
    """Return a selector with a change made; making it twice is making it once."""
    if change.component:
        return msgspec.structs.replace(selector, components={**selector.components, change.component: change.on})
    others = tuple(one for one in selector.overrides if one.device != change.device)
    if change.runtime:
        forced = Override(
            device=change.device,
            runtime=change.runtime,
            owner=change.owner,
            reason=change.reason,
            expires=change.expires,
        )
        others = (*others, forced)
    return msgspec.structs.replace(selector, overrides=others)


def set_component(_plan: Plan, state: State, seen: Observation, action: Action, now: float) -> Step:
    """Switch one component: off takes it back to control, alone."""
    if not action.name or action.on is None:
        raise Refused("invalid", "a component needs a name, and on or off")
    if action.on and state.status is Status.ROLLED_BACK:
        raise NotPossible(state.status, Event.SET)
    says = f"component {action.name} set {'on' if action.on else 'off'} by {_who(action)}"
    change = Amendment(component=action.name, on=action.on)
    after = moved(
        state,
        Event.SET,
        **_next(state, seen, change),
        routed_at=now,
        applied_at=None,
        credit_s=0.0,
        breaches={},
        fired=(),
        reason=says,
    )
    return _step(after, change, forward=action.on, says=says, kind=Event.SET.value)


def set_override(plan: Plan, state: State, seen: Observation, action: Action, now: float) -> Step:
    """Force one device to one side, or end that."""
    if (state.status, Event.SET) not in TRANSITIONS:
        raise NotPossible(state.status, Event.SET)
    if not action.device:
        raise Refused("invalid", "an override needs a device")
    if action.side and not (action.by and action.reason):
        raise Refused("invalid", "an override needs an owner and a reason", "say --by NAME and --reason TEXT")
    if action.side == "candidate" and not state.percent and not current_route(plan, state).cohort:
        raise Refused("refused", f"{plan.candidate} is not enabled, nothing can go there", "set a percentage first")
    if action.expires_at is not None and action.expires_at <= now:
        raise Refused("invalid", "the override would have expired already", "give a time to come")
    runtime = {"control": plan.control, "candidate": plan.candidate, "": ""}[action.side]
    expires = None
    if action.expires_at is not None:
        expires = datetime.datetime.fromtimestamp(round(action.expires_at), datetime.UTC)
    until = f" until {expires:%Y-%m-%d %H:%M}Z" if expires else ""
    says = f"{action.device} forced to {runtime}{until} by {_who(action)}"
    if not runtime:
        says = f"override of {action.device} ended by {_who(action)}"
    change = Amendment(device=action.device, runtime=runtime, owner=action.by, reason=action.reason, expires=expires)
    after = msgspec.structs.replace(state, **_next(state, seen, change), credit_s=seen.carried_s)
    return _step(after, change, forward=action.side != "control", says=says, kind="override")


def _next(state: State, seen: Observation, change: Amendment) -> dict[str, object]:
    return {"journal": state.journal + 1, "generation": next_generation(state, seen), "amendment": change}


def _step(after: State, change: Amendment, *, forward: bool, says: str, kind: str) -> Step:
    effect = SetRoute(after.journal, after.generation, None, forward=forward, amendment=change)
    return Step(after, (effect, RaiseAlert("info", "rollout", says)), says, kind)


def _who(action: Action) -> str:
    return f"{action.by or 'operator'}{f': {action.reason}' if action.reason else ''}"

"""Changes of the selector beside its route: a component's flag, a device's override, the network mode. Pure.

A component that goes off, or comes on, changes what the phase tries out: the rollout is held, as after `set`. An
override is one device's own business, and a mode says what the network is: the rollout goes on, and what was carried so
far still counts.
"""

import datetime
from typing import Final

import msgspec

from agt.router import ForcedMode, Override, Selector
from agt.router.modes import Mode
from agt.supervisor.actions import Action, Refused
from agt.supervisor.rollout._effects import RaiseAlert, SetRoute
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._shape import nearest
from agt.supervisor.rollout._state import TRANSITIONS, Amendment, Event, NotPossible, State, Status, moved
from agt.supervisor.rollout._step import Observation, Step
from agt.supervisor.rollout._turns import current_route, next_generation

AUTO: Final = "auto"
"""The word that lets the measured mode count."""
MODE_NAMES: Final = (AUTO, *(mode.value for mode in Mode if mode is not Mode.UNKNOWN))


def amended(selector: Selector, change: Amendment) -> Selector:
    """Return a selector with a change made; making it twice is making it once."""
    if change.component:
        return msgspec.structs.replace(selector, components={**selector.components, change.component: change.on})
    if change.mode:
        return msgspec.structs.replace(selector, forced_mode=_forced(change))
    if change.cohort:
        left = tuple(name for name in selector.runtime.cohort if name not in change.cohort)
        return selector.with_route(cohort=left)
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
    expires, until = _expiry(action)
    says = f"{action.device} forced to {runtime}{until} by {_who(action)}"
    if not runtime:
        says = f"override of {action.device} ended by {_who(action)}"
    change = Amendment(device=action.device, runtime=runtime, owner=action.by, reason=action.reason, expires=expires)
    after = msgspec.structs.replace(state, **_next(state, seen, change), credit_s=seen.carried_s)
    return _step(after, change, forward=action.side != "control", says=says, kind="override")


def set_mode(_plan: Plan, state: State, seen: Observation, action: Action, now: float) -> Step:
    """Force a network mode, or let the measured one count again."""
    if (state.status, Event.SET) not in TRANSITIONS:
        raise NotPossible(state.status, Event.SET)
    if action.name not in MODE_NAMES:
        raise Refused("invalid", f"there is no mode {action.name!r}", nearest(action.name, MODE_NAMES))
    if not action.by:
        raise Refused("invalid", "a forced mode needs an owner", "say --by NAME")
    if action.expires_at is not None and action.expires_at <= now:
        raise Refused("invalid", "the forced mode would have expired already", "give a time to come")
    expires, until = _expiry(action)
    says = f"network mode forced to {action.name}{until} by {_who(action)}"
    if action.name == AUTO:
        says = f"network mode as measured again, by {_who(action)}"
    change = Amendment(mode=action.name, owner=action.by, reason=action.reason, expires=expires)
    after = msgspec.structs.replace(state, **_next(state, seen, change), credit_s=seen.carried_s)
    return _step(after, change, forward=True, says=says, kind="mode")


def _forced(change: Amendment) -> ForcedMode | None:
    if change.mode == AUTO:
        return None
    given = {"mode": change.mode, "owner": change.owner, "reason": change.reason, "expires": change.expires}
    return msgspec.convert(given, ForcedMode)


def _expiry(action: Action) -> tuple[datetime.datetime | None, str]:
    """Return when an action's effect ends, and how that is said."""
    if action.expires_at is None:
        return None, ""
    expires = datetime.datetime.fromtimestamp(round(action.expires_at), datetime.UTC)
    return expires, f" until {expires:%Y-%m-%d %H:%M}Z"


def _next(state: State, seen: Observation, change: Amendment) -> dict[str, object]:
    return {"journal": state.journal + 1, "generation": next_generation(state, seen), "amendment": change}


def _step(after: State, change: Amendment, *, forward: bool, says: str, kind: str) -> Step:
    effect = SetRoute(after.journal, after.generation, None, forward=forward, amendment=change)
    return Step(after, (effect, RaiseAlert("info", "rollout", says)), says, kind)


def _who(action: Action) -> str:
    return f"{action.by or 'operator'}{f': {action.reason}' if action.reason else ''}"

"""The freeze: while it lasts nothing goes forward, and going back works as ever. Pure.

An operator freezes with a reason, until a time or until somebody ends it; a plan names its own frozen days
(`[[freeze]]`), by the calendar and never squeezed.
"""

import datetime
from typing import Final

import msgspec

from agt.supervisor.actions import Action, Refused
from agt.supervisor.rollout._effects import RaiseAlert, ResolveAlerts
from agt.supervisor.rollout._freeze_span import span_of
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._state import Freeze, State
from agt.supervisor.rollout._step import Observation, Step

FREEZE: Final = "freeze"
"""Source of the alert that stands while an operator's freeze lasts."""


def frozen(plan: Plan, state: State, *, now: float) -> str:
    """Return why nothing goes forward now, and until when; empty when it isn't frozen."""
    order = state.freeze
    if order is not None and (order.until is None or now < order.until):
        until = "until somebody ends it" if order.until is None else f"until {_moment(order.until)}"
        return f"frozen by {order.by} {until}: {order.reason}"
    for span in plan.file.freeze:
        start, end = span_of(span)
        if start <= now < end:
            return f"frozen by the plan until {_moment(end)}: {span.reason}"
    return ""


def set_freeze(_plan: Plan, state: State, _seen: Observation, action: Action, now: float) -> Step:
    """Freeze, or say anew why and until when."""
    if not action.reason.strip():
        raise Refused("invalid", "a freeze needs a reason", 'say why: agt freeze "release weekend"')
    if action.expires_at is not None and action.expires_at <= now:
        raise Refused("invalid", "the freeze would have ended already", "give a time to come")
    order = Freeze(by=action.by or "operator", reason=action.reason.strip(), since=now, until=action.expires_at)
    after = msgspec.structs.replace(state, freeze=order, journal=state.journal + 1)
    says = frozen(_plan, after, now=now)
    return Step(after, (ResolveAlerts(FREEZE), RaiseAlert("warn", FREEZE, says)), says, "frozen")


def end_freeze(plan: Plan, state: State, _seen: Observation, action: Action, now: float) -> Step:
    """End an operator's freeze; the plan's own days end by the calendar."""
    if state.freeze is None:
        says = frozen(plan, state, now=now)
        raise Refused("refused", says or "it is not frozen", "the plan's own days end by themselves" if says else "")
    who = f"{action.by or 'operator'}{f': {action.reason}' if action.reason else ''}"
    says = f"unfrozen by {who}"
    after = msgspec.structs.replace(state, freeze=None, journal=state.journal + 1)
    return Step(after, (ResolveAlerts(FREEZE), RaiseAlert("info", FREEZE, says)), says, "unfrozen")


def thawed(state: State, *, now: float) -> Step | None:
    """End a freeze whose time has passed."""
    if state.freeze is None or state.freeze.until is None or now < state.freeze.until:
        return None
    after = msgspec.structs.replace(state, freeze=None, journal=state.journal + 1)
    return Step(after, (ResolveAlerts(FREEZE),), f"the freeze by {state.freeze.by} is over", "unfrozen")


def _moment(at: float) -> str:
    return f"{datetime.datetime.fromtimestamp(at, datetime.UTC):%Y-%m-%d %H:%M}Z"

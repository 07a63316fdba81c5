"""What an operator's action does to the state: pure, as the step is; refusals say what to do instead.

Going back is never refused for being late: it takes no version and asks for no reason. Going forward needs one of
both: passed gates, or a reason that is recorded with the word `forced`.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from agt.supervisor.actions import Action, ActionName, Refused, is_step
from agt.supervisor.rollout._amend import set_component, set_mode, set_override
from agt.supervisor.rollout._counting import NotCounted
from agt.supervisor.rollout._effects import Kill, RaiseAlert, ResolveAlerts, SetRoute
from agt.supervisor.rollout._engine import with_baseline
from agt.supervisor.rollout._freeze import end_freeze, frozen, set_freeze
from agt.supervisor.rollout._gates import gate_name
from agt.supervisor.rollout._partial import back_in_part
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Gate
from agt.supervisor.rollout._shape import nearest
from agt.supervisor.rollout._state import TRANSITIONS, Event, NotPossible, State, Status, moved
from agt.supervisor.rollout._step import Observation, Step, gates_passed, judge_gates, look_of
from agt.supervisor.rollout._turns import (
    KILL_SWITCH,
    ROLLBACK,
    TO_CONTROL,
    advance,
    current_route,
    enter,
    go_back,
    kill,
    next_generation,
)

Handler = Callable[[Plan, State, Observation, Action, float], Step]

_WAY_OUT: Final[dict[Status, str]] = {
    Status.STARTING: "wait until every router applies the first route",
    Status.RUNNING: "hold it first: agt hold",
    Status.SUSPENDED: "wait for a clean window, or hold it",
    Status.HELD: "resume it first: agt resume",
    Status.ROLLED_BACK: "record a cause first, then resume: agt record-cause TEXT, agt resume",
    Status.CLEARED: "resume it first: agt resume",
    Status.KILLED: "lift the kill switch first: agt kill-switch off",
    Status.COMPLETE: "the plan is done",
}


_NEITHER: Final = frozenset({"sign-off", "record-cause", "unfreeze"})
"""Actions that route nothing, so that a freeze leaves them."""


class Counted(Action, frozen=True, kw_only=True):
    """An action by number of devices, once that is resolved: `percentage` is the share that ends with this one."""

    up_to: str = ""
    """The last device that shall be in; empty when there is none."""


def operate(plan: Plan, state: State, seen: Observation, action: Action, *, now: float) -> Step:
    """Return what an operator's action does; one by number of devices has to be `Counted`.

    Raises:
        Refused: if it can't be done now; the state is as it was.
    """
    handler = _HANDLERS.get(action.action)
    if handler is None:
        raise Refused("unknown", f"the rollout knows no action {action.action!r}")
    if not (is_back(action, state) or action.action in _NEITHER) and (says := frozen(plan, state, now=now)):
        raise Refused("refused", says, "going back works; to go forward: agt unfreeze")
    try:
        return handler(plan, state, seen, action, now)
    except NotCounted as error:
        raise Refused("refused", str(error), "attach more of them, or set a percentage") from None
    except NotPossible as error:
        word = error.status.shown
        raise Refused("refused", f"{action.action} is not possible: it is {word}", _WAY_OUT[error.status]) from None


def is_back(action: Action, state: State) -> bool:
    """Return whether the action gives the candidate nothing, so that it needs neither version nor record."""
    if action.action == "set":
        return action.percentage is not None and not _raises(action, state)
    if action.action == "component":
        return action.on is False
    if action.action == "override":
        return action.side == "control"
    return action.action in ("hold", "rollback", "kill-switch-on", "freeze")


def _raises(action: Action, state: State) -> bool:
    """Return whether a share gives the candidate a device that it doesn't have."""
    percent = round(action.percentage or 0.0, 2)
    # Within one step of 0.01 % the last device decides; any other than the present one may be later.
    further = bool(state.up_to) and _up_to(action) != state.up_to
    return percent > state.percent or (percent == state.percent and further)


def _up_to(action: Action) -> str:
    return action.up_to if isinstance(action, Counted) else ""


def _who(action: Action) -> str:
    reason = f": {action.reason}" if action.reason else ""
    return f"{action.by or 'operator'}{reason}"


def _advance(plan: Plan, state: State, seen: Observation, action: Action, now: float) -> Step:
    phase, look = plan.phases[state.phase], look_of(plan, state, seen, now=now)
    gates = judge_gates(phase, look)
    if (state.status, Event.ADVANCED) not in TRANSITIONS:
        raise NotPossible(state.status, Event.ADVANCED)
    if state.applied_at is None or any(router.status is None for router in seen.routers):
        raise Refused("refused", "not every router applies the present route", "wait for it")
    passed = gates_passed(gates)
    if not passed and not action.reason:
        open_gates = ", ".join(name for name, judged in gates if judged.verdict)
        raise Refused("refused", f"gates are open: {open_gates}", "give a reason to force it; it is recorded")
    by = f"by {_who(action)}" if passed else f"forced by {_who(action)}"
    # Later gates compare with the baseline, whoever left the phase that keeps it.
    kept = with_baseline(msgspec.structs.replace(state, by_hand=False), phase, look)
    return advance(plan, kept, seen, now=now, by=by)


def _hold(_plan: Plan, state: State, _seen: Observation, action: Action, _now: float) -> Step:
    if state.status is Status.HELD:
        return Step(state)
    says = f"held by {_who(action)}"
    after = moved(state, Event.HELD, journal=state.journal + 1, reason=says, suspended_since=None)
    return Step(after, (RaiseAlert("info", "rollout", says),), says, "held")


def _resume(plan: Plan, state: State, seen: Observation, action: Action, now: float) -> Step:
    says = f"resumed by {_who(action)}"
    if state.status is Status.CLEARED:
        start = 0 if state.back_from == plan.phases[state.phase].name else state.phase
        says = f"{says}, from {plan.phases[start].name}"
        return enter(plan, state, seen, Event.RESUMED, start, now=now, says=says)
    if state.by_hand or state.generation == 0:
        return enter(plan, state, seen, Event.RESUMED, state.phase, now=now, says=says)
    after = moved(state, Event.RESUMED, journal=state.journal + 1, reason="", breaches={}, fired=())
    return Step(after, (RaiseAlert("info", "rollout", says),), says, "resumed")


def _rollback(plan: Plan, state: State, seen: Observation, action: Action, now: float) -> Step:
    if action.component or action.cohort:
        return back_in_part(plan, state, seen, action, now)
    says = f"rolled back by {_who(action)}"
    if not action.to or action.to == "control":
        return go_back(plan, state, seen, to=None, says=says, by="operator")
    earlier = [phase.name for phase in plan.phases[: state.phase]]
    if action.to not in earlier:
        raise Refused("unknown", f"no earlier phase {action.to!r}", nearest(action.to, earlier))
    return go_back(plan, state, seen, to=earlier.index(action.to), says=says, by="operator")


def _kill_on(_plan: Plan, state: State, _seen: Observation, action: Action, _now: float) -> Step:
    if state.status is Status.KILLED:  # Asked for again: a router that had not confirmed may be back.
        return _killed_again(state, action)
    return kill(state, says=f"killed by {_who(action)}", by="operator")


def _killed_again(state: State, action: Action) -> Step:
    """Tell the routers again; a reason that is given now counts, the first one stays in journal and alert."""
    if not action.reason:
        return Step(state, (Kill(state.journal, state.reason),))
    says = f"killed again by {_who(action)}"
    after = msgspec.structs.replace(state, journal=state.journal + 1, reason=says)
    return Step(after, (Kill(after.journal, says), RaiseAlert("info", "rollout", says)), says, "killed-again")


def _kill_off(_plan: Plan, state: State, seen: Observation, action: Action, _now: float) -> Step:
    says = f"kill switch lifted by {_who(action)}; everything stays on control until a cause is recorded"
    after = moved(
        state,
        Event.KILL_LIFTED,
        journal=state.journal + 1,
        generation=next_generation(state, seen),
        percent=0.0,
        up_to="",
        amendment=None,
        credit_s=0.0,
        by_hand=False,
        applied_at=None,
        reason=says,
        back_from=_plan.phases[state.phase].name,
    )
    effect = SetRoute(after.journal, after.generation, TO_CONTROL, forward=True, ends_kill=True)
    notes = (ResolveAlerts(KILL_SWITCH), RaiseAlert("info", "rollout", says))
    return Step(after, (effect, *notes), says, Event.KILL_LIFTED.value)


def _set(plan: Plan, state: State, seen: Observation, action: Action, now: float) -> Step:
    if action.percentage is None or not 0 <= action.percentage <= 100:
        raise Refused("invalid", "set needs a percentage from 0 to 100, or a number of devices")
    if not (is_step(action.percentage) or isinstance(action, Counted)):
        raise Refused("invalid", f"{action.percentage:g} % is finer than steps of 0.01", "nothing was changed")
    percent = round(action.percentage, 2)
    raises, up_to = _raises(action, state), _up_to(action)
    if raises and state.status is Status.ROLLED_BACK:
        raise NotPossible(state.status, Event.SET)
    base = msgspec.structs.replace(
        current_route(plan, state), percent=percent, devices=None, default="control", cohort=(), components={}
    )
    route = msgspec.structs.replace(base, shadow="off") if percent == 100 else base
    what = f"exactly {action.devices} device{'s' * (action.devices != 1)}" if action.devices else f"{percent:g} %"
    says = f"set to {what} by {_who(action)}"
    since = state.candidate_since if state.candidate_since is not None or not percent else now
    after = moved(
        state,
        Event.SET,
        journal=state.journal + 1,
        generation=next_generation(state, seen),
        percent=percent,
        up_to=up_to,
        amendment=None,
        credit_s=0.0,
        by_hand=True,
        routed_at=now,
        applied_at=None,
        breaches={},
        fired=(),
        reason=says,
        candidate_since=since if percent else None,
    )
    effect = SetRoute(after.journal, after.generation, route, forward=raises, up_to=up_to)
    return Step(after, (effect, RaiseAlert("info", "rollout", says)), says, Event.SET.value)


def _sign_off(plan: Plan, state: State, _seen: Observation, action: Action, _now: float) -> Step:
    gates = {gate_name(gate): gate for gate in plan.phases[state.phase].gate if gate.sign_off}
    gate: Gate | None = gates.get(action.name) or next(
        (one for one in gates.values() if one.sign_off == action.name), None
    )
    if gate is None:
        here = f"{plan.phases[state.phase].name} has no sign-off {action.name!r}"
        raise Refused("unknown", here, _signed_elsewhere(plan, state, action.name) or nearest(action.name, gates))
    if not action.by:
        raise Refused("invalid", "a sign-off needs a name", "say who signs: --by NAME")
    if gate.signers and not _may_sign(action.by, gate.signers):
        raise Refused("refused", f"{action.by} may not sign {gate_name(gate)}", f"it is for {', '.join(gate.signers)}")
    says = f"{gate_name(gate)} of {plan.phases[state.phase].name} signed off by {_who(action)}"
    signed = {**state.sign_offs, gate_name(gate): action.by}
    after = msgspec.structs.replace(state, journal=state.journal + 1, sign_offs=signed)
    return Step(after, (RaiseAlert("info", "rollout", says),), says, "signed-off")


def _signed_elsewhere(plan: Plan, state: State, name: str) -> str:
    """Say which other phase has a sign-off, since one that was given carries the rollout on at once."""
    for place, phase in enumerate(plan.phases):
        if any(gate.sign_off and name in (gate_name(gate), gate.sign_off) for gate in phase.gate):
            return f"it is of {phase.name}, which {'is behind us' if place < state.phase else 'is still to come'}"
    return ""


def _may_sign(by: str, signers: tuple[str, ...]) -> bool:
    """Return whether a name is one of those; a token's name also counts where no token is asked for."""
    return by in signers or by.removeprefix("token:") in signers


def _record_cause(_plan: Plan, state: State, _seen: Observation, action: Action, _now: float) -> Step:
    if not action.reason:
        raise Refused("invalid", "a cause needs words", "say what went wrong: --reason TEXT")
    says = f"cause recorded by {_who(action)}; resume to try again"
    after = moved(state, Event.CAUSE_RECORDED, journal=state.journal + 1, cause=action.reason, reason=says)
    return Step(after, (ResolveAlerts(ROLLBACK), RaiseAlert("info", "rollout", says)), says, "cause-recorded")


_HANDLERS: Final[dict[ActionName, Handler]] = {
    "advance": _advance,
    "hold": _hold,
    "resume": _resume,
    "rollback": _rollback,
    "kill-switch-on": _kill_on,
    "kill-switch-off": _kill_off,
    "set": _set,
    "component": set_component,
    "override": set_override,
    "mode": set_mode,
    "sign-off": _sign_off,
    "record-cause": _record_cause,
    "freeze": set_freeze,
    "unfreeze": end_freeze,
}

"""From a key to what is asked of the supervisor: pure, so that every key can be tested without a screen.

`urgent` marks what goes back: it may be confirmed before its effect is known, because going back must not wait for
anything. `versioned` marks what goes forward: it names the view that its preview was computed from.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from agt.supervisor.actions import Action
from agt.supervisor.view import PhaseView, View

Wish = Literal["advance", "hold", "rollback", "kill", "raise", "lower"]

STEP: Final = 5.0
"""Points by which one key press changes the percentage."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One action and the question that comes before it."""

    action: Action
    title: str
    """The question, naming its target."""
    yes: str
    """What the button says that does it."""
    urgent: bool = False
    versioned: bool = False
    details: tuple[str, ...] = field(default=())
    """What is known beside the supervisor's preview."""


class NothingToDo(Exception):
    """Raised when a wish makes no sense now; its words say why."""


def make_request(wish: Wish, view: View) -> Request:
    """Return what the wish means for this view.

    Raises:
        NothingToDo: When it means nothing now.
    """
    if wish == "advance":
        return _advance(view)
    if wish == "hold":
        return _hold(view)
    if wish == "rollback":
        return _rollback(view)
    if wish == "kill":
        return _kill(view)
    return _set(view, STEP if wish == "raise" else -STEP)


def make_drill(name: str, says: str) -> Request:
    """Return the question before a fault is injected."""
    return Request(
        action=Action(action="drill", name=name), title=f"Inject the fault {name}?", yes="Inject", details=(says,)
    )


def make_sign_off(gate: str, reason: str) -> Request:
    """Return the question before a gate is signed off."""
    return Request(
        action=Action(action="sign-off", name=gate), title=f"Sign off {gate}?", yes="Sign off", details=(reason,)
    )


def with_version(request: Request, version: int) -> Action:
    """Return the action as it is sent: what goes forward names the version it was based on."""
    return msgspec.structs.replace(request.action, version=version) if request.versioned else request.action


def _next_phase(view: View) -> PhaseView | None:
    names = [phase.name for phase in view.phases]
    if view.phase not in names:
        return None
    following = names.index(view.phase) + 1
    return view.phases[following] if following < len(names) else None


def _advance(view: View) -> Request:
    following = _next_phase(view)
    if view.phases and following is None:
        raise NothingToDo(f"{view.phase or 'this'} is the last phase; it ends by itself")
    target = f" to {following.name} ({following.percent:g} %)" if following else ""
    return Request(action=Action(action="advance"), title=f"Advance{target}?", yes="Advance", versioned=True)


def _hold(view: View) -> Request:
    if view.status == "held":
        return Request(action=Action(action="resume"), title=f"Resume {view.phase}?", yes="Resume", versioned=True)
    return Request(
        action=Action(action="hold"),
        title=f"Hold {view.phase or 'the rollout'}?",
        yes="Hold",
        urgent=True,
        details=("The route stays as it is; nothing advances until you resume.",),
    )


def _control(view: View) -> str:
    return next((runtime.name for runtime in view.runtimes if runtime.role == "control"), "control")


def _rollback(view: View) -> Request:
    return Request(
        action=Action(action="rollback"),
        title=f"Roll back to {_control(view)}?",
        yes="Roll back",
        urgent=True,
        details=("All devices go back; the plan stays locked until a cause is recorded.",),
    )


def _kill(view: View) -> Request:
    if view.kill_switch:
        return Request(
            action=Action(action="kill-switch-off"), title="Turn the kill switch off?", yes="Turn off", versioned=True
        )
    return Request(
        action=Action(action="kill-switch-on"),
        title="Turn the kill switch on?",
        yes="Kill",
        urgent=True,
        details=(
            f"Everything goes to {_control(view)} at once and stays there, over restarts, until it is turned off.",
        ),
    )


def _set(view: View, step: float) -> Request:
    wanted = min(100.0, max(0.0, view.percentage + step))
    if wanted == view.percentage:
        raise NothingToDo(f"the percentage is {wanted:g} already")
    return Request(
        action=Action(action="set", percentage=wanted),
        title=f"Set the percentage from {view.percentage:g} to {wanted:g}?",
        yes=f"Set {wanted:g} %",
        urgent=step < 0,
        versioned=step > 0,
    )

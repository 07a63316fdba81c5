"""Reading an order off a request: size first, then shape, then what each needs; and in whose name it is."""

from collections.abc import Callable
from typing import Final, TypeVar, cast

import msgspec
from starlette.requests import Request

from agt.supervisor.access import LOCAL, Caller, bind_name
from agt.supervisor.actions import Action, Refused
from agt.supervisor.view import View

MAX_BODY: Final = 64 * 1024
"""Bytes; an action is a few hundred."""

CALLER: Final = "agt.caller"
"""Where a door leaves who asks, in the request's scope."""
BUDGET: Final = "agt.budget"
"""Where a door leaves what takes one request off the caller's budget; it returns the seconds to wait, 0 for none."""

FORWARD: Final = frozenset({"advance", "resume", "kill-switch-off", "mode", "unfreeze"})
"""Actions that always go forward; `set` does so only upwards, which the backend knows."""

GOING_BACK: Final = frozenset({"rollback", "hold", "kill-switch-on", "freeze"})
"""Actions that always act, whatever version or key they carry."""

_FLAGS: Final = {"0": False, "false": False, "1": True, "true": True}
_Order = TypeVar("_Order", bound=msgspec.Struct)


class BodyTooSlow(Exception):
    """Raised when a body doesn't come in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body didn't come within {seconds:g} s")


class TooMany(Exception):
    """Raised when a caller's budget is spent; carries the seconds to wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("too many requests")
        self.wait_s = wait_s


def caller_of(request: Request) -> Caller:
    """Return who asks, as the door found out; without a door it is the owner (tests, and embedding)."""
    return cast("Caller", request.scope.get(CALLER, LOCAL))


async def read_body(request: Request, *, most: int = MAX_BODY) -> bytes:
    """Return the body, if it is not too large.

    Raises:
        Refused: `invalid` as soon as it is.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Refused("invalid", f"the body is larger than {most} bytes", "send less at once")
    return bytes(body)


async def read_order(request: Request, kind: type[_Order], *, most: int = MAX_BODY) -> _Order:
    """Return the order in the body, by whom the door says.

    Raises:
        Refused: `invalid`, naming the field and what it should be.
    """
    body = await read_body(request, most=most)
    try:
        order = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Refused("invalid", str(error), "GET /v1/openapi.json shows what it looks like") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(
            "invalid", f"the body is not JSON: {error}", 'send {"action": "hold"} to /v1/actions, say'
        ) from error
    asked_by = getattr(order, "by", None)
    if asked_by is None:
        return order
    return msgspec.structs.replace(order, by=bind_name(asked_by, caller_of(request)))


def read_number(text: str, what: str, most: int) -> int:
    """Return a number from a query or a path.

    Raises:
        Refused: `invalid` for anything else, and above `most`.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= most):
        raise Refused("invalid", f"{what} is a number from 0 to {most}")
    return int(text)


def read_flag(request: Request, name: str) -> bool:
    """Return a yes or no from the query; no where it is left out.

    Raises:
        Refused: `invalid` for anything else.
    """
    text = request.query_params.get(name, "0")
    if text not in _FLAGS:
        raise Refused("invalid", f"{name} is 0 or 1")
    return _FLAGS[text]


async def read_action(request: Request) -> Action:
    """Return the action in the body.

    Raises:
        Refused: `invalid`, naming the field and what it should be.
    """
    return await read_order(request, Action)


def spend(request: Request, action: Action, view: View) -> None:
    """Take an action off its caller's budget, unless it goes back.

    Raises:
        TooMany: when the budget is spent.
    """
    budget = cast("Callable[[], float]", request.scope.get(BUDGET, lambda: 0.0))
    if not goes_back(action, view) and (wait_s := budget()):
        raise TooMany(wait_s)


def goes_back(action: Action, view: View) -> bool:
    """Return whether an action can only take traffic to control, or stop the rollout."""
    match action.action:
        case "set":
            return action.percentage is not None and action.percentage <= view.percentage
        case "component":
            return action.on is False
        case "override":
            return action.side == "control"
        case other:
            return other in GOING_BACK


def check_complete(action: Action) -> None:
    """Check that the action carries what it needs.

    Raises:
        Refused: `invalid`, naming what is missing.
    """
    if action.action in FORWARD and action.version is None:
        raise Refused(
            "invalid",
            f"{action.action} goes forward and names no version",
            "send the version of the view it is based on",
        )
    if action.action == "component" and action.on is None:
        raise Refused("invalid", "component needs on, true or false")
    if action.action == "override" and not action.device:
        raise Refused("invalid", "override needs a device")
    if action.action == "freeze" and not action.reason.strip():
        raise Refused("invalid", "freeze needs a reason", "say in a sentence why nothing goes forward")
    if action.action == "set":
        _check_share(action)
    if action.action in {"sign-off", "drill", "component", "mode"} and not action.name:
        raise Refused("invalid", f"{action.action} needs a name", "the view lists gates and drills")
    if action.action == "record-cause" and not action.reason.strip():
        raise Refused("invalid", "record-cause needs a reason", "say in a sentence what went wrong")


def _check_share(action: Action) -> None:
    if (action.percentage is None) == (action.devices is None):
        raise Refused("invalid", "set needs a percentage from 0 to 100, or a number of devices", "give one of them")
    if action.percentage is not None and not 0 <= action.percentage <= 100:
        raise Refused("invalid", "set needs a percentage from 0 to 100")
    if action.devices is not None and action.devices < 0:
        raise Refused("invalid", "set needs a number of devices from 0 on")

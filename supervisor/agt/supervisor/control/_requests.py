"""Reading an action off a request: size first, then shape, then what each action needs."""

from typing import Final

import msgspec
from starlette.requests import Request

from agt.supervisor.actions import Action, Refused

MAX_BODY: Final = 64 * 1024
"""Bytes; an action is a few hundred."""

FORWARD: Final = frozenset({"advance", "resume", "kill-switch-off", "mode"})
"""Actions that always go forward; `set` does so only upwards, which the backend knows."""

GOING_BACK: Final = frozenset({"rollback", "hold", "kill-switch-on"})
"""Actions that always act, whatever version or key they carry."""

_ACTIONS: Final = msgspec.json.Decoder(Action)


async def read_body(request: Request) -> bytes:
    """Return the body, if it is not too large.

    Raises:
        Refused: `invalid` as soon as it is.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Refused("invalid", f"the body is larger than {MAX_BODY} bytes", "send one order as JSON")
    return bytes(body)


async def read_action(request: Request) -> Action:
    """Return the action in the body.

    Raises:
        Refused: `invalid`, naming the field and what it should be.
    """
    body = await read_body(request)
    try:
        return _ACTIONS.decode(body)
    except msgspec.ValidationError as error:
        raise Refused("invalid", str(error), "GET /v1/openapi.json shows what an action looks like") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("invalid", f"the body is not JSON: {error}", 'send {"action": "hold"}, say') from error


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

"""Live sessions: where each lives, what holds it there, and what a restart would do.

Theory of operation. A session *begins* when a path carries its device for the first time, and is *live* from then on.
It *ends* when its device is detached for good, when it comes back under another session's name, when it has had no
attachment for `_roster.SESSION_GRACE_S` (a dropped connection is no end), when the application says so, or when an
operator restarts it. Whatever ends a session, the next one is placed by the selector as it is then; a pin holds only
live ones.

A device has one session at a time, because it has one owner at a time: two sessions of one device on two runtimes
would be two writers, and nothing would keep their commands in order. Where a device really holds several at once, each
is attached under its own id, and the id is then the session (docs/adr/0011-one-session-a-device.md).
"""

from heapq import nsmallest
from typing import Final

import msgspec

from agt.router._decision import Decision, decide_in
from agt.router._device import Device
from agt.router._state import RouterState
from agt.transport import MoveKind

SESSIONS_PAGE_MAX: Final = 1000
"""Sessions in one answer; the next page begins after the last name."""


class SessionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One live session."""

    session: str
    """Its name: the device's own unless it was attached under another."""
    device: str
    number: int
    """How many sessions this device has had here, this one included."""
    runtime: str
    """Where it lives."""
    since: float
    """When it began, seconds since the epoch."""
    state: str
    """`carrying`, `draining` or `waiting`, as the device."""
    pinned: bool
    """Whether only a pin keeps it from being moved now."""
    reason: str
    """Why it is where it belongs now."""
    in_flight: int
    """Commands on its path, accepted and neither answered nor decided."""
    held: int
    """Commands that wait for a move's end."""
    at_restart: str
    """Where the selector would put it if it were restarted now."""
    at_restart_says: str
    """Why there, and what stands in the way."""
    move: str = ""
    """How it would get there: `in-place`, `warm`, `redial`; empty when it stays."""


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the live sessions, by device."""

    generation: int
    """Of the selector that is applied."""
    total: int
    """How many were asked for, on all pages."""
    sessions: tuple[SessionStatus, ...] = ()
    after: str = ""
    """Where the next page begins; empty when this is the last."""


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session would go if it were restarted now."""

    runtime: str
    """The runtime that its first message would take."""
    wanted: str
    """The runtime that the selector means, whether or not its attachment is up."""
    says: str


def session_name(device: Device) -> str:
    """Return what a device's session is called."""
    return device.session or device.name


def placement(state: RouterState, device: Device, *, wall: float) -> Placement:
    """Return where a session that ended now would be placed."""
    ready = state.candidate_ready(device)
    fresh = msgspec.structs.replace(state.subject(device, now=wall, candidate_ready=True), live_on=None)
    wanted = decide_in(state.situation, fresh)
    if ready or wanted.runtime == state.runtimes.control:
        return Placement(runtime=wanted.runtime, wanted=wanted.runtime, says=wanted.reason)
    says = f"{wanted.reason}; waits on {state.runtimes.control} until its {wanted.runtime} attachment is up"
    return Placement(runtime=state.runtimes.control, wanted=wanted.runtime, says=says)


def session_status(state: RouterState, device: Device, *, now: float, wall: float) -> SessionStatus:
    """Return one session's line; `now` is the router's clock, `wall` seconds since the epoch."""
    assert device.began is not None, "only live sessions are listed"
    decision: Decision = decide_in(state.situation, state.subject(device, now=wall))
    place, path = placement(state, device, wall=wall), device.path
    return SessionStatus(
        session=session_name(device),
        device=device.name,
        number=device.sessions,
        runtime=device.runtime,
        since=round(wall - (now - device.began), 3),
        state=device.state.value,
        pinned=device.pinned,
        reason=decision.reason,
        in_flight=path.in_flight + path.queued if path else 0,
        held=len(device.held) + len(device.taken),
        at_restart=place.runtime,
        at_restart_says=place.says,
        move=_move(device, place),
    )


def session_page(
    state: RouterState, *, runtime: str = "", pinned: bool = False, after: str = "", limit: int = SESSIONS_PAGE_MAX
) -> SessionPage:
    """Return live sessions by device: of one runtime or all, all or only those that a pin holds."""
    asked = [
        device
        for device in state.devices.values()
        if device.began is not None and (not runtime or device.runtime == runtime) and (device.pinned or not pinned)
    ]
    limit = min(limit, SESSIONS_PAGE_MAX)
    further = [device for device in asked if device.name > after] if after else asked
    page = nsmallest(limit, further, key=lambda device: device.name)
    now, wall = state.clock(), state.wall()
    return SessionPage(
        generation=state.generation,
        total=len(asked),
        sessions=tuple(session_status(state, device, now=now, wall=wall) for device in page),
        after=page[-1].name if len(further) > len(page) and page else "",
    )


def _move(device: Device, place: Placement) -> str:
    if place.wanted == device.runtime:
        return ""
    path = device.path_of(place.wanted) or device.path
    if place.runtime != place.wanted:
        return MoveKind.REDIAL.value
    return path.move.value if path is not None else ""

"""Restarting sessions on request: each ends between two commands, and the next is placed by the selector of then.

What a restart does to one session, in this order:

- It ends: no pin holds it any more. Where that changes nothing (it is where the selector puts it, and nobody asked for
  a redial), it is left alone, so that asking twice restarts once.
- If it belongs elsewhere and can get there, it moves as every device does (fence, drain, settle, route): new commands
  wait, those on the way are answered, and only at the drain's deadline are they cut, decided by class, and counted.
- If its wire moves by redial, or the operator asks for one, its attachments are closed once it is drained, and the
  device dials anew; what came meanwhile waits for it.
- If the candidate is meant for it and isn't attached, the new session waits on control and moves by itself.

Nothing here paces: one order is at most `RESTART_MAX` sessions. Whoever restarts thousands sends many, each with the
generation that it was thought of under, so that a rollback in between stops the rest.
"""

import enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agt.router._batch import MoveBatch
from agt.router._bell import Bell
from agt.router._device import Device
from agt.router._errors import RestartRefused
from agt.router._move import MoveState
from agt.router._path import Closable
from agt.router._sessions import Placement, placement, session_name
from agt.router._state import RouterState
from agt.transport import MoveKind

RESTART_MAX: Final = 1000
"""Sessions in one order."""


class RestartOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which sessions to restart, and how."""

    sessions: Annotated[tuple[str, ...], Meta(min_length=1, max_length=RESTART_MAX)]
    """By their own names or their devices'."""
    redial: bool = False
    """Whether to close their attachments too, so that each device dials anew."""
    generation: int | None = None
    """The selector that the order was thought of under; refused when another one is applied."""
    dry_run: bool = False
    """Only say what it would do."""


class RestartReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each session of an order, so far; every name is in exactly one of the lists."""

    generation: int
    restarted: tuple[str, ...] = ()
    """Ended between commands, and begun anew."""
    timed_out: tuple[str, ...] = ()
    """Restarted too, but at the drain's deadline, with commands unanswered."""
    waiting: tuple[str, ...] = ()
    """Ended; the next one waits for an attachment."""
    moving: tuple[str, ...] = ()
    """Still draining when this was answered."""
    unchanged: tuple[str, ...] = ()
    """Left alone: a restart would have changed nothing."""
    refused: dict[str, str] = {}
    """Not touched, and why."""
    resent: int = 0
    indeterminate: int = 0
    dry_run: bool = False


class _Fate(enum.Enum):
    """What an order does to one session."""

    MOVE = "move"
    REDIAL = "redial"
    WAIT = "wait"
    LEAVE = "leave"


class Restart:
    """One order being carried out; its receipt grows until every session has its end."""

    def __init__(self, batch: MoveBatch, *, dry_run: bool) -> None:
        self._batch, self._dry_run = batch, dry_run
        self._begun: dict[str, tuple[Device, int, _Fate]] = {}
        self._left: list[str] = []
        self._refused: dict[str, str] = {}

    def took(self, name: str, device: Device, fate: _Fate) -> None:
        """Follow a session that is being restarted."""
        self._begun[name] = (device, device.sessions, fate)

    def left(self, name: str) -> None:
        """Note a session that a restart would not change."""
        self._left.append(name)

    def refused(self, name: str, why: str) -> None:
        """Note a session that can't be restarted."""
        self._refused[name] = why

    async def settled(self) -> RestartReceipt:
        """Wait until no session is draining and return the receipt; a drain has a deadline, so this ends."""
        await self._batch.settled()
        return self.receipt()

    def receipt(self) -> RestartReceipt:
        """Return what has become of them."""
        found: dict[str, list[str]] = {"restarted": [], "timed_out": [], "waiting": [], "moving": []}
        for name, (device, before, fate) in self._begun.items():
            expected = "waiting" if fate is _Fate.WAIT else "restarted"
            found[expected if self._dry_run else _became(device, before)].append(name)
        batch = self._batch.receipt()
        return RestartReceipt(
            generation=batch.generation,
            unchanged=tuple(self._left),
            refused=dict(self._refused),
            resent=batch.resent,
            indeterminate=batch.indeterminate,
            dry_run=self._dry_run,
            **{key: tuple(names) for key, names in found.items()},
        )


def restart(state: RouterState, bell: Bell, order: RestartOrder) -> Restart:
    """Restart sessions at once, all in one turn.

    Raises:
        RestartRefused: when another selector is applied than the one the order was thought of under.
    """
    if order.generation is not None and order.generation != state.generation:
        raise RestartRefused(order.generation, state.generation)
    now, wall = state.clock(), state.wall()
    batch = MoveBatch(state.generation, now=now)
    done = Restart(batch, dry_run=order.dry_run)
    found = _found(state, order.sessions)
    turned: list[Device] = []
    for name in dict.fromkeys(order.sessions):
        device = found.get(name)
        fate = "no such session" if device is None else _fate(state, device, redial=order.redial, wall=wall)
        if device is None or isinstance(fate, str):
            done.refused(name, str(fate))
        elif fate is _Fate.LEAVE:
            done.left(name)
        else:
            done.took(name, device, fate)
            if not order.dry_run:
                turned += _perform(state, device, fate, batch, now=now, wall=wall)
                state.restarted += 1
    batch.routed(now=state.clock())
    state.mover.begin_drains(turned)
    batch.finish_if_empty(now=state.clock())
    state.count_carried()
    bell.ring()
    return done


def _found(state: RouterState, names: tuple[str, ...]) -> dict[str, Device]:
    """Find devices by id, and the others by their session's name, which costs a look at all of them."""
    found = {name: state.devices[name] for name in names if name in state.devices}
    missing = {name for name in names if name not in found}
    if missing:
        found |= {session_name(one): one for one in state.devices.values() if session_name(one) in missing}
    return found


def _fate(state: RouterState, device: Device, *, redial: bool, wall: float) -> _Fate | str:
    """Return what the restart of a session is, or why it can't be restarted."""
    if device.began is None or device.state is MoveState.WAITING:
        return "it waits for an attachment; its next session is placed when it has one"
    place = placement(state, device, wall=wall)
    if redial or _moves_by_redial(device, place):
        closable = any(isinstance(path, Closable) for path in device.paths.values())
        return _Fate.REDIAL if closable else "nothing here can close its attachments; end it where it was attached"
    if place.runtime != device.runtime or device.state is MoveState.DRAINING:
        return _Fate.MOVE
    return _Fate.LEAVE if place.wanted == device.runtime or device.vetoed else _Fate.WAIT


def _moves_by_redial(device: Device, place: Placement) -> bool:
    path = device.path
    return place.wanted != device.runtime and path is not None and path.move is MoveKind.REDIAL


def _perform(
    state: RouterState, device: Device, fate: _Fate, batch: MoveBatch, *, now: float, wall: float
) -> list[Device]:
    """End one session; returns the device when its drain has to begin."""
    device.end()
    target = state.choose(device, now=wall)
    if fate is _Fate.REDIAL:
        state.mover.restart(device, target, batch, now=now)
        return [device]
    if fate is _Fate.WAIT:
        state.mover.begin_session(device, now=now)
        return []
    state.mover.turn(device, target, batch, now=now)
    return [device]


def _became(device: Device, before: int) -> str:
    if device.sessions > before and device.began is not None:
        if device.vetoed:
            return "waiting"
        return "timed_out" if device.cut else "restarted"
    return "moving" if device.state is MoveState.DRAINING else "waiting"

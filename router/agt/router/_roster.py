"""The devices of a router: how they come, change attachments and go, and whom time alone may move."""

from collections.abc import Mapping
from typing import Final

from agt.router._device import Device
from agt.router._move import MoveState
from agt.router._path import Path
from agt.router._position import shared_hundredths
from agt.router._state import RouterState
from agt.router._steering import Steering

ABSENT_MAX_S: Final = 600.0
"""How long a device without attachments is remembered."""
SESSION_GRACE_S: Final = 30.0
"""How long a device may be without any attachment before its session has ended; a dropped connection is no end."""


class Roster:
    """Keeps the devices in step with their attachments."""

    def __init__(self, state: RouterState, steering: Steering) -> None:
        self._state, self._steering = state, steering

    def attach(self, name: str, paths: Mapping[str, Path], *, session: str | None, component: str | None) -> str:
        """Give a device attachments; raises as `Router.attach` says."""
        state, now = self._state, self._state.clock()
        self._refuse_unknown(paths)
        known = state.devices.get(name)
        if known is None:
            hundredths = shared_hundredths(name, state.situation.salt)
            known = Device(name, state.runtimes, hundredths, session=session, component=component)
        elif self._comes_anew(known, session, now=now):
            known.end()
            known.session = session or known.session
        replaced = known.path
        for runtime, path in paths.items():
            known.put(runtime, path)
        known.absent_since = 0.0
        if name not in state.devices:
            known.belong(state.choose(known, now=state.wall()))
            if state.mover.ownership.bars(known, now=now):
                known.owned_by(state.mover.ownership.former(name, now=now))
            state.devices[name] = known
        elif replaced is not None and known.path is not replaced:
            state.mover.lost(known, replaced, now=now)
        self._place(known, now=now)
        state.mover.added(known, now=now)
        state.count_carried()
        return known.runtime

    def detach(self, name: str, paths: Mapping[str, Path] | None) -> None:
        """Take attachments away, or all with the device itself."""
        state = self._state
        known = state.devices.get(name)
        if known is None:
            return
        if paths is None:
            self._forget(known)
        else:
            self._take_away(known, paths)
        state.count_carried()

    def end_session(self, name: str) -> None:
        """End a device's session while its attachments stay; the next one is placed anew, between commands."""
        state, known = self._state, self._state.devices.get(name)
        if known is None or known.began is None:
            return
        known.end()
        self._place(known, now=state.clock())

    def look(self, *, now: float) -> None:
        """Decide anew for devices that time alone may have moved, and forget those long gone."""
        state = self._state
        if state.mode_forced and state.situation.forced_mode(state.wall()) is None:
            self._steering.reroute()
        expiring = {name for name, override in state.situation.overrides.items() if override.expires}
        for device in list(state.devices.values()):
            absent_s = 0.0 if device.attached else now - device.absent_since
            if absent_s > SESSION_GRACE_S and device.began is not None:
                device.end()
            if absent_s > ABSENT_MAX_S:
                self.detach(device.name, None)
            elif device.vetoed or device.state is MoveState.WAITING or device.name in expiring:
                self._steering.place(device, now=now)

    def _place(self, device: Device, *, now: float) -> None:
        """Decide anew for a device whose attachments or session have changed; one that stays begins where it is."""
        self._steering.place(device, now=now)
        if device.began is None and device.state is MoveState.CARRYING:
            self._state.mover.begin_session(device, now=now)

    def _comes_anew(self, device: Device, session: str | None, *, now: float) -> bool:
        """Tell whether a device that attaches has begun another session than the one we know."""
        if session is not None and session != (device.session or device.name):
            return True
        return not device.attached and now - device.absent_since > SESSION_GRACE_S

    def _refuse_unknown(self, paths: Mapping[str, Path]) -> None:
        names = (self._state.runtimes.control, self._state.runtimes.candidate)
        for runtime in paths:
            if runtime not in names:
                raise ValueError(f"unknown runtime {runtime!r}; there are {' and '.join(names)}")

    def _forget(self, device: Device) -> None:
        state = self._state
        state.mover.left(device, now=state.clock())
        state.mover.ownership.forget(device)
        del state.devices[device.name]
        state.ledger.forget(device.name)

    def _take_away(self, device: Device, paths: Mapping[str, Path]) -> None:
        state, now = self._state, self._state.clock()
        for runtime, path in paths.items():
            if device.path_of(runtime) is path:
                device.put(runtime, None)
                if runtime == device.runtime:
                    state.mover.lost(device, path, now=now)
        device.absent_since = now
        self._steering.place(device, now=now)

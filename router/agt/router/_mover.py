"""Performs what the move table decides: fence, drain, settle, route, for one device or ten thousand.

Here is when a device leaves a path and enters the other one; what becomes of its messages is `_handover`'s.
"""

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final

from agt.router._batch import MoveBatch
from agt.router._device import Device, Parcel
from agt.router._handover import Handover
from agt.router._ledger import Ledger
from agt.router._move import MoveEffect, MoveEvent, MoveState, step
from agt.router._ownership import Ownership
from agt.router._path import Closable, Message, Path
from agt.transport import Barrier, Delivery, MoveKind, Outcome

MOMENT_S: Final = 0.05
"""Sessions that begin within this time share one number for when: a million of them need no number each."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MoveLimits:
    """How long a move may take and how much it may hold."""

    forward_drain_s: float = 4.0
    """Longest drain on the way to the candidate; below the observer's reply timeout (5 s), so that what is still
    unanswered can be told from what was given up."""
    back_drain_s: float = 4.0
    """Longest drain on the way back to control; settled within 5 s is promised."""
    sequence_drain_s: float = 1.0
    """Longest drain where the device drops doubles, so that waiting only spares resends."""
    held_max: int = 100
    """Messages held for one device; more are refused as `not_delivered`."""
    poll_s: float = 0.05
    """How often moving devices are looked at beside their call-backs."""


class Mover:
    """Owns every device that is not simply carrying."""

    def __init__(
        self,
        ledger: Ledger,
        limits: MoveLimits,
        *,
        control: str,
        clock: Callable[[], float],
        on_settled: Callable[[], None],
    ) -> None:
        self.moving: dict[str, Device] = {}
        """Devices that drain or wait, by name."""
        self.handover = Handover(ledger, clock)
        """What becomes of the messages."""
        longest_s = max(limits.forward_drain_s, limits.back_drain_s)
        self.ownership = Ownership(ledger.journal, control=control, until=clock() + longest_s)
        """Who owned what when the last process died."""
        self.draining = 0
        """Devices whose old path has not been settled."""
        self.begun = 0
        """Sessions that have begun, since the start."""
        self.cut = 0
        """Drains that ended at their deadline with commands unanswered, since the start."""
        self.cut_commands = 0
        """The commands that were unanswered then."""
        self._ledger, self._limits, self._control, self._clock = ledger, limits, control, clock
        self._on_settled = on_settled
        self._numbers = count(1)
        self._moment = -math.inf
        self.poll_at = math.inf
        """When `poll` should be called next; `math.inf` when nothing moves."""

    def turn(self, device: Device, target: str, batch: MoveBatch, *, now: float) -> None:
        """Point a device at another runtime; only flips its state, so that thousands turn at once.

        The batch's `begin_drains` must follow once all devices have turned.
        """
        if target == device.target:
            if device.state is MoveState.DRAINING:
                batch.take(device, now=now)
                device.deadline = min(device.deadline, now + self._drain_s(device))
            return
        event = MoveEvent.RETURNED
        if device.state is MoveState.CARRYING:
            batch.take(device, now=now)
            event = MoveEvent.TURNED
        device.target = target
        if device.closing:  # Its attachments go in any case; only where it belongs afterwards has changed.
            batch.take(device, now=now)
            device.deadline = min(device.deadline, now + self._drain_s(device))
            return
        self._happen(device, event, now=now)
        if event is MoveEvent.TURNED and device.other is None and device.path is not None:
            # Its one connection is to the wrong side: ended once it has been settled, so that the device dials.
            device.closing = device.path.move is MoveKind.REDIAL

    def restart(self, device: Device, target: str, batch: MoveBatch, *, now: float) -> None:
        """Drain a device whatever its target, and close its attachments then, so that it dials anew.

        The batch's `begin_drains` must follow.
        """
        assert device.state in (MoveState.CARRYING, MoveState.DRAINING), "what waits has no attachment to close"
        batch.take(device, now=now)
        device.target, device.closing = target, True
        if device.state is MoveState.CARRYING:
            self._happen(device, MoveEvent.RESTARTED, now=now)

    def begin_session(self, device: Device, *, now: float) -> None:
        """Begin a device's next session where it is carried now."""
        if not 0.0 <= now - self._moment < MOMENT_S:
            self._moment = now
        device.begin(now=self._moment)
        self.begun += 1

    def begin_drains(self, devices: list[Device]) -> None:
        """Ask the fenced paths to say when they are quiet; idle ones move on at once."""
        for device in devices:
            path = device.path
            if device.state is MoveState.DRAINING and path is not None:
                path.on_quiet(partial(self._quieted, device, device.move_id))

    def added(self, device: Device, *, now: float) -> None:
        """Take a new device, or one whose attachments changed, and let it go on as soon as it can."""
        if device.state is MoveState.WAITING:
            self._add(device, now=now)
            self._try_arrival(device, now=now)

    def lost(self, device: Device, old: Path, *, now: float) -> None:
        """Settle a path of the owner's that was taken away; it is no longer among the device's paths."""
        if device.state in (MoveState.CARRYING, MoveState.DRAINING):
            self._happen(device, MoveEvent.LOST, now=now, old=old)

    def left(self, device: Device, *, now: float) -> None:
        """Settle everything of a device that is gone altogether."""
        self._happen(device, MoveEvent.LEFT, now=now)

    def hold(self, device: Device, message: Message, *, now: float) -> Delivery:
        """Keep a message until the move has ended; refuses it when too many wait."""
        delivery = Delivery()
        delivery.runtime = device.target
        if len(device.held) >= self._limits.held_max:
            delivery.settle(
                Outcome.NOT_DELIVERED, reason=f"{self._limits.held_max} messages wait for the device's move already"
            )
        else:
            device.held.append(Parcel(message, delivery, now + message.deadline_s))
        return delivery

    def poll(self, *, now: float) -> None:
        """Look at every moving device when it is time: quiet, out of time, attachment up, messages overdue."""
        if now < self.poll_at:
            return
        for device in list(self.moving.values()):
            path = device.path
            if device.state is MoveState.DRAINING:
                if path is not None and path.in_flight == 0 and path.queued == 0:
                    self._happen(device, MoveEvent.QUIETED, now=now)
                elif now >= device.deadline:
                    self._count_cut(device)
                    self._happen(device, MoveEvent.EXPIRED, now=now)
            if device.state is MoveState.WAITING:
                self._try_arrival(device, now=now)
            if device.name in self.moving:
                self.handover.expire(device, now=now)
        # Ten thousand moving devices are looked at less often than ten.
        pause_s = max(self._limits.poll_s, len(self.moving) / 50_000)
        self.poll_at = now + pause_s if self.moving else math.inf

    def _add(self, device: Device, *, now: float) -> None:
        self.moving[device.name] = device
        self.poll_at = min(self.poll_at, now + self._limits.poll_s)

    def _quieted(self, device: Device, move_id: int) -> None:
        if device.state is MoveState.DRAINING and device.move_id == move_id:
            self._happen(device, MoveEvent.QUIETED, now=self._clock())

    def _happen(self, device: Device, event: MoveEvent, *, now: float, old: Path | None = None) -> None:
        """Let the table decide, perform what it says; the only place that changes a device's state."""
        before = device.state
        device.state, effects = step(before, event)
        self.draining += (device.state is MoveState.DRAINING) - (before is MoveState.DRAINING)
        for effect in effects:
            if effect is MoveEffect.FENCE:
                device.move_id = next(self._numbers)
                device.cut = False
                device.last_batch = device.batch  # What a lost path leaves in doubt is no older move's doing.
                device.deadline = now + self._drain_s(device)
                self._add(device, now=now)
            elif effect is MoveEffect.SETTLE:
                self._settle(device, old or device.path, now=now)
                self._close_attachments(device)
            elif effect is MoveEffect.UNFENCE:
                self._leave_batch(device, now=now, moved=False)
                self._release(device, now=now)
            elif effect is MoveEffect.ROUTE:
                device.arrive()
                waiting = bool(device.taken or device.held)
                self.ownership.changed(device, urgent=waiting and device.runtime != self._control)
                self._release(device, now=now)
            else:
                self.moving.pop(device.name, None)
                self.handover.close(device)
        if before is MoveState.DRAINING and self.draining == 0:
            self._on_settled()
        if event is not MoveEvent.ARRIVED and device.state is MoveState.WAITING:
            self._try_arrival(device, now=now)

    def _try_arrival(self, device: Device, *, now: float) -> None:
        path = device.path_of(device.target)
        if path is not None and path.ready and not self.ownership.bars(device, now=now):
            self._happen(device, MoveEvent.ARRIVED, now=now)

    def _drain_s(self, device: Device) -> float:
        path = device.path
        if path is not None and path.barrier is Barrier.SEQUENCE:
            return self._limits.sequence_drain_s if path.ready else 0.0
        return self._limits.back_drain_s if device.target == self._control else self._limits.forward_drain_s

    def _settle(self, device: Device, path: Path | None, *, now: float) -> None:
        """Take everything back from the old path and decide what is in doubt."""
        if path is not None:
            late = self.handover.take_back(device, path, now=now)
            if late:
                self.ownership.bar(device, path, until=now + self._limits.back_drain_s)
        self._leave_batch(device, now=now, moved=True)

    def _release(self, device: Device, *, now: float) -> None:
        """Send what was taken back, then what was held, over the owner's path, in order."""
        self.moving.pop(device.name, None)
        path = device.path
        assert path is not None, "a device is released only to a path that it has"
        if device.began is None:
            self.begin_session(device, now=now)
        if device.aside is not None:
            self.handover.send_on(device, path, now=now)
            device.rest()

    def _count_cut(self, device: Device) -> None:
        """Count a drain that ran out of time, and what was unanswered then."""
        device.cut = True
        self.cut += 1
        if device.path is not None:
            self.cut_commands += device.path.in_flight + device.path.queued
        if device.batch is not None:
            device.batch.cut += 1

    def _close_attachments(self, device: Device) -> None:
        """End what a restart wants ended; the device is not ready anywhere until it has dialled again."""
        if device.closing:
            device.closing = False
            for path in device.paths.values():
                if isinstance(path, Closable):
                    path.close("the session restarts")

    def _leave_batch(self, device: Device, *, now: float, moved: bool) -> None:
        if device.batch is not None:
            device.last_batch = device.batch
            device.batch.leave(device, now=now, moved=moved)

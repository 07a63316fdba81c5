"""One change of route and what it did: how many moved, how fast, and what became of what was in between.

A batch is the receipt of an advance, a rollback or a kill while it still grows. *Routed* means that no new message
enters a path that was left; *settled* that everything in flight there has been answered or decided.
"""

from collections.abc import Callable, Iterable

import anyio
import msgspec

from agt.router._device import Device


class MoveReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a change of route did, so far."""

    generation: int
    moving: int
    """Devices whose old path is still draining."""
    moved: int
    """Devices whose old path has been settled."""
    routed_ms: float | None
    """Milliseconds until no new message entered a path that was left."""
    settled_ms: float | None
    """Milliseconds until the last old path was settled; None while `moving`."""
    resent: int
    """Messages in doubt that were sent again on the new path."""
    indeterminate: int
    """Messages in doubt that were reported as such."""
    unconfirmed: int = 0
    """Messages that legacy had written and nobody answered, and that could not be sent again; the ledger names them."""
    cut: int = 0
    """Devices whose drain ended at its deadline, with commands unanswered."""
    announced: int = 0
    """Messages in flight at the turn that this change might not be able to confirm: what a preview in that very instant
    would have said. No more than these can end in doubt, or arrive twice, for its sake."""
    redial: int = 0
    """Devices that turned and have no attachment to the side they go to: they have to dial first."""
    redial_per_s: float | None = None
    """How many callers the gateway takes in each second; None when it didn't say."""
    latched: bool = True
    """For a kill: whether the selector was taken away on disk too; memory is latched in any case."""


class MoveBatch:
    """The growing receipt of one change of route."""

    def __init__(self, generation: int, *, now: float) -> None:
        self.generation = generation
        self.started_at = now
        self.pending = 0
        self.moved = 0
        self.resent = 0
        self.indeterminate = 0
        self.unconfirmed = 0
        self.cut = 0
        self.announced = 0
        self.redial = 0
        self.redial_per_s: float | None = None
        self.latched = True
        self.routed_s: float | None = None
        self.settled_s: float | None = None
        self._callbacks: list[Callable[[], None]] = []

    def take(self, device: Device, *, now: float) -> None:
        """Make a moving device this batch's own; an older batch no longer waits for it."""
        if device.batch is not None:
            device.batch.leave(device, now=now, moved=False)
        device.batch = self
        self.pending += 1

    def leave(self, device: Device, *, now: float, moved: bool) -> None:
        """Note that a device's old path has been settled, or that it stayed after all."""
        assert device.batch is self, "a device leaves the batch that it is in"
        device.batch = None
        self.pending -= 1
        self.moved += moved
        self.finish_if_empty(now=now)

    def routed(self, *, now: float) -> None:
        """Note that no new message enters a path that was left."""
        self.routed_s = now - self.started_at

    def count(self, turned: Iterable[Device]) -> None:
        """Count what the devices of this batch leave open at the turn; before any of them has begun to drain."""
        for device in turned:
            if device.batch is self:
                self.announced += device.unconfirmed
                self.redial += device.path_of(device.target) is None

    def finish_if_empty(self, *, now: float) -> None:
        """Note the end when no device is left to wait for."""
        if self.pending == 0 and self.settled_s is None and self.routed_s is not None:
            self.settled_s = now - self.started_at
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                callback()

    async def settled(self) -> MoveReceipt:
        """Wait until the last old path has been settled and return the receipt."""
        if self.settled_s is None:
            event = anyio.Event()
            self._callbacks.append(event.set)
            await event.wait()
        return self.receipt()

    def receipt(self) -> MoveReceipt:
        """Return the figures as they are now."""
        return MoveReceipt(
            generation=self.generation,
            moving=self.pending,
            moved=self.moved,
            routed_ms=None if self.routed_s is None else self.routed_s * 1000,
            settled_ms=None if self.settled_s is None else self.settled_s * 1000,
            resent=self.resent,
            indeterminate=self.indeterminate,
            unconfirmed=self.unconfirmed,
            cut=self.cut,
            announced=self.announced,
            redial=self.redial,
            redial_per_s=self.redial_per_s if self.redial else None,
            latched=self.latched,
        )

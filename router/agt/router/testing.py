"""Doubles for code that uses a router: a path whose far end is a list, and a clock that is moved by hand.

Our own tests use nothing else where no socket is needed.
"""

from collections import deque
from collections.abc import Callable, Iterator

from agt.router._path import Message, Withdrawn
from agt.transport import Barrier, Delivery, MoveKind, Outcome


class ManualClock:
    """A clock that stands still until told otherwise."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class ScriptedDevice:
    """The far end of all of one device's paths: what reached it, in order, and what it made of it."""

    def __init__(self, *, drops_doubles: bool = False) -> None:
        self.received: list[int] = []
        """Numbers of everything that arrived, doubles included."""
        self.applied: list[int] = []
        """Numbers that it acted upon."""
        self._drops_doubles = drops_doubles

    def take(self, number: int) -> None:
        """Receive a message."""
        self.received.append(number)
        if not self._drops_doubles or number > max(self.applied, default=-1):
            self.applied.append(number)


class ScriptedPath:
    """A path whose messages leave, arrive and are answered when the test says so.

    `send` puts a message on the wire at once while `ready`, or queues it. `arrive` hands the oldest to the device;
    `answer` lets its reply come back. A legacy path settles as `written` when it writes.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        device: ScriptedDevice | None = None,
        *,
        barrier: Barrier = Barrier.ACK,
        move: MoveKind = MoveKind.WARM,
        legacy: bool = False,
        ready: bool = True,
    ) -> None:
        self.device = device if device is not None else ScriptedDevice()
        self.barrier, self.move = barrier, move
        self.ready = ready
        """Whether the attachment is up; set it as the script wants."""
        self.on_wire: deque[int] = deque()
        """Numbers that were written and have not reached the device."""
        self.closed: list[str] = []
        """Why the attachment was ended on purpose, each time."""
        self._clock, self._legacy = clock, legacy
        self._lost: list[int] = []
        self._open: list[_Open] = []
        self._quiet: list[Callable[[], None]] = []

    @property
    def in_flight(self) -> int:
        """Messages written and not answered."""
        return sum(entry.written for entry in self._open)

    @property
    def queued(self) -> int:
        """Messages that wait for the attachment."""
        return sum(not entry.written for entry in self._open)

    def send(self, message: Message) -> Delivery:
        """Carry a message."""
        delivery = Delivery()
        if self._legacy and not self.ready:
            delivery.settle(Outcome.NOT_DELIVERED, reason="no connection")
            return delivery
        self._open.append(_Open(message, delivery, written=self.ready, expires_at=self._clock() + message.deadline_s))
        if self.ready:
            self.on_wire.append(message.number)
        if self._legacy:
            delivery.settle(Outcome.WRITTEN)
        return delivery

    def arrive(self, count: int = 1_000_000) -> None:
        """Let the oldest written messages reach the device."""
        for _ in range(min(count, len(self.on_wire))):
            self.device.take(self.on_wire.popleft())

    def lose(self, count: int = 1_000_000) -> None:
        """Let the oldest written messages get lost on the way."""
        for _ in range(min(count, len(self.on_wire))):
            self._lost.append(self.on_wire.popleft())

    def resend(self) -> None:
        """Write again what was lost and is still unsettled, as a reliable wire does by itself."""
        unsettled = {entry.message.number for entry in self._open}
        self.on_wire.extend(number for number in self._lost if number in unsettled)
        self._lost.clear()

    def answer(self, *numbers: int) -> None:
        """Let replies come back: for these numbers, or for everything written and not lost."""
        for entry in self._written():
            number = entry.message.number
            if number in numbers or (not numbers and number not in self._lost):
                self._open.remove(entry)
                if not entry.delivery.done:
                    entry.delivery.settle(Outcome.DELIVERED)
        self._tell_quiet()

    def give_up(self, number: int) -> None:
        """Let a written message run out of retries: later ones go on, and nobody has said yet whether it arrived."""
        for entry in self._written():
            if entry.message.number == number:
                entry.delivery.give_up("given up after 3 retries")

    def close(self, reason: str) -> None:
        """End the attachment; `connect` is the device that has dialled again."""
        self.ready = False
        self.closed.append(reason)

    def connect(self) -> None:
        """Bring the attachment up; what was queued is written."""
        self.ready = True
        for entry in self._open:
            if not entry.written:
                entry.written = True
                self.on_wire.append(entry.message.number)

    def withdraw(self) -> Withdrawn:
        """Give back what is unsettled."""
        entries, self._open = self._open, []
        now = self._clock()
        left = [(entry.message.within(entry.expires_at - now), entry) for entry in entries]
        if self._legacy:
            return Withdrawn(unsent=(), in_doubt=(), written=tuple(message for message, _ in left))
        return Withdrawn(
            unsent=tuple((message, entry.delivery) for message, entry in left if not entry.written),
            in_doubt=tuple((message, entry.delivery) for message, entry in left if entry.written),
            given_up=frozenset(entry.delivery for entry in entries if entry.delivery.ending),
        )

    def on_quiet(self, callback: Callable[[], None]) -> None:
        """Call back once when nothing is in flight or queued."""
        self._quiet.append(callback)
        self._tell_quiet()

    def _written(self) -> Iterator["_Open"]:
        return iter([entry for entry in self._open if entry.written])

    def _tell_quiet(self) -> None:
        if not self._open:
            callbacks, self._quiet = self._quiet, []
            for callback in callbacks:
                callback()


class _Open:
    """One message that a scripted path has not seen the end of."""

    __slots__ = ("delivery", "expires_at", "message", "written")

    def __init__(self, message: Message, delivery: Delivery, *, written: bool, expires_at: float) -> None:
        self.message, self.delivery, self.written, self.expires_at = message, delivery, written, expires_at

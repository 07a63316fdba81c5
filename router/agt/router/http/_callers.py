"""The callers that the router knows: each key in use is one of its devices, with a path to each runtime.

So previews, status, pins, moves and kills mean the same here as for live connections. A request needs none of that to
be placed (the decision is a function of the key), so only a bounded number of keys is remembered and the rest go by
the decision alone. Requests don't wait for a move: each is whole in itself, so new ones go to the new runtime at once
while those under way end where they are; *settled* means that the last of them has.
"""

from collections import OrderedDict
from collections.abc import Callable

from agt.router._path import Message, Withdrawn
from agt.router._router import Router
from agt.transport import Barrier, Delivery, MoveKind, Outcome

SWEPT_AT_ONCE = 1000
"""Callers that one look for ended sessions may end, so that it takes no long turn."""


class RequestPath:
    """One caller's way to one runtime: a count of what is under way."""

    __slots__ = ("_quiet", "in_flight")

    barrier = Barrier.ACK
    """Each request is answered."""
    move = MoveKind.WARM
    """Both runtimes are there."""
    ready = True
    """A service that is down fails its requests, which is for gates and rules to judge, not for the route."""
    queued = 0
    """Nothing waits here; what waits for a connection is under way."""

    def __init__(self) -> None:
        self.in_flight = 0
        """Requests without their whole answer."""
        self._quiet: list[Callable[[], None]] | None = None

    def begin(self) -> None:
        """Count a request."""
        self.in_flight += 1

    def end(self) -> None:
        """Count its end."""
        self.in_flight -= 1
        if self.in_flight == 0 and self._quiet:
            callbacks, self._quiet = self._quiet, None
            for callback in callbacks:
                callback()

    def send(self, message: Message) -> Delivery:
        """Refuse: a request comes from its caller's own connection and can't be made here."""
        delivery = Delivery()
        delivery.settle(Outcome.NOT_DELIVERED, reason=f"{message.device} is sent to by requests alone")
        return delivery

    def withdraw(self) -> Withdrawn:
        """Give nothing back: what is under way ends on the runtime that has it."""
        return Withdrawn(unsent=(), in_doubt=())

    def on_quiet(self, callback: Callable[[], None]) -> None:
        """Call back once when nothing is under way."""
        if self.in_flight == 0:
            callback()
        elif self._quiet is None:
            self._quiet = [callback]
        else:
            self._quiet.append(callback)


class Known:
    """One caller that the router knows."""

    __slots__ = ("paths", "seen_at")

    def __init__(self, runtimes: tuple[str, str], now: float) -> None:
        self.paths = {name: RequestPath() for name in runtimes}
        self.seen_at = now

    @property
    def busy(self) -> bool:
        """Whether a request of it is under way."""
        return any(path.in_flight for path in self.paths.values())


class Callers:
    """Remembers keys in use, up to a number, and forgets them when they have been idle.

    Args:
        router: Where they are attached.
        keys_max: How many are remembered.
        idle_s: How long one is kept without a request: its session.
    """

    def __init__(self, router: Router, *, keys_max: int, idle_s: float) -> None:
        self._router, self._keys_max, self._idle_s = router, keys_max, idle_s
        self._known: OrderedDict[str, Known] = OrderedDict()
        self.unremembered = 0
        """Requests placed by the decision alone, because no more keys could be remembered."""

    def __len__(self) -> int:
        return len(self._known)

    def meet(self, name: str, now: float) -> Known | None:
        """Return a caller, attached now if it is new; None when there is no room."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= self._keys_max and not self._make_room():
                self.unremembered += 1
                return None
            runtimes = self._router.runtimes
            known = self._known[name] = Known((runtimes.control, runtimes.candidate), now)
            self._router.attach(name, known.paths)
        known.seen_at = now
        self._known.move_to_end(name)
        return known

    def sweep(self, now: float) -> None:
        """Forget callers that have been idle for too long."""
        idle = [name for name, known in self._oldest(SWEPT_AT_ONCE) if now - known.seen_at >= self._idle_s]
        for name in idle:
            if not self._known[name].busy:
                self._forget(name)

    def _make_room(self) -> bool:
        """Forget the one that was silent for longest; only a few are looked at, since one is nearly always idle."""
        for name, known in self._oldest(10):
            if not known.busy:
                self._forget(name)
                return True
        return False

    def _oldest(self, count: int) -> list[tuple[str, Known]]:
        return [item for item, _ in zip(self._known.items(), range(count), strict=False)]

    def _forget(self, name: str) -> None:
        del self._known[name]
        self._router.detach(name)

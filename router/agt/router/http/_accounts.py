"""What became of every request, in the ledger and in the figures that gates and rules go by.

A request is a message: *delivered* when its runtime answered it in full and not with a 5xx; *not delivered* when it
provably never got there; *indeterminate* when nobody can say what the runtime did (it broke off, was too slow, or said
itself that it failed). Both runtimes are measured alike, so control counts as observed. Latency is the time to the
answer's head: how long a stream lasts is the caller's choice.
"""

from collections.abc import Callable, Sequence

from agt.router._path import Message
from agt.router._router import Router
from agt.router.http._callers import Known
from agt.transport import Delivery, Outcome, TransportMetrics


class Account:
    """One request, from its acceptance to its end."""

    __slots__ = ("_books", "_known", "_message", "delivery", "head_at", "opened_at", "runtime", "status")

    def __init__(self, books: "Books", message: Message, known: Known | None, runtime: str, now: float) -> None:
        self._books, self._message, self._known = books, message, known
        self.runtime = runtime
        self.delivery = Delivery()
        self.delivery.runtime = runtime
        self.opened_at = now
        self.head_at: float | None = None
        """When the head of its answer came."""
        self.status = 0
        """The answer's status; 0 before."""

    def cross(self, runtime: str) -> None:
        """Go over to the other runtime; only before anything was sent, or for what may be asked twice."""
        self._books.left(self)
        self._books.crossed(self._message.device, self.runtime, runtime)
        self.runtime = self.delivery.runtime = runtime
        self._books.entered(self)

    def answered(self, status: int, now: float) -> None:
        """Note the head of the answer."""
        self.status, self.head_at = status, now
        self._books.traffic[self.runtime].waiting_for_head.pop(self, None)

    def end(self, outcome: Outcome, reason: str = "", *, now: float) -> None:
        """Note the end."""
        self._books.left(self)
        latency_s = (now if self.head_at is None else self.head_at) - self.opened_at
        self.delivery.settle(outcome, reason=reason, latency_s=latency_s)
        self._books.ended(self, outcome, latency_s)

    @property
    def number(self) -> int:
        """The request's number in the ledger."""
        return self._message.number

    @property
    def known(self) -> Known | None:
        """The caller, where it is remembered."""
        return self._known


class Traffic:
    """What is under way to one runtime, as its metrics ask."""

    connected = True
    queued = 0
    waiting = 0
    unanswered = 0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.in_flight = 0
        """Requests without their whole answer."""
        self.waiting_for_head: dict[Account, None] = {}
        """Those without the head of it, oldest first."""

    def slow_sent(self, limits_s: Sequence[float]) -> list[int]:
        """Count those that have waited for the head longer than each limit; a stream that flows isn't slow."""
        now, counts = self._clock(), [0] * len(limits_s)
        for account in self.waiting_for_head:
            age_s = now - account.opened_at
            if age_s < limits_s[0]:
                break  # Those behind it are younger.
            for index, limit_s in enumerate(limits_s):
                counts[index] += age_s >= limit_s
        return counts

    def slow_written(self, limits_s: Sequence[float]) -> list[int]:
        """Count nothing: every request is answered."""
        return [0] * len(limits_s)


class Books:
    """Opens and closes the account of each request."""

    def __init__(self, router: Router, clock: Callable[[], float]) -> None:
        self._router, self._clock, self._number = router, clock, 0
        names = (router.runtimes.control, router.runtimes.candidate)
        self.metrics = {name: TransportMetrics(name) for name in names}
        """Figures by runtime."""
        self.traffic = {name: Traffic(clock) for name in names}
        """What is under way, by runtime."""
        self.statuses = {name: [0] * 6 for name in names}
        """Answers by runtime and first digit of the status; at 0 those without an answer."""
        self.crossings = 0
        """Requests that went over to the other runtime before they were answered."""
        self.callers_gone = dict.fromkeys(names, 0)
        """Requests whose caller left before its answer had come, by runtime."""
        for name in names:
            self.metrics[name].sending.add(self.traffic[name])

    @property
    def under_way(self) -> int:
        """Requests without their whole answer."""
        return sum(traffic.in_flight for traffic in self.traffic.values())

    def open(self, device: str, known: Known | None, runtime: str, *, deadline_s: float) -> Account:
        """Accept a request for a runtime."""
        self._number += 1
        message = Message(device=device, number=self._number, payload=b"", deadline_s=deadline_s)
        account = Account(self, message, known, runtime, self._clock())
        self._router.ledger.accept(message, account.delivery)
        self.metrics[runtime].accepted += 1
        self.entered(account)
        return account

    def entered(self, account: Account) -> None:
        """Count a request as under way to its runtime."""
        traffic = self.traffic[account.runtime]
        traffic.in_flight += 1
        traffic.waiting_for_head[account] = None
        if account.known is not None:
            account.known.paths[account.runtime].begin()

    def left(self, account: Account) -> None:
        """Count it as no longer under way there."""
        traffic = self.traffic[account.runtime]
        traffic.in_flight -= 1
        traffic.waiting_for_head.pop(account, None)
        if account.known is not None:
            account.known.paths[account.runtime].end()

    def crossed(self, device: str, old: str, new: str) -> None:
        """Note that a request went over without having been answered."""
        self.crossings += 1
        self._router.ledger.crossed(device, old, new)

    def ended(self, account: Account, outcome: Outcome, latency_s: float) -> None:
        """Count an end."""
        metrics, good = self.metrics[account.runtime], outcome is Outcome.DELIVERED
        metrics.outcomes[outcome] += 1
        if account.head_at is not None:
            metrics.observe_latency(latency_s)
            metrics.acks_received += 1
        if account.runtime == self._router.runtimes.control:
            metrics.observed_replies += good
            metrics.observed_missing += not good
        self.statuses[account.runtime][min(account.status // 100, 5)] += 1

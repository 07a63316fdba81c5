"""The legacy way over a session's own wire: write and hope, watched by a passive observer.

Nothing is remembered for the sender and nothing is sent again; the numbers kept here only let replies be matched,
so that a path which promises nothing can still be measured.
"""

from typing import Protocol, runtime_checkable

from agt.transport._delivery import Delivery
from agt.transport._errors import QueueFull, UsageError
from agt.transport._events import Observed
from agt.transport._flights import Flights
from agt.transport._link import Link
from agt.transport._metrics import TransportMetrics
from agt.transport._outcome import Outcome


@runtime_checkable
class LegacyLink(Protocol):
    """A link whose wire also has the legacy way of sending."""

    @property
    def unanswered(self) -> int:
        """Written messages whose reply has neither been seen nor given up."""
        ...

    def write(self, payload: bytes, *, now: float) -> int:
        """Write a message once and return its number; a reply comes as `Observed`."""
        ...


class Writes:
    """Legacy writes of one session, bounded by how many may wait for a stalled socket."""

    __slots__ = ("_flights", "_limit", "_link", "_metrics", "_wire", "cut_off", "unflushed")

    def __init__(self, link: Link, metrics: TransportMetrics, limit: int) -> None:
        self._link: LegacyLink | None = link if isinstance(link, LegacyLink) else None
        self._wire = link.traits.name
        self._metrics = metrics
        self._limit = limit
        self._flights = Flights()
        self.cut_off: tuple[Delivery, ...] = ()
        """Messages that were unanswered when the last connection ended, oldest first."""
        self.unflushed = 0
        """Messages written since the carrier has last asked the link for its bytes."""

    def count_in(self, metrics: TransportMetrics) -> None:
        """Count there from now on."""
        self._metrics = metrics

    @property
    def unanswered(self) -> int:
        """Written messages that may still be answered."""
        return self._link.unanswered if self._link is not None else 0

    @property
    def flights(self) -> Flights:
        """Those messages, oldest first; the link gives up on the oldest first, without a word."""
        self._flights.keep_newest(self.unanswered)
        return self._flights

    def write(self, payload: bytes, now: float, *, connected: bool) -> Delivery:
        """Write a message; the handle is settled already, as `written` or `not_delivered`.

        Raises:
            UsageError: when the wire has no legacy way.
        """
        if self._link is None:
            raise UsageError(f"the wire {self._wire!r} has no legacy way of sending")
        delivery = Delivery(b"", now)
        self._metrics.accepted += 1
        reason = self._try_write(self._link, payload, now, delivery) if connected else "no connection"
        outcome = Outcome.NOT_DELIVERED if reason else Outcome.WRITTEN
        self._metrics.outcomes[outcome] += 1
        delivery.settle(outcome, reason=reason)
        return delivery

    def observed(self, event: Observed) -> None:
        """Count a reply."""
        self._flights.take(event.message)
        self._metrics.observed_replies += 1
        self._metrics.observe_latency(event.latency_s)

    def connection_lost(self) -> None:
        """Remember what was unanswered; to be called before the link hears that the connection is gone."""
        self.cut_off = tuple(self.flights)
        self.unflushed = 0

    def _try_write(self, link: LegacyLink, payload: bytes, now: float, delivery: Delivery) -> str:
        """Write, and return why not; empty when it was written."""
        if self.unflushed >= self._limit:
            self._metrics.queue_full += 1
            return f"the socket is stalled and {self._limit} writes wait already"
        try:
            number = link.write(payload, now=now)
        except QueueFull as full:
            self._metrics.queue_full += 1
            return str(full)
        self._flights.add(number, delivery, now)
        self.unflushed += 1
        return ""

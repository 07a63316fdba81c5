"""What one runtime's transport counts: plain integers, read at scrape time.

A labelled counter costs a microsecond per message, an integer in a slot a few nanoseconds; so messages touch only
the integers here, and `agt.transport.metrics` turns them into Prometheus families when somebody asks.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence, Sized
from operator import attrgetter
from threading import RLock
from typing import Final, Generic, Protocol, TypeVar
from weakref import ref

from agt.transport._events import Delivered, Settled
from agt.transport._outcome import Outcome
from agt.transport._refusal import Refusal

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram, in seconds."""
SLOW_LIMITS_S = (0.5, 0.8, 1.5, 5.0)
"""Ages in seconds at which a message in flight counts as slow now, not only when its answer comes."""

T = TypeVar("T")

_DELIVERED: Final = Outcome.DELIVERED
_accepted_at = attrgetter("accepted_at")


class Live(Protocol):
    """A running session, as far as gauges are concerned."""

    @property
    def connected(self) -> bool:
        """Whether messages flow."""
        ...

    @property
    def in_flight(self) -> int:
        """Messages sent and not settled."""
        ...

    @property
    def queued(self) -> int:
        """Messages accepted and not sent."""
        ...

    @property
    def waiting(self) -> int:
        """Messages received and not taken by the application."""
        ...

    @property
    def unanswered(self) -> int:
        """Messages written the legacy way and not answered."""
        ...

    def slow_sent(self, limits_s: Sequence[float]) -> list[int]:
        """Messages sent longer ago than each limit and not settled."""
        ...

    def slow_written(self, limits_s: Sequence[float]) -> list[int]:
        """Messages written longer ago than each limit and not answered."""
        ...


class Alive(Generic[T]):
    """Objects that somebody else keeps; a `WeakSet` of a third of the weight, of which each transport has three."""

    __slots__ = ("_refs",)

    def __init__(self) -> None:
        self._refs: set[ref[T]] = set()

    def add(self, item: T) -> None:
        """Hold it as long as it lives."""
        self._refs.add(ref(item, self._refs.discard))

    def discard(self, item: T) -> None:
        """Hold it no longer."""
        self._refs.discard(ref(item))

    def __iter__(self) -> Iterator[T]:
        return iter([item for item in [held() for held in tuple(self._refs)] if item is not None])

    def __len__(self) -> int:
        return len(self._refs)


class TransportMetrics:
    """Counters of one runtime, shared by all its sessions."""

    __slots__ = (
        "accepted",
        "ack_timeouts",
        "acks_received",
        "connections",
        "decode_errors",
        "dedup_evictions",
        "dedup_hits",
        "delivered_durable",
        "duplicates_dropped",
        "heartbeats",
        "latency_counts",
        "latency_sum_s",
        "lock",
        "observed_missing",
        "observed_replies",
        "outcomes",
        "own_ids",
        "queue_full",
        "received",
        "reconnections",
        "refused",
        "resends",
        "runtime",
        "sending",
        "tag_failures",
        "writing",
    )

    def __init__(self, runtime: str = "candidate") -> None:  # noqa: PLR0915  # A line and its meaning a counter.
        self.runtime = runtime
        """The runtime's name, exported as the label `transport`."""
        self.accepted = 0
        """Messages taken for sending, whatever became of them."""
        self.outcomes = dict.fromkeys(Outcome, 0)
        """How many messages ended as each outcome."""
        self.latency_counts = [0] * (len(LATENCY_BUCKETS_S) + 1)
        """Messages per latency bucket; the last one is everything slower than all bounds."""
        self.latency_sum_s = 0.0
        """Seconds that all of those took together."""
        self.received = 0
        """Messages handed to the application."""
        self.acks_received = 0
        """Messages that the peer confirmed."""
        self.delivered_durable = 0
        """Messages that the peer confirmed when they were durable there; the other deliveries were `processed`."""
        self.ack_timeouts = 0
        """Times that a confirmation did not come in time."""
        self.resends = 0
        """Messages sent again."""
        self.duplicates_dropped = 0
        """Messages received again and not handed over a second time."""
        self.dedup_hits = 0
        """Messages recognised by an id of their own; sequences need no such cache."""
        self.dedup_evictions = 0
        """Remembered ids that made room for newer ones."""
        self.decode_errors = 0
        """Connections dropped, or bytes passed over, because they made no sense."""
        self.tag_failures = 0
        """Connections dropped because bytes under a key were damaged, or changed by somebody in between."""
        self.refused = dict.fromkeys(Refusal, 0)
        """How many connections were not let in, by reason."""
        self.queue_full = 0
        """Messages that met a full queue."""
        self.connections = 0
        """Connections on which the peer said hello."""
        self.reconnections = 0
        """Those of them that were not a session's first."""
        self.heartbeats = 0
        """Heartbeats exchanged."""
        self.observed_replies = 0
        """Replies matched to messages that were only written."""
        self.observed_missing = 0
        """Written messages whose reply did not come within the wire's reply timeout."""
        self.lock = RLock()
        """Held by the drivers for threads around everything that counts here; one event loop needs none."""
        self.own_ids: Alive[Sized] = Alive()
        """The caches of ids that messages have brought."""
        self.sending: Alive[Live] = Alive()
        """Sessions whose reliable messages count here."""
        self.writing: Alive[Live] = Alive()
        """Sessions whose legacy writes count here."""

    @property
    def parts(self) -> "tuple[TransportMetrics, ...]":
        """Everything that adds up to the runtime's counts."""
        return (self,)

    def for_peer(self, peer: str) -> "TransportMetrics":
        """Return where the messages of a peer count: here."""
        del peer
        return self

    def delivered(self, event: Delivered) -> None:
        """Count reliable messages that were delivered."""
        messages, now, count = event.messages, event.now, len(event.messages)
        self.outcomes[_DELIVERED] += count
        self.acks_received += count
        self.latency_sum_s += now * count - sum(map(_accepted_at, messages))
        # In the order of sending the first one took longest: if it shares its bucket with the last, so do all between.
        slowest = bisect_left(LATENCY_BUCKETS_S, now - messages[0].accepted_at)
        if slowest == bisect_left(LATENCY_BUCKETS_S, now - messages[-1].accepted_at):
            self.latency_counts[slowest] += count
        else:
            for message in messages:
                self.latency_counts[bisect_left(LATENCY_BUCKETS_S, now - message.accepted_at)] += 1

    def settled(self, event: Settled) -> None:
        """Count a reliable message that has ended otherwise."""
        self.outcomes[event.outcome] += 1

    @property
    def dedup_size(self) -> int:
        """Remembered ids now, over all live caches."""
        return sum(len(known) for known in self.own_ids)

    def observe_latency(self, latency_s: float) -> None:
        """Put one latency, in seconds, into the histogram."""
        self.latency_counts[bisect_left(LATENCY_BUCKETS_S, latency_s)] += 1
        self.latency_sum_s += latency_s

    @property
    def in_flight(self) -> int:
        """Messages on the wire and unanswered now, over all live sessions and both ways of sending."""
        return sum(session.in_flight for session in self.sending) + sum(session.unanswered for session in self.writing)

    def in_flight_older_than(self, limits_s: Sequence[float] = SLOW_LIMITS_S) -> list[int]:
        """Count, for each limit in seconds (ascending), what has been on its way longer than that."""
        totals = [0] * len(limits_s)
        for counts in (
            *(session.slow_sent(limits_s) for session in self.sending),
            *(session.slow_written(limits_s) for session in self.writing),
        ):
            totals = [total + count for total, count in zip(totals, counts, strict=True)]
        return totals

"""What a session does in a turn: pull what its link reports, settle, hand over, count, arm; and what it knows.

`react` is the only place where events are pulled. A handle's callback may send again, which `react` picks up in the
same pass. After each exchange with the link, `flushing` does what may have become due: the timer, the counters,
whoever waits for room or quiet. So a message costs no look at any of these, a turn one at each.
"""

from collections.abc import Callable, Sequence
from typing import Any

from agt.transport._ack_level import AckLevel
from agt.transport._alarms import Alarms
from agt.transport._carrying import Carrying
from agt.transport._committing import Commits
from agt.transport._config import Overflow
from agt.transport._counting import Growth
from agt.transport._dead_letters import DEAD_LETTERS_MAX, DeadLetters, RefusedMessage
from agt.transport._deadline import Deadline
from agt.transport._delivery import Delivery
from agt.transport._events import Delivered, Event, Observed, Opened, Received, Settled
from agt.transport._inbox import Inbox
from agt.transport._link import Link
from agt.transport._message_id import CHANNEL_SHIFT
from agt.transport._metrics import TransportMetrics
from agt.transport._outbox import Outbox
from agt.transport._received import ReceivedBatch, ReceivedMessage
from agt.transport._timers import running_clock
from agt.transport._writes import Writes


class SessionTurns:
    """The machinery of a `Session`; see there."""

    def __init__(
        self,
        link: Link,
        *,
        metrics: TransportMetrics | None = None,
        written_metrics: TransportMetrics | None = None,
        recv_queue_max: int = 100,
        write_queue_max: int = 100,
        overflow: Overflow = Overflow.REJECT,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        on_batch: Callable[[ReceivedBatch], None] | None = None,
        on_dead_letter: Callable[[RefusedMessage], None] | None = None,
        dead_letters_max: int = DEAD_LETTERS_MAX,
        timers: Alarms | None = None,
        peer: str = "",
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Wrap a link.

        Args:
            link: reliability over one wire towards one peer.
            metrics: where messages of `send` count; a private one when not given.
            written_metrics: where `write_nowait` and its observed replies count (the control runtime's, when the
                device moves in place); `metrics` when not given.
            recv_queue_max: received messages that may wait for the application before reading pauses.
            write_queue_max: legacy writes that may wait for a stalled socket.
            overflow: what a full send queue does to the next message.
            on_message: called with each message instead of queueing it; when it returns, the message counts as
                processed unless it was refused or deferred. When it raises, the message is refused.
            on_batch: called with all that came together instead; the same holds for the batch. The cheap way for many.
            on_dead_letter: called with each message that the peer's application has refused for good; must not raise.
            dead_letters_max: how many of those `dead_letters` keeps.
            timers: alarms that somebody rings; without one, the session keeps time only while it is carried.
            peer: the peer's name, where it is known before its hello.
            clock: what tells the time, in seconds; the running event loop's own when not given.
        """
        self.link = link
        self.metrics = metrics if metrics is not None else TransportMetrics()
        self.written_metrics = written_metrics if written_metrics is not None else self.metrics
        self.peer = peer
        """The peer's name; empty until it has said hello."""
        self.closed = ""
        """Why the session was closed; empty while it is not."""
        self.behind = False
        """Whether more than `recv_queue_max` messages wait for the application."""
        self.progress = 0
        """Messages that got through in either direction: whether connections do any good."""
        self._clock = clock if clock is not None else running_clock()
        self._deadline = Deadline(timers)
        self._own_timers = timers is None
        self._overflow = overflow
        self._drops = overflow is Overflow.DROP_OLDEST
        self._outbox = Outbox(link, self.metrics, overflow, self._clock)
        self._outbox.dead_letters = DeadLetters(dead_letters_max, on_dead_letter)
        self._writes = Writes(link, self.written_metrics, write_queue_max)
        self._inbox = Inbox(recv_queue_max, on_message, on_batch)
        self.commits: Commits | None = None
        """Where received messages can be committed; None where there is no inbox."""
        self._carrier: Carrying | None = None
        self._peer_epoch = 0
        self._epoch_from: dict[int, int] = {}
        self._opened = False
        self._opened_count = 0
        self._turning = False
        self._quiet_callbacks: list[Callable[[], None]] = []
        self._connection_callbacks: list[Callable[[Any], None]] = []
        self._growth = Growth(link, self.metrics, self.written_metrics)
        self.metrics.sending.add(self)
        self.written_metrics.writing.add(self)

    # What can be known

    @property
    def connected(self) -> bool:
        """Whether the peer has said hello on the present connection, so that messages flow."""
        return self._opened

    @property
    def in_flight(self) -> int:
        """Messages written by `send` and not settled."""
        return self.link.in_flight

    @property
    def queued(self) -> int:
        """Messages accepted by `send` and not written."""
        return self.link.queued

    @property
    def unanswered(self) -> int:
        """Messages written by `write_nowait` whose reply has neither been seen nor given up."""
        return self._writes.unanswered

    @property
    def waiting(self) -> int:
        """Messages received and not taken by the application."""
        return len(self._inbox)

    def oldest_in_flight_s(self) -> float:
        """Return for how many seconds the oldest unsettled message has been on its way; 0.0 when there is none."""
        return max(0.0, self._clock() - self.link.oldest_in_flight_at) if self.link.in_flight else 0.0

    def slow_sent(self, limits_s: Sequence[float]) -> list[int]:
        """Count, per limit in seconds (ascending), unsettled messages older than it."""
        return self._outbox.older_than(self._clock(), limits_s)

    def slow_written(self, limits_s: Sequence[float]) -> list[int]:
        """Count, per limit in seconds (ascending), written messages that have gone unanswered for longer."""
        return self._writes.flights.older_than(self._clock(), limits_s)

    def unanswered_writes(self) -> tuple[Delivery, ...]:
        """Return the handles of the written messages that may still be answered, oldest first."""
        return tuple(self._writes.flights)

    def cut_off_writes(self) -> tuple[Delivery, ...]:
        """Return the handles of the written messages that nobody had answered when the last connection ended."""
        return self._writes.cut_off

    # Called by received messages

    def acknowledge(self, token: int, count: int = 1) -> None:
        """Tell the peer that messages were processed; `ReceivedMessage.ack` calls this."""
        if not self.closed:
            self.link.acknowledge(token, now=self._clock(), count=count)
            if not self._turning:  # Within a turn the events are being pulled already.
                self._after_call()
            elif self._carrier is not None and not self._carrier.dirty:
                self._carrier.wake()

    def refuse(self, token: int, code: str, retry_after_s: float = 0.0) -> None:
        """Tell the peer that a message will not be processed; `ReceivedMessage.refuse` calls this."""
        if not self.closed:
            self.link.refuse(token, code, now=self._clock(), retry_after_s=retry_after_s)
            self._after_call()

    def epoch_of(self, token: int) -> int:
        """Return the incarnation of the peer's outbox that a received message is of; 0 when that has gone."""
        first = self._epoch_from.get(token >> CHANNEL_SHIFT)
        return self._peer_epoch if first is not None and token >= first else 0

    # Called by the carrier

    def turn(self) -> None:
        """Pull every event, then arm the timer and wake who waits; callbacks may come back here."""
        if not self._turning:
            self.flushing()

    def react(self, event: Event | None = None) -> None:
        """Pull every event, and leave the rest to the `flushing` that follows.

        Args:
            event: one that was pulled already.
        """
        if self._turning:
            return
        self._turning = True
        next_event = self.link.next_event
        try:
            event = event or next_event()
            while event is not None:
                if isinstance(event, Delivered):
                    self.progress += len(event.messages)
                    self._outbox.delivered(event)
                elif isinstance(event, Received):
                    self._on_received(event)
                elif isinstance(event, Settled):
                    self._outbox.settled(event)
                elif isinstance(event, Observed):
                    self._writes.observed(event)
                elif isinstance(event, Opened):
                    self._on_opened(event)
                elif self._carrier is not None:
                    self._carrier.end(event)
                event = next_event()
        finally:
            self._turning = False

    def flushing(self) -> None:
        """The same as `turn`, after the link has been asked for what it has to write."""
        self._writes.unflushed = 0
        if self._turning:
            return
        if (event := self.link.next_event()) is not None:
            self.react(event)
        deadline = self.link.next_deadline()
        if deadline < self._deadline.at:
            self._deadline.bring_forward(deadline, self._on_timer)
        if self._growth.counters != self._growth.folded:
            self._growth.fold()
        if self._outbox.room is not None:
            self._outbox.tell_room()
        if self._quiet_callbacks:
            self._tell_quiet()

    # Within

    def _catch_up(self) -> None:
        """Read on, if the application has taken enough."""
        if self.behind and not self._inbox.behind:
            self.behind = False
            if self._carrier is not None:
                self._carrier.more_room()

    def _accepted(self, deadline: float) -> None:
        if deadline < self._deadline.at:
            self._deadline.bring_forward(deadline, self._on_timer)
        carrier = self._carrier
        if carrier is None or self._drops:
            self.turn()  # No carrier will do it now: a message that gave way must be told so at once.
        if carrier is not None and not carrier.dirty:
            carrier.wake()

    def changed(self) -> None:
        """Look at the link: something else than this session has changed it (a store that has written, say)."""
        self._after_call()

    def _after_call(self) -> None:
        self.turn()
        if self._carrier is not None:
            self._carrier.wake()

    def _count_for_peer(self) -> None:
        """Count where messages of this peer belong, which is known when it has said who it is."""
        metrics, written = self.metrics.for_peer(self.peer), self.written_metrics.for_peer(self.peer)
        if metrics is self.metrics and written is self.written_metrics:
            return
        self._growth.fold()
        self.metrics.sending.discard(self)
        self.written_metrics.writing.discard(self)
        self.metrics, self.written_metrics = metrics, written
        self._outbox.count_in(metrics)
        self._writes.count_in(written)
        self._growth.count_in(metrics, written)
        metrics.sending.add(self)
        written.writing.add(self)

    def _on_received(self, event: Received) -> None:
        if self.closed:
            return  # Said in the same breath as what it was let go for.
        count = len(event.payloads)
        self.metrics.received += count
        self.progress += count
        if event.epoch != self._peer_epoch:
            self._peer_epoch, self._epoch_from = event.epoch, {}
        if event.channel not in self._epoch_from:
            self._epoch_from[event.channel] = event.token
        self._inbox.put(event, self)
        self.behind = self._inbox.behind

    def _on_opened(self, event: Opened) -> None:
        self.peer = event.peer or self.peer
        self._count_for_peer()
        self._outbox.ack_level = getattr(self.link, "ack_level", AckLevel.PROCESSED)
        self.metrics.connections += 1
        if self._opened_count:
            self.metrics.reconnections += 1
        self._opened_count += 1
        self._set_opened(opened=True)

    def _set_opened(self, *, opened: bool) -> None:
        if self._opened != opened:
            self._opened = opened
            for callback in tuple(self._connection_callbacks):
                callback(self)

    def _tell_quiet(self) -> None:
        if self._quiet_callbacks and not (self.link.in_flight or self.link.queued or self.unanswered):
            callbacks, self._quiet_callbacks = self._quiet_callbacks, []
            for callback in callbacks:
                callback()

    def _on_timer(self, now: float) -> None:
        self._deadline.rang()
        self.link.handle_timer(now=now)
        self._after_call()

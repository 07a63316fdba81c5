"""One peer of a plain-thread program: messages to it and from it, for any thread, over whatever connection there is.

Theory of operation. The link and everything here are touched with one lock held, for microseconds; nothing waits and no
callback runs under it (`_engine`). Whoever has something to send gives it to the link and, when the socket is free,
writes it at once, in its own thread. Whoever waits reads for everyone meanwhile (`_waiting`).

What is frequent and not awaited is gathered: `send_nowait` writes at once only while nothing is in flight; else the I/O
thread is woken and takes along what has come together until then. An acknowledgement is written when the application
has answered everything that it took, or soon.

Callbacks: `on_message` and changes of the connection in the I/O thread; done callbacks in whichever thread learns of
the end. All of them without the lock, so they may send, answer and cancel; none of them may wait.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from agt.transport._config import Overflow
from agt.transport._dead_letters import DeadLetters
from agt.transport._events import Dropped, Received
from agt.transport._link import Link
from agt.transport._metrics import TransportMetrics
from agt.transport._parting import answered
from agt.transport._received import ReceivedMessage
from agt.transport.blocking._conduit import Conduit
from agt.transport.blocking._engine import Engine, clock
from agt.transport.blocking._handle import BlockingDelivery, Ticket
from agt.transport.blocking._inbox import Inbox
from agt.transport.blocking._io_thread import IOThread, not_in
from agt.transport.blocking._outbox import Outbox
from agt.transport.blocking._waiting import Waiting

DEADLINE_S: Final = 30.0
"""How long a message may take unless its sender says otherwise."""


class BlockingSession:
    """Messages to and from one peer, for any number of threads; made by a transport or a listener."""

    def __init__(
        self,
        link: Link,
        io: IOThread,
        *,
        metrics: TransportMetrics,
        recv_queue_max: int = 100,
        overflow: Overflow = Overflow.BLOCK,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        on_lost: "Callable[[BlockingSession, Dropped], None] | None" = None,
        peer: str = "",
    ) -> None:
        """Wrap a link.

        Args:
            link: reliability over one wire towards one peer.
            io: the thread that reads when nobody waits, and keeps the time.
            metrics: where messages count.
            recv_queue_max: received messages that may wait for the application before reading pauses.
            overflow: what a full send queue does to the next message.
            on_message: called in the I/O thread with each message instead of queueing it.
            on_lost: called in the I/O thread when a connection has ended, with why.
            peer: the peer's name, where it is known before its hello.
        """
        self._engine = Engine(link, io, metrics, self, peer)
        self._lock = self._engine.lock
        self._waiting = Waiting(self._engine)
        self._outbox = Outbox(self._engine, self._waiting, self, overflow)
        self._inbox = Inbox(self._engine, self._waiting, self, recv_queue_max, on_message)
        self._on_lost = on_lost
        self._connecting: list[Ticket] = []
        self._quiet: list[Ticket] = []
        self._parting: list[Ticket] = []
        self._leaving: Conduit | None = None
        self._callbacks: list[Callable[[BlockingSession], None]] = []
        with self._lock:
            metrics.sending.add(self)

    # What can be known

    @property
    def link(self) -> Link:
        """Reliability over one wire; not to be touched while the session lives."""
        return self._engine.link

    @property
    def metrics(self) -> TransportMetrics:
        """Where messages count."""
        return self._engine.metrics

    @property
    def peer(self) -> str:
        """The peer's name; empty until it has said hello."""
        return self._engine.peer

    @property
    def connected(self) -> bool:
        """Whether the peer has said hello on the present connection, so that messages flow."""
        return self._engine.connected

    @property
    def has_connection(self) -> bool:
        """Whether there is a connection, also one on which the peer has not said hello."""
        return self._engine.conduit is not None

    @property
    def closed(self) -> str:
        """Why the session was closed; empty while it is not."""
        return self._outbox.closed

    @property
    def progress(self) -> int:
        """Messages that got through in either direction."""
        return self._engine.progress

    @property
    def greetings(self) -> int:
        """Connections on which the peer has said hello."""
        return self._engine.greetings

    @property
    def in_flight(self) -> int:
        """Messages written and not settled."""
        return self._engine.link.in_flight

    @property
    def queued(self) -> int:
        """Messages accepted and not written."""
        return self._engine.link.queued

    @property
    def unanswered(self) -> int:
        """Messages written the legacy way and not answered: none, plain threads have no legacy way here."""
        return 0

    @property
    def waiting(self) -> int:
        """Messages received and not taken by the application."""
        return len(self._inbox)

    def slow_sent(self, limits_s: Sequence[float]) -> list[int]:
        """Count, per limit in seconds (ascending), unsettled messages older than it."""
        with self._lock:
            now = clock()
            ages_s = [now - message.accepted_at for message in self._engine.link.unsettled()]
        return [sum(age_s > limit_s for age_s in ages_s) for limit_s in limits_s]

    def slow_written(self, limits_s: Sequence[float]) -> list[int]:
        """Count nothing: plain threads have no legacy way here."""
        return [0 for _ in limits_s]

    @property
    def dead_letters(self) -> DeadLetters:
        """What the peer's application refused for good, the newest, with its payloads."""
        return self._engine.dead_letters

    def epoch_of(self, token: int) -> int:
        """Return the incarnation of the peer's outbox that a received message is of; 0 when that has gone."""
        return self._inbox.epoch_of(token)

    # Sending

    def send_reliable(self, data: bytes, *, deadline_s: float = DEADLINE_S, channel: int = 0) -> BlockingDelivery:
        """Send a message and wait for its end, at most `deadline_s` seconds; the handle is true when delivered.

        Raises:
            QueueFull: when the send queue is full and the policy is to refuse.
            MessageTooLarge: when the wire can't carry it.
            UsageError: in a callback, which would wait for itself.
            Closed: when the session has been closed.
        """
        not_in(self._engine.io, "waiting for an outcome")
        ticket, conduit = Ticket(), None
        with self._lock:
            delivery = self._outbox.try_to_accept(data, clock() + deadline_s, channel)
            if delivery is not None:
                delivery.tickets = [ticket]
                conduit = self._waiting.begin_to_lead(ticket)
                self._exchange_leading(ticket, conduit)
        if delivery is None:
            delivery = self.send(data, deadline_s=deadline_s, channel=channel)
            self.wait_for_end(delivery, None)
        else:
            self._engine.run_later()
            self._waiting.wait(ticket, math.inf, conduit)
        return delivery

    def send(self, data: bytes, *, deadline_s: float = DEADLINE_S, channel: int = 0) -> BlockingDelivery:
        """Accept a message as the overflow policy says, and return its handle without waiting for its end.

        With BLOCK, waits for room, no longer than the deadline. Waiting senders are served in order.

        Raises:
            QueueFull: with REJECT, or with DROP_OLDEST when everything queued has been written already.
            MessageTooLarge: when the wire can't carry it.
            UsageError: in a callback, which would wait for itself.
            Closed: when the session has been closed.
        """
        return self._outbox.send(data, deadline_s, channel)

    def send_nowait(self, data: bytes, *, deadline_s: float = DEADLINE_S, channel: int = 0) -> BlockingDelivery:
        """Accept a message without waiting; its handle settles within `deadline_s` seconds.

        Raises:
            QueueFull: when the send queue is full and the policy found no room.
            MessageTooLarge: when the wire can't carry it.
            Closed: when the session has been closed.
        """
        engine = self._engine
        engine.io.check_usable()
        with self._lock:
            delivery = self._outbox.accept(data, clock() + deadline_s, channel)
            if self._outbox.may_gather(handing=self._inbox.handing):
                engine.exchange_soon()
            else:
                engine.exchange()
        engine.run_later()
        return delivery

    def cancel(self, delivery: BlockingDelivery) -> None:
        """Give up on a message early; its handle still settles, as what is then known. A no-op when it has."""
        with self._lock:
            if delivery.outcome is None:
                self._engine.link.cancel(delivery, now=clock())
                self._engine.exchange()
        self._engine.run_later()

    def wait_for_end(self, delivery: BlockingDelivery, timeout_s: float | None) -> None:
        """Wait until a message of this session has ended; `BlockingDelivery.wait` calls this."""
        not_in(self._engine.io, "waiting for an outcome")
        ticket = Ticket()
        with self._lock:
            if delivery.outcome is not None:
                return
            if delivery.tickets is None:
                delivery.tickets = [ticket]
            else:
                delivery.tickets.append(ticket)
        self._waiting.wait(ticket, math.inf if timeout_s is None else clock() + timeout_s)

    def call_when_ended(self, delivery: BlockingDelivery, callback: Callable[[BlockingDelivery], None]) -> None:
        """Call back once a message of this session has ended; `BlockingDelivery.add_done_callback` calls this."""
        with self._lock:
            if delivery.outcome is None:
                if delivery.callbacks is None:
                    delivery.callbacks = [callback]
                else:
                    delivery.callbacks.append(callback)
                return
        callback(delivery)

    # Receiving

    def receive(self, timeout_s: float | None = None) -> ReceivedMessage:
        """Return the next message, oldest first, waiting for one.

        Raises:
            TimeoutError: when none came within so many seconds.
            UsageError: in a callback, which would wait for itself.
            Closed: when the session has been closed and nothing is left.
        """
        return self._inbox.take(1, timeout_s)[0]

    def receive_batch(self, limit: int = 100, timeout_s: float | None = None) -> list[ReceivedMessage]:
        """Return everything that has arrived, at most `limit` messages, waiting for the first.

        Raises:
            TimeoutError: when none came within so many seconds.
            UsageError: in a callback, which would wait for itself.
            Closed: when the session has been closed and nothing is left.
        """
        return self._inbox.take(limit, timeout_s)

    def acknowledge(self, token: int, count: int = 1) -> None:
        """Tell the peer that messages were processed; `ReceivedMessage.ack` calls this."""
        self._inbox.acknowledge(token, count)

    def refuse(self, token: int, code: str, retry_after_s: float = 0.0) -> None:
        """Tell the peer that a message will not be processed; `ReceivedMessage.refuse` calls this."""
        self._inbox.refuse(token, code, retry_after_s)

    # The connection

    def wait_connected(self, timeout_s: float | None = None) -> bool:
        """Wait until messages flow, at most so many seconds; true when they do.

        Raises:
            UsageError: in a callback, which would wait for itself.
        """
        return self._wait_for(self._connecting, lambda: self.connected, timeout_s)

    def wait_quiet(self, timeout_s: float | None = None) -> bool:
        """Wait until nothing is queued or in flight, at most so many seconds; true when nothing is.

        Raises:
            UsageError: in a callback, which would wait for itself.
        """
        return self._wait_for(self._quiet, self._is_quiet, timeout_s)

    def drain(self, timeout_s: float = 5.0, reason: str = "shutting down") -> bool:
        """While there is a connection: send what is queued, wait for what is in flight, and part in words.

        Both sides answer what they have before the connection ends, where the wire has words for that.

        Returns:
            Whether nothing was left unanswered.

        Raises:
            UsageError: in a callback, which would wait for itself.
        """
        give_up_at = clock() + timeout_s
        if not self.connected or not self.wait_quiet(timeout_s):
            return self._is_quiet()
        left_s = max(0.0, give_up_at - clock())
        if self.begin_drain(left_s, reason):
            self.wait_gone(left_s)
        return self._is_quiet()

    def begin_drain(self, within_s: float, reason: str) -> bool:
        """Say that the connection ends, in order, within so many seconds; false where the wire has no words for it."""
        say: Callable[..., None] | None = getattr(self._engine.link, "drain", None)
        if say is None:
            return False
        with self._lock:
            self._leaving = self._engine.conduit
            say(reason, within_s=within_s, now=clock())
            self._engine.exchange()
        self._engine.run_later()
        return True

    @property
    def answered(self) -> bool:
        """Whether nothing is on its way: what was written is answered, and, where the wire can tell, what came."""
        with self._lock:
            return answered(self._engine.link)

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait until there is no connection, its last words written; false when there still is one.

        After `begin_drain` it is that connection which has to go: a dialler may be on its next one already.

        Raises:
            UsageError: in a callback, which would wait for itself.
        """
        return self._wait_for(self._parting, self._has_left, timeout_s)

    def _has_left(self) -> bool:
        conduit = self._engine.conduit
        return conduit is None or (self._leaving is not None and conduit is not self._leaving)

    def on_connection(self, callback: "Callable[[BlockingSession], None]") -> None:
        """Call back in the I/O thread with this session whenever `connected` has changed."""
        self._callbacks.append(callback)

    def attach(self, conduit: Conduit, *, greeting: bytes = b"") -> None:
        """Carry the link over a fresh connection from now on; an older one is let go."""
        with self._lock:
            self._engine.attach(conduit, greeting=greeting)
        self._engine.run_later()

    def disconnect(self, reason: str) -> None:
        """End the present connection, if any, in words where the wire has them; messages wait for the next one."""
        with self._lock:
            self._disconnect(reason)
            self._engine.exchange()
        self._engine.run_later()

    def close(self, reason: str = "closed") -> None:
        """End the session: what was never written is `not_delivered`, what was written `indeterminate`."""
        engine = self._engine
        with self._lock:
            if self.closed:
                return
            self._outbox.close(reason)
            self._disconnect(reason)
            engine.exchange()
            self._inbox.close(reason)
            for ticket in (*self._connecting, *self._quiet):
                ticket.call()
            self._waiting.close()
        engine.run_later()

    # Called by the engine, with the lock held

    def on_received(self, event: Received) -> None:
        """Take messages in."""
        self._inbox.put(event)

    def on_exchanged(self) -> None:
        """Let the first blocked sender try again, and tell who waits for quiet."""
        self._outbox.tell_room()
        if self._quiet and self._is_quiet():
            self._call_all(self._quiet)

    def on_connection_changed(self) -> None:
        """Tell who waits for a connection, and who wants to know."""
        if self.connected:
            self._call_all(self._connecting)
        else:
            self._waiting.nudge()  # A leader must not read on from what is gone.
        for callback in self._callbacks:
            self._engine.io.call(partial(callback, self))

    def on_lost(self, dropped: Dropped) -> None:
        """Wake a leader that reads from what is gone, and tell whoever makes the next connection."""
        self._waiting.nudge()
        self._call_all(self._parting)
        if self._on_lost is not None:
            on_lost = self._on_lost
            self._engine.io.call(partial(on_lost, self, dropped))

    # Within

    def _exchange_leading(self, ticket: Ticket, conduit: Conduit | None) -> None:
        try:
            self._engine.exchange()
        except BaseException:  # A signal's handler may raise anywhere; the socket must not stay borrowed.
            if conduit is not None:
                self._waiting.cease_to_lead(ticket, conduit)
            raise

    def _is_quiet(self) -> bool:
        return not (self._engine.link.in_flight or self._engine.link.queued)

    def _disconnect(self, reason: str) -> None:
        if self._engine.conduit is None:
            return
        farewell: Callable[..., None] | None = getattr(self._engine.link, "close", None)
        if farewell is not None:
            farewell(reason, now=clock())
        self._engine.end(Dropped(reason, "us", final=False))

    def _call_all(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            ticket.call()
        tickets.clear()

    def _wait_for(self, tickets: list[Ticket], holds: Callable[[], bool], timeout_s: float | None) -> bool:
        not_in(self._engine.io, "waiting")
        ticket = Ticket()
        with self._lock:
            if holds() or (self.closed and tickets is not self._parting):
                return holds()
            tickets.append(ticket)
        self._waiting.wait(ticket, math.inf if timeout_s is None else clock() + timeout_s)
        with self._lock:
            if ticket in tickets:
                tickets.remove(ticket)
            return holds() or (ticket.called and not self.closed)

"""A link and the connection it has at the moment, with a lock around both: events out, bytes in and out, one deadline.

Everything in here is called with `lock` held, by whichever thread has something to do, except where it says otherwise.
Nothing waits and nothing of the application's is called: what is to be called goes to `later`, and whoever held the
lock runs it afterwards (`run_later`), or to the I/O thread.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from agt.transport._alarms import Alarm
from agt.transport._counting import Growth
from agt.transport._dead_letters import DeadLetters
from agt.transport._errors import TransportError
from agt.transport._events import Delivered, Dropped, Opened, Received, Settled
from agt.transport._link import Link
from agt.transport._metrics import TransportMetrics
from agt.transport._outcome import Outcome
from agt.transport.blocking._conduit import Conduit
from agt.transport.blocking._handle import BlockingDelivery, handles
from agt.transport.blocking._io_thread import IOThread
from agt.transport.blocking._poller import WRITE

logger = logging.getLogger("agt.transport")

HELD_BACK_S: Final = 0.005
"""How long it may wait for company to be said that messages have arrived, or were processed."""
FAREWELL_S: Final = 1.0
"""How long a connection that is to be dropped may take to flush its last words."""

CLOSED_BY_PEER: Final = Dropped("the connection was closed", "network", final=False, everyone=True)
clock = time.monotonic


class Owner(Protocol):
    """Who is told what the link has to say; every call comes with the lock held."""

    def on_received(self, event: Received) -> None:
        """Take messages in."""
        ...

    def on_exchanged(self) -> None:
        """See whether there is room now, or quiet."""
        ...

    def on_connection_changed(self) -> None:
        """Note that messages flow, or no longer."""
        ...

    def on_lost(self, dropped: Dropped) -> None:
        """Note that the connection has ended, and why."""
        ...


class Engine:
    """One link, driven by whoever holds the lock."""

    def __init__(self, link: Link, io: IOThread, metrics: TransportMetrics, owner: Owner, peer: str = "") -> None:
        link.make_outgoing = BlockingDelivery
        self.link = link
        self.io = io
        self.metrics = metrics
        self.lock: threading.RLock = metrics.lock
        """Around everything that counts in these metrics: what is counted together is locked together."""
        self.conduit: Conduit | None = None
        self.connected = False
        """Whether the peer has said hello on the present connection, so that messages flow."""
        self.peer = peer
        self.progress = 0
        """Messages that got through in either direction."""
        self.held = False
        """Whether the I/O thread is about to exchange anyway, so that nobody else needs to."""
        self.dead_letters = DeadLetters()
        """What the peer's application refused for good, the newest."""
        self._owner = owner
        self._later: deque[Callable[[], None]] = deque()
        self.greetings = 0
        """Connections on which the peer has said hello."""
        self._dropped: Dropped | None = None
        self._set_aside_one: Conduit | None = None
        self._turn_bytes = link.traits.turn_bytes
        self._holding_back = False
        self.answers_follow = False
        """Whether whoever takes messages in exchanges by itself when they are processed."""
        self._alarm: Alarm | None = None
        self._growth = Growth(link, metrics, metrics)

    # The connection

    def attach(self, conduit: Conduit, *, greeting: bytes = b"") -> None:
        """Put the link on a fresh connection; an older one is let go without a word to the link.

        It is closed only when the new one has shown that it is alive. An older process would dial again at once, and
        its hello could overtake the answer that makes the newer one's claim to the name count.

        Args:
            conduit: the connection, not opened yet.
            greeting: what was read from it already.
        """
        if self.conduit is not None:
            self._set_aside(self.conduit)
        self.conduit, self._dropped = conduit, None
        now = clock()
        self.link.connection_made(now=now)
        try:
            if greeting:
                self.link.receive_data(greeting, now=now)
            conduit.open(lambda events: self._on_ready(conduit, events))
        except OSError:
            self.lose(CLOSED_BY_PEER)
            return
        self.exchange()

    def read(self, conduit: Conduit) -> None:
        """Take in what the peer has sent, if the connection is still ours."""
        if conduit is not self.conduit:
            return
        try:
            data = conduit.receive()
            if data is None:
                return
            if data:
                self.link.receive_data(data, now=clock())
                if self._set_aside_one is not None:
                    self._close_set_aside()
        except (OSError, EOFError):
            self.lose(CLOSED_BY_PEER)
        except TransportError as error:
            self.lose(Dropped(str(error), "peer", final=False))
        else:
            self._exchange_after_reading()

    def end(self, dropped: Dropped) -> None:
        """End the connection once the link's last words are written, or soon."""
        conduit = self.conduit
        if conduit is not None and self._dropped is None:
            self._dropped = dropped
            self.io.arm(clock() + FAREWELL_S, lambda _now: self._end_at_last(conduit))

    def lose(self, dropped: Dropped) -> None:
        """Let the connection go, now."""
        if self.conduit is None:
            return
        dropped, self._dropped = self._dropped or dropped, None
        self._let_go(self.conduit)
        self.conduit = None
        self.link.connection_lost(now=clock())
        self._owner.on_lost(dropped)
        self.exchange()

    # What every call ends with

    def exchange(self) -> None:
        """Pull what the link has to say, write what it wants written and the socket takes, and arm its deadline."""
        self._pull_events()
        conduit = self.conduit
        if conduit is not None and conduit.free:
            try:
                self._write(conduit)
            except OSError:
                self.lose(CLOSED_BY_PEER)
                return
            if self._dropped is not None and conduit.free:
                self.lose(self._dropped)
                return
        self._look_ahead()

    def _look_ahead(self) -> None:
        """Arm the next deadline, count, and let the owner see what has changed."""
        deadline = self.link.next_deadline()
        if deadline != math.inf and (self._alarm is None or deadline < self._alarm.at):
            self._arm(deadline)
        if self._growth.counters != self._growth.folded:
            self._growth.fold()
        self._owner.on_exchanged()

    def exchange_soon(self) -> None:
        """Have the I/O thread exchange, with whatever else comes together until then."""
        if not self.held:
            self.held = True
            self.io.call(self._exchange_held)

    def call_later(self, callback: Callable[[], None]) -> None:
        """Have something of the application's called once the lock is free."""
        self._later.append(callback)

    def run_later(self) -> None:
        """Call what waits for that; without the lock."""
        while self._later:
            try:
                callback = self._later.popleft()
            except IndexError:  # Another thread was faster.
                return
            try:
                callback()
            except Exception:  # one bad callback must not take everybody's connection down
                logger.exception("a callback of the session with %r failed", self.peer)

    # In the I/O thread, without the lock

    def _on_ready(self, conduit: Conduit, events: int) -> None:
        with self.lock:
            if conduit is not self.conduit:
                if conduit is self._set_aside_one:
                    self._close_set_aside()  # Nothing of it is looked at any more but its end.
                return
            if events & WRITE:
                try:
                    conduit.push()
                except OSError:
                    self.lose(CLOSED_BY_PEER)
                else:
                    self.exchange()
            if events & ~WRITE:
                self.read(conduit)
        self.run_later()

    def _exchange_held(self) -> None:
        with self.lock:
            self.held = False
            self.exchange()
        self.run_later()

    def _on_alarm(self, now: float) -> None:
        with self.lock:
            self._alarm = None
            self.link.handle_timer(now=now)
            self.exchange()
        self.run_later()

    def _end_at_last(self, conduit: Conduit) -> None:
        with self.lock:
            if conduit is self.conduit and self._dropped is not None:
                self.lose(self._dropped)
        self.run_later()

    def _close_late(self, conduit: Conduit) -> None:
        with self.lock:
            if conduit is self._set_aside_one:
                self._close_set_aside()

    # Within

    def _write(self, conduit: Conduit) -> None:
        while conduit.free:
            data = self.link.data_to_send(now=clock())
            if data:
                conduit.send(data)
            self._pull_events()
            if len(data) < self._turn_bytes:
                return

    def _exchange_after_reading(self) -> None:
        """Exchange; but what only says that messages have arrived goes with what will be said about them, soon."""
        received = self.metrics.received
        self._pull_events()
        if self.metrics.received == received or self.link.queued or self._dropped is not None:
            self.exchange()
            return
        self._look_ahead()
        if self.answers_follow or self._holding_back:
            return
        self._holding_back = True
        self.io.arm(clock() + HELD_BACK_S, self._end_holding_back)

    def _end_holding_back(self, _now: float) -> None:
        with self.lock:
            self._holding_back = False
            self.exchange()
        self.run_later()

    def _let_go(self, conduit: Conduit) -> None:
        conduit.close()
        self._close_set_aside()
        self._disconnected()

    def _set_aside(self, conduit: Conduit) -> None:
        self._close_set_aside()
        conduit.look(reading=False)
        self._set_aside_one = conduit
        self.io.arm(clock() + FAREWELL_S, lambda _now: self._close_late(conduit))
        self._disconnected()

    def _close_set_aside(self) -> None:
        if self._set_aside_one is not None:
            self._set_aside_one.close()
            self._set_aside_one = None

    def _disconnected(self) -> None:
        if self.connected:
            self.connected = False
            self._owner.on_connection_changed()

    def _pull_events(self) -> None:
        next_event = self.link.next_event
        while (event := next_event()) is not None:
            if isinstance(event, Delivered):
                self.progress += len(event.messages)
                self.metrics.delivered(event)
                for delivery in handles(event.messages):
                    self.settle(delivery, Outcome.DELIVERED, "", event.now - delivery.accepted_at)
            elif isinstance(event, Received):
                self.progress += len(event.payloads)
                self.metrics.received += len(event.payloads)
                self._owner.on_received(event)
            elif isinstance(event, Settled):
                self.metrics.settled(event)
                if event.code:
                    self.dead_letters.add(event, clock())
                (delivery,) = handles((event.message,))
                self.settle(delivery, event.outcome, event.reason, event.latency_s)
            elif isinstance(event, Opened):
                self._on_opened(event)
            elif isinstance(event, Dropped):
                self.end(event)

    def settle(self, delivery: BlockingDelivery, outcome: Outcome, reason: str, latency_s: float = 0.0) -> None:
        """End a message: note how, wake who waits for it, and have its callbacks called."""
        delivery.outcome, delivery.reason, delivery.latency_s = outcome, reason, latency_s
        delivery.session = None
        if delivery.tickets is not None:
            for ticket in delivery.tickets:
                ticket.call()
            delivery.tickets = None
        if delivery.callbacks is not None:
            for callback in delivery.callbacks:
                self._later.append(partial(callback, delivery))
            delivery.callbacks = None

    def _on_opened(self, event: Opened) -> None:
        self.peer = event.peer or self.peer
        self.metrics.connections += 1
        self.metrics.reconnections += self.greetings > 0
        self.greetings += 1
        if not self.connected:
            self.connected = True
            self._owner.on_connection_changed()

    def _arm(self, deadline: float) -> None:
        if self._alarm is not None:
            self.io.cancel(self._alarm)
        self._alarm = self.io.arm(deadline, self._on_alarm)

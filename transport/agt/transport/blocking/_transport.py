"""The dialling side for plain threads: keeps one session connected from `start` to `close`.

It dials, lets the session carry the link, and when the connection ends dials again: when, is `Redial`'s to say.
Messages don't notice: what is queued or in flight waits in the link, and its deadlines pass with or without a
connection. It gives up only when the peer has said that dialling again is pointless.
"""

import random
import secrets
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Self

from agt.transport._config import ReliableConfig, checked
from agt.transport._connections import Connection
from agt.transport._errors import BadCredential, Closed, ConnectionUnavailable
from agt.transport._events import Dropped
from agt.transport._link import Link
from agt.transport._metrics import TransportMetrics
from agt.transport._native import native_link
from agt.transport._outcome import Outcome
from agt.transport._received import ReceivedMessage
from agt.transport._redial import Redial
from agt.transport.blocking._conduit import Conduit
from agt.transport.blocking._dialler import Dialler, where
from agt.transport.blocking._engine import clock
from agt.transport.blocking._handle import BlockingDelivery
from agt.transport.blocking._io_thread import IOThread
from agt.transport.blocking._layers import layer_towards
from agt.transport.blocking._session import DEADLINE_S, BlockingSession
from agt.transport.trust import DiallingKey, KeySource


class BlockingTransport:
    """Reliable messages to and from one peer that we dial, for plain threads.

    Every send ends within its deadline as delivered, not delivered or indeterminate; a delivered message was processed
    by the peer's application, once, in order. Any thread may use it; it has one of its own, named after the peer's
    address, from `start` (or `with`) to `close`. It doesn't survive a fork: the child has to make its own, and using
    this one there is an error that says so.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        name: str | None = None,
        config: ReliableConfig | None = None,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        metrics: TransportMetrics | None = None,
        make_link: Callable[[str, ReliableConfig], Link] | None = None,
        key: KeySource | None = None,
    ) -> None:
        """Remember whom to dial and how hard to try.

        Args:
            connection: where the peer is: TCP, TLS or a Unix socket.
            name: who we are; the peer recognises our resends by it, also after a restart of the connection. Random
                when not given.
            config: all settings.
            on_message: called in the I/O thread with each received message instead of queueing it for `recv_reliable`;
                short, and nothing in it may wait.
            metrics: where everything counts; a private one when not given.
            make_link: makes another link than the native one (for other wires).
            key: proves who we are where the wire is not TLS: the key, or what gives one before each dialling.

        Raises:
            msgspec.ValidationError: naming the setting that is out of range.
        """
        self.config = checked(config or ReliableConfig())
        self.connection = connection
        self.name = name or secrets.token_hex(8)
        self.metrics = metrics if metrics is not None else TransportMetrics()
        self.last_error = ""
        """Why there is no connection, or why the last one ended; for people."""
        link = (make_link or native_link)(self.name, self.config)
        self._key = DiallingKey(key, self.name, rng=random.SystemRandom()) if key is not None else None
        if self._key is not None:
            link = self._key.keyed(link, timeout_s=self.config.hello_timeout_s)
        self._io = IOThread(f"agt-{connection.address}", self._on_end)
        self._session = BlockingSession(
            link,
            self._io,
            metrics=self.metrics,
            recv_queue_max=self.config.recv_queue_max,
            overflow=self.config.overflow,
            on_message=on_message,
            on_lost=self._on_lost,
        )
        self._redial = Redial(
            random.Random(secrets.randbits(64)),  # Not a secret; only different in each process.
            base_s=self.config.backoff_base_s,
            max_s=self.config.backoff_max_s,
            spread_max_s=self.config.redial_spread_max_s,
        )
        self._dialler: Dialler | None = None
        self._attached_at = 0.0
        self._progress = 0
        self._greetings = 0
        self._closing = False
        self._started = False

    # Life

    def start(self) -> Self:
        """Start dialling; returns at once, messages wait for the connection.

        Raises:
            Closed: when it was started before.
            ConnectionUnavailable: when the connection is of a kind that plain threads can't dial.
        """
        if self._started:
            raise Closed("a transport is started once; make a new one")
        if getattr(self.connection, "path", None) is None:
            where(self.connection)
        self._started = True
        self._io.start()
        self._io.call(self._dial)
        return self

    def close(self, drain_s: float | None = None) -> None:
        """End the transport: wait shortly for what is on its way, then settle what is left, and end the thread.

        Args:
            drain_s: how long to wait for outcomes, in seconds, while there is a connection; `config.close_timeout_s`
                when None, 0 for not at all. What was never written then ends as `not_delivered`, what was written and
                not answered as `indeterminate`.
        """
        self._io.check_usable()
        self._closing = True  # From now on a connection that ends is not made again.
        if self._started and not self._session.closed and not self._io.is_current:
            self._session.drain(self.config.close_timeout_s if drain_s is None else drain_s)
        self._session.close("the transport was closed")
        if self._started:
            self._session.wait_gone(self.config.close_timeout_s)
            self._io.stop(self.config.close_timeout_s)

    def __enter__(self) -> Self:
        """Start; see `start`."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def session(self) -> BlockingSession:
        """The session underneath, for callbacks and counts."""
        return self._session

    @property
    def connected(self) -> bool:
        """Whether messages flow at the moment."""
        return self._session.connected

    def wait_connected(self, timeout_s: float | None = None) -> bool:
        """Wait until messages flow, at most so many seconds; true when they do.

        Raises:
            ConnectionUnavailable: when the peer has said that dialling is pointless.
            UsageError: in a callback, which would wait for itself.
        """
        flowing = self._session.wait_connected(timeout_s)
        if self._refused:
            raise ConnectionUnavailable(self.connection.address, self._session.closed)
        return flowing

    # Messages

    def send_reliable(self, data: bytes, *, deadline_s: float = DEADLINE_S, channel: int = 0) -> BlockingDelivery:
        """Send a message and wait for its end, at most `deadline_s` seconds; the handle is true when delivered.

        Raises:
            QueueFull: when the send queue is full and the policy is to refuse.
            MessageTooLarge: when the wire can't carry it.
            UsageError: in a callback, which would wait for itself.
            Closed: before `start` and after `close`.
        """
        if self._refused:
            return self._not_delivered()
        return self._session.send_reliable(data, deadline_s=deadline_s, channel=channel)

    def send(self, data: bytes, *, deadline_s: float = DEADLINE_S, channel: int = 0) -> BlockingDelivery:
        """Accept a message as the overflow policy says, waiting for room if need be, and return its handle.

        Raises:
            QueueFull: when the send queue is full and the policy is to refuse.
            MessageTooLarge: when the wire can't carry it.
            UsageError: in a callback, which would wait for itself.
            Closed: before `start` and after `close`.
        """
        if self._refused:
            return self._not_delivered()
        return self._session.send(data, deadline_s=deadline_s, channel=channel)

    def send_nowait(self, data: bytes, *, deadline_s: float = DEADLINE_S, channel: int = 0) -> BlockingDelivery:
        """Accept a message without waiting, and return its handle.

        Raises:
            QueueFull: when the send queue is full and the policy found no room.
            MessageTooLarge: when the wire can't carry it.
            Closed: after `close`.
        """
        if self._refused:
            return self._not_delivered()
        return self._session.send_nowait(data, deadline_s=deadline_s, channel=channel)

    def recv_reliable(self, timeout_s: float | None = None) -> ReceivedMessage:
        """Return the next message, waiting for one; answer it with `ack()` once it is processed.

        Raises:
            TimeoutError: when none came within so many seconds.
            UsageError: in a callback, which would wait for itself.
            Closed: when the transport was closed, or the peer refused us for good, and nothing is left.
        """
        return self._session.receive(timeout_s)

    def recv_batch(self, limit: int = 100, timeout_s: float | None = None) -> list[ReceivedMessage]:
        """Return everything that has arrived, at most `limit` messages, waiting for the first.

        Raises:
            TimeoutError: when none came within so many seconds.
            UsageError: in a callback, which would wait for itself.
            Closed: when the transport was closed, or the peer refused us for good, and nothing is left.
        """
        return self._session.receive_batch(limit, timeout_s)

    # Within

    @property
    def _refused(self) -> bool:
        return not self._closing and bool(self._session.closed)

    def _not_delivered(self) -> BlockingDelivery:
        with self.metrics.lock:
            self.metrics.accepted += 1
            self.metrics.outcomes[Outcome.NOT_DELIVERED] += 1
        return BlockingDelivery(outcome=Outcome.NOT_DELIVERED, reason=self._session.closed)

    # In the I/O thread

    def _dial(self, _now: float = 0.0) -> None:
        if self._closing or self._session.closed:
            return
        try:
            if self._key is not None:
                self._key.renew()
        except BadCredential as error:
            self.last_error = str(error)
            self._dial_after(self._redial.pause_after(None, useful=False))
        else:
            self._dialler = Dialler(self._io, self.connection, self.config.connect_timeout_s, self._on_dialled)
            self._dialler.start()

    def _on_dialled(self, sock: socket.socket | None, why: str) -> None:
        self._dialler = None
        if sock is None or self._closing or self._session.closed:
            if sock is not None:
                sock.close()
            self.last_error = str(ConnectionUnavailable(self.connection.address, why))
            self._dial_after(self._redial.pause_after(None, useful=False))
            return
        session = self._session
        self._attached_at, self._progress, self._greetings = clock(), session.progress, session.greetings
        conduit = Conduit(sock, self._io, layer_towards(self.connection))
        self._io.arm(clock() + self.config.hello_timeout_s, lambda _now: self._demand_hello(conduit))
        session.attach(conduit)

    def _demand_hello(self, conduit: Conduit) -> None:
        if not conduit.closed and not self._session.connected:
            self._session.disconnect(f"the peer did not say hello within {self.config.hello_timeout_s:g} s")

    def _on_lost(self, session: BlockingSession, dropped: Dropped) -> None:
        self.last_error = dropped.reason
        if dropped.final:
            session.close(dropped.reason)
            return
        lasted = clock() - self._attached_at >= self.config.healthy_after_s
        useful = session.greetings > self._greetings and (lasted or session.progress > self._progress)
        spread_s: float = getattr(session.link, "spread_s", 0.0)
        self._dial_after(self._redial.pause_after(dropped, useful=useful, spread_s=spread_s))

    def _dial_after(self, pause_s: float) -> None:
        if not (self._closing or self._session.closed):
            self._io.arm(clock() + pause_s, self._dial)

    def _on_end(self, why: str) -> None:
        self._session.close(why or "the transport was closed")
        if self._dialler is not None:
            self._dialler.abandon()

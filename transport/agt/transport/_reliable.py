"""The dialling side of a reliable path: keeps one session connected for as long as its `async with` lasts.

It dials, lets the session carry the link, and when the connection ends dials again, when `_redial` says: at once after
a healthy connection, with growing pauses while nothing comes of it, later where the peer asks for it. Messages don't
notice: what is queued or in flight waits in the link, and its deadlines pass with or without a connection. It gives up
only when the peer has said that dialling again is pointless.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

import anyio
from anyio.abc import TaskGroup

from agt.transport._alarms import Alarms
from agt.transport._batch import DeliveryBatch
from agt.transport._config import Overflow, ReliableConfig, Retries, checked
from agt.transport._connections import Connection
from agt.transport._dead_letters import RefusedMessage
from agt.transport._delivery import Delivery
from agt.transport._errors import BadCredential, Closed, ConnectionUnavailable, UsageError
from agt.transport._events import Dropped
from agt.transport._link import Link
from agt.transport._loop_timers import keep_time
from agt.transport._metrics import TransportMetrics
from agt.transport._native import UNGUESSABLE, native_link
from agt.transport._outbox import handles
from agt.transport._outcome import Outcome
from agt.transport._own_ids import OwnId, memory_of_ids
from agt.transport._own_ids_link import OwnIdsLink
from agt.transport._received import ReceivedBatch, ReceivedMessage
from agt.transport._redial import Redial
from agt.transport._session import DEADLINE_S, Session
from agt.transport._timers import running_clock
from agt.transport.trust import DiallingKey, KeySource

if TYPE_CHECKING:  # No database is loaded unless somebody brings one.
    from agt.transport.durable import SQLiteOutbox
    from agt.transport.durable._outbox_link import OutboxLink


class LinkMaker(Protocol):
    """Makes the link that a transport carries."""

    def __call__(self, name: str, config: ReliableConfig, /) -> Link:
        """Return a fresh link for a sender of this name."""
        ...


class ReliableTransport:
    """Reliable messages to and from one peer that we dial.

    Every send ends within its deadline as delivered, not delivered or indeterminate; a delivered message was
    processed by the peer's application, once, in order. Use on one event loop, asyncio or trio.
    """

    last_error: str = ""
    """Why there is no connection, or why the last one ended; for people."""
    restored: tuple[Delivery, ...] = ()
    """The messages that an outbox still had when it was opened, on their way again; oldest first."""
    _session: Session | None = None
    _kept: "OutboxLink | None" = None
    _key: DiallingKey | None = None
    _tasks: TaskGroup | None = None
    _connected: anyio.Event | None = None
    _exited = False

    def __init__(
        self,
        connection: Connection,
        *,
        name: str | None = None,
        max_retries: Retries = "auto",
        ack_timeout_seconds: float = 5.0,
        dedup_cache_size: int = 1000,
        dedup_ttl_seconds: float = 300,
        send_queue_max: int = 100,
        recv_queue_max: int = 100,
        overflow: Overflow = Overflow.BLOCK,
        config: ReliableConfig | None = None,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        on_batch: Callable[[ReceivedBatch], None] | None = None,
        metrics: TransportMetrics | None = None,
        make_link: LinkMaker | None = None,
        key: KeySource | None = None,
        outbox: "SQLiteOutbox | None" = None,
        own_id: OwnId | None = None,
        on_dead_letter: Callable[[RefusedMessage], None] | None = None,
    ) -> None:
        """Remember whom to dial and how hard to try.

        Args:
            connection: where the peer is.
            name: who we are; the peer recognises our resends by it, on any connection. Random when not given.
            max_retries: resends after the first attempt; None: until the deadline; "auto": 3, with an outbox None.
            ack_timeout_seconds: the longest single wait for an acknowledgement.
            dedup_cache_size: remembered ids of messages that bring their own.
            dedup_ttl_seconds: how long such an id is remembered.
            send_queue_max: messages accepted and not yet written.
            recv_queue_max: messages received and not yet taken.
            overflow: what a full send queue does.
            config: all settings at once, also those without an argument here; replaces the ones above.
            on_message: called with each received message instead of queueing it for `recv_reliable`.
            on_batch: called with all that came together instead, which is cheaper for many.
            metrics: where everything counts; a private one when not given.
            make_link: makes another link than the native one (for tests and other wires).
            key: what both sides know, for connections without TLS: a `PreSharedKey`, or a `KeyFile` that is read
                anew for each connection. Without one, the peer is whoever answers.
            outbox: keeps what is accepted until it has ended, over restarts and `kill -9` (`agt.transport.durable`);
                its own limits then stand for `send_queue_max`, and `name` may be left to it.
            own_id: reads the id that a received message brings in its payload, where it brings one: within
                `dedup_cache_size` ids and `dedup_ttl_seconds` each id is handed out once, whoever sends it again.
            on_dead_letter: called with each message that the peer refused for good; see `session.dead_letters`.

        Raises:
            UsageError: when both `outbox` and `make_link` are given.
            msgspec.ValidationError: naming the setting that is out of range.
        """
        config = config or ReliableConfig(
            max_retries=max_retries,
            ack_timeout_seconds=ack_timeout_seconds,
            dedup_cache_size=dedup_cache_size,
            dedup_ttl_seconds=dedup_ttl_seconds,
            send_queue_max=send_queue_max,
            recv_queue_max=recv_queue_max,
            overflow=overflow,
        )
        self.config, self.connection = checked(config), connection
        if outbox is not None and make_link is not None:
            raise UsageError("an outbox makes its own link; give `outbox` or `make_link`")
        self.name = name or ("" if outbox is not None else secrets.token_hex(8))
        """Who we are; with an outbox and without a name, known once entered."""
        self.metrics = metrics if metrics is not None else TransportMetrics()
        self._on_message, self._on_batch, self._own_id = on_message, on_batch, own_id
        self._make_link, self._on_dead_letter = make_link or native_link, on_dead_letter
        self._outbox, self._key_source = outbox, key
        self._timers: Alarms = Alarms()

    # Life

    async def __aenter__(self) -> Self:
        """Start dialling; returns at once, messages wait for the connection.

        Raises:
            StoreUnavailable: when there is an outbox and it can't be used, in words.
        """
        if self._session is not None:
            raise Closed("a transport is entered once; make a new one")
        try:
            await self._begin()
        except BaseException:
            if self._tasks is not None:
                self._tasks.cancel_scope.cancel()
                await self._tasks.__aexit__(None, None, None)
            if self._outbox is not None and self._kept is not None:
                await self._outbox.aclose()
            raise
        return self

    async def _begin(self) -> None:
        link = await self._new_link()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._timers = keep_time(self._tasks)
        self._session = Session(
            link,
            metrics=self.metrics,
            recv_queue_max=self.config.recv_queue_max,
            overflow=self.config.overflow,
            on_message=self._on_message,
            on_batch=self._on_batch,
            on_dead_letter=self._on_dead_letter,
            timers=self._timers,
        )
        self._session.on_connection(self._tell_connected)
        if self._kept is not None:
            self.restored = tuple(handles(self._kept.restore(now=running_clock()(), wall_now=time.time())))
            self._kept.on_change = self._session.changed
        self._tasks.start_soon(self._keep_connected, self._session)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None, "left only after it was entered"
        self._exited = True
        session = self.session
        with anyio.move_on_after(self.config.close_timeout_s, shield=True):
            await session.flush()  # The acknowledgements of what was processed last are worth a moment.
        self._close(session, "the transport was closed")
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            if self._outbox is not None:
                await self._outbox.aclose()

    @property
    def session(self) -> Session:
        """The session underneath, for callbacks, counts and `withdraw`.

        Raises:
            Closed: before `async with`.
        """
        if self._session is None:
            raise Closed("use `async with transport:` first")
        return self._session

    @property
    def connected(self) -> bool:
        """Whether messages flow at the moment."""
        return self._session is not None and self._session.connected

    async def wait_connected(self) -> None:
        """Wait until messages flow.

        Raises:
            ConnectionUnavailable: when the peer has said that dialling is pointless.
        """
        while not self.connected:
            if self.session.closed:
                raise ConnectionUnavailable(self.connection.address, self.session.closed)
            if self._connected is None:
                self._connected = anyio.Event()
            await self._connected.wait()

    async def drain(self, timeout_s: float = 5.0) -> bool:
        """Shut down in order: nothing new goes out, what is in flight is answered; then nothing more can be sent.

        What was never written ends as `not_delivered`, so that after a drain that returns True nothing is
        indeterminate. The peer learns that it was meant so.

        Returns:
            Whether everything in flight was answered within `timeout_s` seconds.
        """
        answered = await self.session.drain(timeout_s, "shutting down")
        self._close(self.session, "the transport was drained")
        return answered

    # Messages

    async def send_reliable(self, data: bytes, *, deadline_s: float = DEADLINE_S, channel: int = 0) -> Delivery:
        """Send a message and wait for how it ended: true when delivered, `.reason` says why when not.

        When the caller is cancelled, the message is given up too, unless an outbox keeps it; it may have arrived.

        Raises:
            QueueFull: when the queue is full and the policy is not to wait.
            MessageTooLarge: when the wire can't carry it.
            Closed: after the transport was left.
        """
        session = self.session
        if session.closed:
            return self._unsent(1)[0]
        delivery = await session.send(data, deadline_s=deadline_s, channel=channel)
        try:
            return await delivery
        finally:
            if not delivery.done and self._outbox is None:
                session.cancel(delivery)

    def send_nowait(self, data: bytes, *, deadline_s: float = DEADLINE_S, channel: int = 0) -> Delivery:
        """Accept a message and return its handle at once: the fast way for many messages.

        Raises:
            QueueFull: when the queue is full and nothing may be dropped from it.
            MessageTooLarge: when the wire can't carry it.
            Closed: after the transport was left.
        """
        session = self._session
        if session is None or session.closed:
            return self._unsent(1)[0]
        return session.send_nowait(data, deadline_s=deadline_s, channel=channel)

    def send_batch_nowait(self, payloads: Sequence[bytes], *, deadline_s: float = DEADLINE_S) -> DeliveryBatch:
        """Accept messages, all or none, in one go, and return their handles: the fastest way for many.

        Await the batch for all of them, or any handle of it.

        Raises:
            QueueFull: when there is no room for all of them.
            MessageTooLarge: when the wire can't carry one of them.
            Closed: after the transport was left.
        """
        session = self._session
        if session is None or session.closed:
            return self._unsent(len(payloads))
        return session.send_batch_nowait(payloads, deadline_s=deadline_s)

    async def recv_reliable(self) -> ReceivedMessage:
        """Return the next message; answer it with `ack()` once it is processed.

        Raises:
            Closed: when the transport was left, or the peer refused us for good.
        """
        return await self.session.receive()

    async def recv_batch(self, limit: int = 100) -> list[ReceivedMessage]:
        """Return everything that has arrived, at most `limit` messages, waiting for the first.

        Raises:
            Closed: when the transport was left, or the peer refused us for good.
        """
        return await self.session.receive_batch(limit)

    # Within

    def _close(self, session: Session, reason: str) -> None:
        """End the session; what an outbox keeps stays there."""
        if self._kept is not None:
            self._kept.let_go()
            reason = f"{reason}; the outbox keeps it"
        session.close(reason)

    def _unsent(self, count: int) -> DeliveryBatch:
        """Return handles for messages that come when the peer has refused us for good.

        Raises:
            Closed: when that is not why there is no session to take them.
        """
        if self._exited or not self.session.closed:
            raise Closed(f"nothing more can be sent: {self.session.closed}")
        self.metrics.accepted += count
        self.metrics.outcomes[Outcome.NOT_DELIVERED] += count
        deliveries = [Delivery() for _ in range(count)]
        for delivery in deliveries:
            delivery.settle(Outcome.NOT_DELIVERED, reason=self.session.closed)
        return DeliveryBatch(deliveries)

    async def _new_link(self) -> Link:
        link: Link
        if self._outbox is not None:
            link = self._kept = await self._outbox.open(self.name, self.config)
            self.name = self._kept.name
        else:
            link = self._make_link(self.name, self.config)
        if self._key_source is not None:
            self._key = DiallingKey(self._key_source, self.name, rng=UNGUESSABLE)
            link = self._key.keyed(link, timeout_s=self.config.hello_timeout_s)
        if self._own_id is not None:
            link = OwnIdsLink(link, memory_of_ids(self._own_id, self.config, self.metrics))
        return link

    async def _keep_connected(self, session: Session) -> None:
        redial = Redial(
            UNGUESSABLE,  # It needn't be; but another generator of its own would cost 2.5 KiB.
            base_s=self.config.backoff_base_s,
            max_s=self.config.backoff_max_s,
            spread_max_s=self.config.redial_spread_max_s,
        )
        clock = running_clock()
        while True:
            started, progress, greeted = clock(), session.progress, self.metrics.connections
            dropped = await self._connect_once(session)
            if dropped is not None and dropped.final:
                self._close(session, dropped.reason)
                self._tell_connected(session)
                return
            lasted = clock() - started >= self.config.healthy_after_s
            useful = self.metrics.connections > greeted and (lasted or session.progress > progress)
            spread_s: float = getattr(session.link, "spread_s", 0.0)
            await anyio.sleep(redial.pause_after(dropped, useful=useful, spread_s=spread_s))

    async def _connect_once(self, session: Session) -> Dropped | None:
        """Dial and carry; None when there was no connection."""
        try:
            if self._key is not None:
                self._key.renew()
            stream = await self.connection.connect(timeout_s=self.config.connect_timeout_s)
        except (BadCredential, ConnectionUnavailable) as error:
            self.last_error = str(error)
            return None
        alarm = self._timers.arm(running_clock()() + self.config.hello_timeout_s, self._demand_hello)
        try:
            dropped = await session.run(stream)
        finally:
            self._timers.cancel(alarm)
        self.last_error = dropped.reason
        return dropped

    def _demand_hello(self, _now: float) -> None:
        session = self.session
        if not session.connected:
            session.disconnect(f"the peer did not say hello within {self.config.hello_timeout_s:g} s")

    def _tell_connected(self, session: Session) -> None:
        if self._connected is not None and (session.connected or session.closed):
            self._connected.set()
            self._connected = None

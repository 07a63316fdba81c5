"""One peer: its link, the messages on their way to it and from it, and, while there is one, its connection.

A session outlives its connections. Sending is synchronous and costs no task, no event and no timer of its own:
`send_nowait` gives the message to the link, keeps the handle, and wakes the connection's pump, which flushes
everything that came together in one write. What the link reports is turned into settled handles, received messages
and counters in `turn`, the only place where events are pulled; a handle's callback may send again, which `turn`
picks up in the same pass. Everything that queues has a limit: the link's own send queue and window, `recv_queue_max`
here for what the application has not taken, `write_queue_max` for legacy writes that wait for a stalled socket.
"""

import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import ByteStream

from agt.transport._batch import DeliveryBatch
from agt.transport._carrier import Carrier
from agt.transport._carrying import Carrying
from agt.transport._config import Overflow
from agt.transport._dead_letters import DeadLetters
from agt.transport._delivery import Delivery
from agt.transport._drain import drain
from agt.transport._errors import QueueFull
from agt.transport._events import Dropped
from agt.transport._fast_carrier import FastCarrier
from agt.transport._fast_stream import FastStream
from agt.transport._loop_timers import keep_time
from agt.transport._outbox import handles
from agt.transport._received import ReceivedMessage
from agt.transport._session_turns import SessionTurns
from agt.transport.trust import TLSByteStream

DEADLINE_S = 30.0
"""How long a message may take unless its sender says otherwise."""


@dataclass(frozen=True, slots=True)
class SessionWithdrawal:
    """What a session gave back when its device changed paths; the handles are the taker's to settle."""

    unsent: tuple[Delivery, ...]
    """Provably never written: free to take another path."""
    in_doubt: tuple[Delivery, ...]
    """Written and unanswered, oldest first."""


class Session(SessionTurns):
    """Messages to and from one peer, over whatever connection it has at the moment.

    Must be made and used within a running event loop, all on one thread.
    """

    # Sending

    def send_nowait(self, payload: bytes, *, deadline_s: float = DEADLINE_S, channel: int = 0) -> Delivery:
        """Accept a message for reliable sending; its handle settles within `deadline_s` seconds.

        Raises:
            QueueFull: when the send queue is full and the policy found no room.
            MessageTooLarge: when the wire can't carry it.
            Closed: when the session has been closed.
        """
        now = self._clock()
        deadline = now + deadline_s
        delivery = self._outbox.accept(payload, now, deadline, channel)
        carrier = self._carrier
        if carrier is None or not carrier.dirty or self._drops or deadline < self._deadline.at:
            self._accepted(deadline)
        return delivery

    def send_batch_nowait(self, payloads: Sequence[bytes], *, deadline_s: float = DEADLINE_S) -> DeliveryBatch:
        """Accept messages for reliable sending, all or none, in one go: the cheap way for many.

        Raises:
            QueueFull: when there is no room for all of them; nothing is dropped to make some.
            MessageTooLarge: when the wire can't carry one of them.
            Closed: when the session has been closed.
        """
        now = self._clock()
        batch = self._outbox.accept_run(payloads, now, now + deadline_s)
        self._accepted(now + deadline_s)
        return batch

    async def send(self, payload: bytes, *, deadline_s: float = DEADLINE_S, channel: int = 0) -> Delivery:
        """Accept a message as the overflow policy says; with BLOCK, wait for room no longer than the deadline.

        Returns the handle, not the outcome: await the handle for that. Waiting senders are served in order.

        Raises:
            QueueFull: with REJECT, or with DROP_OLDEST when everything queued has been written already.
            MessageTooLarge: when the wire can't carry it.
            Closed: when the session has been closed.
        """
        if self._overflow is not Overflow.BLOCK:
            return self.send_nowait(payload, deadline_s=deadline_s, channel=channel)
        if not self._outbox.in_line:
            with suppress(QueueFull):
                return self.send_nowait(payload, deadline_s=deadline_s, channel=channel)
        deadline = self._clock() + deadline_s
        return await self._outbox.accept_when_room(payload, deadline_s, lambda: self._accepted(deadline), channel)

    def write_nowait(self, payload: bytes) -> Delivery:
        """Write a message the legacy way, over the same wire: nothing is remembered, nothing sent again.

        The handle is settled already: `written`, or `not_delivered` when there is no connection or the socket has
        been stalled for `write_queue_max` messages.

        Raises:
            UsageError: when the wire has no legacy way.
        """
        delivery = self._writes.write(payload, self._clock(), connected=self._opened)
        self._accepted(self.link.next_deadline())
        return delivery

    async def flush(self) -> None:
        """Wait until everything accepted so far was handed to the socket, or the connection has ended."""
        if self._carrier is not None:
            await self._carrier.flushed()

    def cancel(self, delivery: Delivery) -> None:
        """Give up on a message early; its handle still settles, as what is then known. A no-op when it has."""
        if not delivery.done:
            self.link.cancel(delivery, now=self._clock())
            self._after_call()

    def withdraw(self) -> SessionWithdrawal:
        """Take back everything unsettled; the handles stay open and are the caller's to settle."""
        taken = self.link.withdraw(now=self._clock())
        withdrawal = SessionWithdrawal(tuple(handles(taken.unsent)), tuple(handles(taken.in_doubt)))
        self._after_call()
        return withdrawal

    def on_quiet(self, callback: Callable[[], None]) -> None:
        """Call back once when nothing is queued, in flight or unanswered: at once if that is so already."""
        self._quiet_callbacks.append(callback)
        self._tell_quiet()

    # Receiving

    async def receive(self) -> ReceivedMessage:
        """Return the next message, oldest first, waiting for one.

        Raises:
            Closed: when the session has been closed and nothing is left.
        """
        return (await self.receive_batch(1))[0]

    async def receive_batch(self, limit: int = 100) -> list[ReceivedMessage]:
        """Return everything that has arrived, at most `limit` messages, waiting for the first.

        Raises:
            Closed: when the session has been closed and nothing is left.
        """
        batch = await self._inbox.take(limit)
        self._catch_up()
        return batch

    @property
    def dead_letters(self) -> DeadLetters:
        """What the peer's application refused for good: the newest of it, to be looked at."""
        return self._outbox.dead_letters

    # The connection

    async def drain(self, timeout_s: float = 5.0, reason: str = "shutting down") -> bool:
        """End the connection in order, within so many seconds; true when nothing was left unanswered. See `_drain`."""
        return await drain(self, timeout_s, reason)

    @contextmanager
    def watching(self, callback: "Callable[[Session], None]") -> Iterator[None]:
        """Call back whenever `connected` has changed, while this lasts."""
        self._connection_callbacks.append(callback)
        try:
            yield
        finally:
            self._connection_callbacks.remove(callback)

    @property
    def raw_socket(self) -> socket.socket | None:
        """The socket of the present connection, to ask the system about it; None without one."""
        return self._carrier.raw_socket if self._carrier is not None else None

    def now(self) -> float:
        """Return the time on the clock of this session's deadlines."""
        return self._clock()

    def on_connection(self, callback: "Callable[[Session], None]") -> None:
        """Call back with this session whenever `connected` has changed."""
        self._connection_callbacks.append(callback)

    def attach(self, stream: ByteStream, *, begin: bool = True) -> Carrying:
        """Put the link on a fresh connection, at once; an older connection is let go.

        Args:
            stream: the connection.
            begin: whether to tell the link; False when whoever read the peer's hello has done so.
        """
        if self._carrier is not None:
            self._carrier.supersede()
            self._set_opened(opened=False)
        carrier: Carrying
        if isinstance(stream, FastStream):
            carrier = FastCarrier(self, self.link, stream, self._clock)
        elif isinstance(stream, TLSByteStream) and isinstance(stream.below, FastStream):
            carrier = FastCarrier(self, stream.secured(self.link), stream.below, self._clock)
        else:
            carrier = Carrier(self, self.link, stream, self._clock)
        self._carrier = carrier
        if begin:
            self.link.connection_made(now=self._clock())
        return carrier

    def run(self, stream: ByteStream) -> Coroutine[Any, Any, Dropped]:
        """Carry the link over this connection until it ends; closes the connection and says why it ended.

        A second call supersedes the first.
        """
        return self.carry(self.attach(stream))  # Handed on, not awaited: a frame less for each idle connection.

    async def carry(self, carrier: Carrying) -> Dropped:
        """Run what `attach` returned."""
        try:
            if not self._own_timers:
                return await carrier.run()
            async with anyio.create_task_group() as tasks:
                self._deadline.keep_by(keep_time(tasks))
                await carrier.run()
                tasks.cancel_scope.cancel()
            assert carrier.dropped is not None, "a carrier ends for a reason"
            return carrier.dropped
        finally:
            if self._carrier is carrier:
                self._carrier = None
                self._writes.connection_lost()
                self.link.connection_lost(now=self._clock())
                self._after_call()
                self._set_opened(opened=False)

    def disconnect(self, reason: str) -> None:
        """End the present connection, if any, in words where the wire has them; messages wait for the next one."""
        if self._carrier is None:
            return
        farewell: Callable[..., None] | None = getattr(self.link, "close", None)
        if farewell is not None:
            farewell(reason, now=self._clock())
        self._carrier.end(Dropped(reason, "us", final=False))

    def close(self, reason: str = "closed") -> None:
        """End the session: what was never written is `not_delivered`, what was written `indeterminate`."""
        if self.closed:
            return
        taken = self.withdraw()
        self.closed = reason
        self._outbox.close(reason, unsent=taken.unsent, in_doubt=taken.in_doubt)
        self._inbox.close(reason)
        self._catch_up()
        self.disconnect(reason)
        self._deadline.keep_by(None)

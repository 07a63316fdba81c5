"""The reliable messages of one session on their way: accepted, refused, dropped or blocked by policy, settled.

The link holds the bytes and the limits; this holds the handles, and what happens when the link says that it is full.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final

import anyio

from agt.transport._ack_level import AckLevel
from agt.transport._batch import DeliveryBatch, send_run
from agt.transport._config import Overflow
from agt.transport._dead_letters import DeadLetters
from agt.transport._delivery import Delivery, settle_delivered
from agt.transport._errors import Closed, QueueFull
from agt.transport._events import Delivered, Settled
from agt.transport._link import Link
from agt.transport._metrics import TransportMetrics
from agt.transport._outcome import Outcome
from agt.transport._outgoing import Outgoing

_DURABLE: Final = AckLevel.DURABLE  # An enumeration's members are slow to look up.


class Outbox:
    """Handles of the unsettled messages of one link, and the overflow policy."""

    __slots__ = ("_clock", "_closed", "_line", "_link", "_metrics", "_overflow", "ack_level", "dead_letters", "room")

    def __init__(self, link: Link, metrics: TransportMetrics, overflow: Overflow, clock: Callable[[], float]) -> None:
        self._link = link
        link.make_outgoing = Delivery
        self._metrics = metrics
        self._overflow = overflow
        self._clock = clock
        self._closed = ""
        self.ack_level = AckLevel.PROCESSED
        """What the present peer has done with a message before it acknowledges it."""
        self.dead_letters = DeadLetters()
        """What the peer's application refused for good."""
        self.room: anyio.Event | None = None
        """What the first blocked sender waits for; None when nobody does."""
        self._line: anyio.Lock | None = None

    def count_in(self, metrics: TransportMetrics) -> None:
        """Count there from now on."""
        self._metrics = metrics

    def accept(self, payload: bytes, now: float, deadline: float, channel: int = 0) -> Delivery:
        """Accept a message, making room by dropping the oldest unwritten one if that is the policy.

        Raises:
            QueueFull: when there is no room.
            MessageTooLarge: when the wire can't carry it.
            Closed: when the session has been closed.
        """
        if self._closed:
            raise Closed(f"nothing more can be sent: {self._closed}")
        try:
            message = self._link.send(payload, now=now, deadline=deadline, channel=channel)
        except QueueFull:
            self._metrics.queue_full += 1
            message = self._send_dropping(payload, now, deadline, channel)
        self._metrics.accepted += 1
        return message  # type: ignore[return-value]  # The link makes them by our class; a cast would be a call.

    def accept_run(self, payloads: Sequence[bytes], now: float, deadline: float) -> DeliveryBatch:
        """Accept messages, all or none.

        Raises:
            QueueFull: when there is no room for all.
            MessageTooLarge: when the wire can't carry one of them.
            Closed: when the session has been closed.
        """
        if self._closed:
            raise Closed(f"nothing more can be sent: {self._closed}")
        try:
            messages = send_run(self._link, payloads, now=now, deadline=deadline)
        except QueueFull:
            self._metrics.queue_full += len(payloads)
            raise
        self._metrics.accepted += len(messages)
        return DeliveryBatch(handles(messages))

    async def accept_when_room(
        self, payload: bytes, deadline_s: float, accepted: Callable[[], None], channel: int = 0
    ) -> Delivery:
        """Accept a message once there is room, waiting in line until its deadline; its handle says if there was none.

        Args:
            payload: the message.
            deadline_s: seconds from now, waiting included.
            accepted: called as soon as the link has it.
            channel: the ordered channel that it goes through.

        Raises:
            MessageTooLarge: when the wire can't carry it.
            Closed: when the session has been closed.
        """
        deadline = self._clock() + deadline_s
        if self._line is None:
            self._line = anyio.Lock()
        with anyio.move_on_after(deadline_s):
            async with self._line:
                while True:
                    try:
                        delivery = self.accept(payload, self._clock(), deadline, channel)
                    except QueueFull:
                        await self._wait_for_room()
                    else:
                        accepted()
                        return delivery
        delivery = Delivery()
        self._metrics.accepted += 1
        self._end(delivery, Outcome.NOT_DELIVERED, "the send queue stayed full until the deadline")
        return delivery

    @property
    def in_line(self) -> bool:
        """Whether somebody waits for room, so that nobody may pass."""
        return self._line is not None and self._line.locked()

    def older_than(self, now: float, limits_s: Sequence[float]) -> list[int]:
        """Count, for each limit in seconds (ascending), the messages that have been on their way longer."""
        ages_s = [now - message.accepted_at for message in self._link.unsettled()]
        return [sum(age_s > limit_s for age_s in ages_s) for limit_s in limits_s]

    def delivered(self, event: Delivered) -> None:
        """Settle the handles of messages that were delivered."""
        self._metrics.delivered(event)
        if self.ack_level is _DURABLE:
            self._metrics.delivered_durable += len(event.messages)
            for message in event.messages:
                message.ack_level = _DURABLE
        settle_delivered(event.messages, event.now)  # type: ignore[arg-type]  # The link makes them by our class.

    def settled(self, event: Settled) -> None:
        """Settle the handle of a message that the link has seen to another end."""
        self._metrics.settled(event)
        if event.code:
            self.dead_letters.add(event, self._clock())
        (message,) = handles((event.message,))
        message.settle(event.outcome, reason=event.reason, latency_s=event.latency_s)

    def tell_room(self) -> None:
        """Let the first blocked sender try again."""
        if self.room is not None:
            self.room.set()

    def close(self, reason: str, *, unsent: Sequence[Delivery], in_doubt: Sequence[Delivery]) -> None:
        """Accept nothing more, and settle what was withdrawn from the link."""
        self._closed = reason
        for outcome, deliveries in ((Outcome.NOT_DELIVERED, unsent), (Outcome.INDETERMINATE, in_doubt)):
            for delivery in deliveries:
                self._end(delivery, outcome, reason)
        self.tell_room()

    async def _wait_for_room(self) -> None:
        self.room = anyio.Event()
        try:
            await self.room.wait()
        finally:
            self.room = None

    def _send_dropping(self, payload: bytes, now: float, deadline: float, channel: int) -> Outgoing:
        """Send where there was no room, dropping as many as it takes: one, or several small ones for a large one."""
        while self._overflow is Overflow.DROP_OLDEST and self._drop_oldest(now):
            try:
                return self._link.send(payload, now=now, deadline=deadline, channel=channel)
            except QueueFull:
                continue
        return self._link.send(payload, now=now, deadline=deadline, channel=channel)

    def _drop_oldest(self, now: float) -> bool:
        queued = self._link.queued
        oldest = next(islice(self._link.unsettled(), self._link.in_flight, None), None)
        if oldest is not None:
            self._link.cancel(oldest, now=now)
        return self._link.queued < queued

    def _end(self, delivery: Delivery, outcome: Outcome, reason: str) -> None:
        self._metrics.outcomes[outcome] += 1
        delivery.settle(outcome, reason=reason)


def handles(messages: Sequence[Outgoing]) -> Sequence[Delivery]:
    """Return messages of our link as what they are: it makes them by our class."""
    return messages  # type: ignore[return-value]  # A cast would be a call.

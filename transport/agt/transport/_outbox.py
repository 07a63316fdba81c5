"""The reliable messages of one session on their way: accepted, refused, dropped or blocked by policy, settled.

The link holds the bytes and the limits; this holds the handles, and what happens when the link says that it is full.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import cast

import anyio

from agt.transport._config import Overflow
from agt.transport._delivery import Delivery
from agt.transport._errors import Closed, QueueFull
from agt.transport._events import Delivered, Settled
from agt.transport._link import Link
from agt.transport._metrics import TransportMetrics
from agt.transport._outcome import Outcome
from agt.transport._outgoing import Outgoing


class Outbox:
    """Handles of the unsettled messages of one link, and the overflow policy."""

    __slots__ = ("_clock", "_closed", "_link", "_metrics", "_overflow", "_room", "_room_turn")

    def __init__(self, link: Link, metrics: TransportMetrics, overflow: Overflow, clock: Callable[[], float]) -> None:
        self._link = link
        link.make_outgoing = Delivery
        self._metrics = metrics
        self._overflow = overflow
        self._clock = clock
        self._closed = ""
        self._room: anyio.Event | None = None
        self._room_turn = anyio.Lock()

    def send_nowait(self, payload: bytes, deadline_s: float) -> Delivery:
        """Accept a message, making room by dropping the oldest unwritten one if that is the policy.

        Raises:
            QueueFull: when there is no room.
            MessageTooLarge: when the wire can't carry it.
            Closed: when the session has been closed.
        """
        try:
            return self._accept(payload, deadline_s)
        except QueueFull:
            self._metrics.queue_full += 1
            if self._overflow is not Overflow.DROP_OLDEST or not self._drop_oldest():
                raise
            return self._accept(payload, deadline_s)

    async def send(self, payload: bytes, deadline_s: float, accepted: Callable[[], None]) -> Delivery:
        """Accept a message as the policy says; with BLOCK, wait in line for room until the deadline.

        Args:
            payload: the message.
            deadline_s: seconds from now, waiting included.
            accepted: called as soon as the link has it.

        Raises:
            QueueFull: with REJECT, or with DROP_OLDEST when everything queued has been written already.
            MessageTooLarge: when the wire can't carry it.
            Closed: when the session has been closed.
        """
        give_up_at = self._clock() + deadline_s
        if self._overflow is not Overflow.BLOCK or not self._room_turn.locked():
            try:
                delivery = self.send_nowait(payload, deadline_s)
            except QueueFull:
                if self._overflow is not Overflow.BLOCK:
                    raise
            else:
                accepted()
                return delivery
        with anyio.move_on_after(deadline_s):
            async with self._room_turn:
                delivery = await self._accept_when_room(payload, give_up_at)
                accepted()
                return delivery
        delivery = Delivery()
        self._metrics.accepted += 1
        self._end(delivery, Outcome.NOT_DELIVERED, "the send queue stayed full until the deadline")
        return delivery

    def older_than(self, now: float, limits_s: Sequence[float]) -> list[int]:
        """Count, for each limit in seconds (ascending), the messages that have been on their way longer."""
        ages_s = [now - message.accepted_at for message in self._link.unsettled()]
        return [sum(age_s > limit_s for age_s in ages_s) for limit_s in limits_s]

    def delivered(self, event: Delivered) -> None:
        """Settle the handles of messages that were delivered."""
        self._metrics.delivered(event)
        now = event.now
        for message in handles(event.messages):
            message.settle(Outcome.DELIVERED, latency_s=now - message.accepted_at)

    def settled(self, event: Settled) -> None:
        """Settle the handle of a message that the link has seen to another end."""
        self._metrics.settled(event)
        (message,) = handles((event.message,))
        message.settle(event.outcome, reason=event.reason, latency_s=event.latency_s)

    def tell_room(self) -> None:
        """Let the first blocked sender try again."""
        if self._room is not None:
            self._room.set()

    def close(self, reason: str, *, unsent: Sequence[Delivery], in_doubt: Sequence[Delivery]) -> None:
        """Accept nothing more, and settle what was withdrawn from the link."""
        self._closed = reason
        for outcome, deliveries in ((Outcome.NOT_DELIVERED, unsent), (Outcome.INDETERMINATE, in_doubt)):
            for delivery in deliveries:
                self._end(delivery, outcome, reason)
        self.tell_room()

    def _accept(self, payload: bytes, deadline_s: float) -> Delivery:
        if self._closed:
            raise Closed(f"nothing more can be sent: {self._closed}")
        now = self._clock()
        message = self._link.send(payload, now=now, deadline=now + deadline_s)
        self._metrics.accepted += 1
        return cast("Delivery", message)

    async def _accept_when_room(self, payload: bytes, give_up_at: float) -> Delivery:
        while True:
            try:
                return self._accept(payload, give_up_at - self._clock())
            except QueueFull:
                self._room = anyio.Event()
                try:
                    await self._room.wait()
                finally:
                    self._room = None

    def _drop_oldest(self) -> bool:
        queued = self._link.queued
        oldest = next(islice(self._link.unsettled(), self._link.in_flight, None), None)
        if oldest is not None:
            self._link.cancel(oldest, now=self._clock())
        return self._link.queued < queued

    def _end(self, delivery: Delivery, outcome: Outcome, reason: str) -> None:
        self._metrics.outcomes[outcome] += 1
        delivery.settle(outcome, reason=reason)


def handles(messages: Sequence[Outgoing]) -> Sequence[Delivery]:
    """Return messages of our link as what they are: it makes them by our class."""
    return cast("Sequence[Delivery]", messages)

"""The messages of one session on their way in: accepted, refused, dropped or kept waiting, as the policy says.

What the policies mean is `Intake`'s, as in every driver; here is how a thread waits for room: in line, each woken when
it is its turn, and no longer than its message's deadline.
"""

from collections import deque
from typing import Final

from agt.transport._config import Overflow
from agt.transport._errors import QueueFull
from agt.transport._intake import Intake
from agt.transport._outcome import Outcome
from agt.transport.blocking._engine import Engine, clock
from agt.transport.blocking._handle import BlockingDelivery, Ticket, Waits, handles
from agt.transport.blocking._io_thread import not_in
from agt.transport.blocking._waiting import Waiting

GATHER_MAX: Final = 64
"""Unawaited messages that may come together before one of their senders writes them itself."""


class Outbox:
    """Where messages enter one session."""

    def __init__(self, engine: Engine, waiting: Waiting, waits: Waits, overflow: Overflow) -> None:
        self._engine, self._waiting, self._waits = engine, waiting, waits
        self._intake = Intake(engine.link, engine.metrics, overflow)
        self._blocked: deque[Ticket] = deque()
        self._full_at = 0

    @property
    def closed(self) -> str:
        """Why nothing more is accepted; empty while messages are."""
        return self._intake.closed

    def accept(self, data: bytes, deadline: float, channel: int) -> BlockingDelivery:
        """Accept a message without waiting; with the lock held.

        Raises:
            QueueFull: when there is no room.
            MessageTooLarge: when the wire can't carry it.
            Closed: when nothing more is accepted.
        """
        (delivery,) = handles((self._intake.accept(data, now=clock(), deadline=deadline, channel=channel),))
        delivery.session = self._waits
        return delivery

    def try_to_accept(self, data: bytes, deadline: float, channel: int) -> BlockingDelivery | None:
        """Accept a message in its turn; None when it has to wait for room; with the lock held.

        Raises:
            QueueFull: when there is no room and the policy is not to wait.
            MessageTooLarge: when the wire can't carry it.
            Closed: when nothing more is accepted.
        """
        return None if self._blocked else self._accept_or_wait(data, deadline, channel)

    def send(self, data: bytes, deadline_s: float, channel: int) -> BlockingDelivery:
        """Accept a message as the policy says, waiting for room if that is it; without the lock.

        Raises:
            QueueFull: when there is no room and the policy is not to wait.
            MessageTooLarge: when the wire can't carry it.
            UsageError: in a callback, which would wait for itself.
            Closed: when nothing more is accepted.
        """
        not_in(self._engine.io, "waiting for room")
        give_up_at = clock() + deadline_s
        ticket = Ticket()
        with self._engine.lock:
            delivery = self.try_to_accept(data, give_up_at, channel)
            if delivery is None:
                self._blocked.append(ticket)
            else:
                self._engine.exchange()
        self._engine.run_later()
        return self._wait_for_room(ticket, data, give_up_at, channel) if delivery is None else delivery

    def may_gather(self, *, handing: bool) -> bool:
        """Whether an unawaited message may wait for those that follow: others are on their way, and few wait yet.

        Args:
            handing: whether the I/O thread, which would take them along, is busy in a handler.
        """
        engine = self._engine
        if engine.conduit is None or handing or self._intake.overflow is Overflow.DROP_OLDEST:
            return False
        return engine.held or (engine.link.in_flight > 0 and engine.link.queued < GATHER_MAX)

    def tell_room(self) -> None:
        """Let the first blocked sender try again, if there is room; with the lock held."""
        if self._blocked and self._engine.link.queued < self._full_at:
            self._blocked[0].call()

    def close(self, reason: str) -> None:
        """Accept nothing more, and end what is left as what can be known about it; with the lock held."""
        self._intake.closed = reason
        taken = self._engine.link.withdraw(now=clock())
        for outcome, left in ((Outcome.NOT_DELIVERED, taken.unsent), (Outcome.INDETERMINATE, taken.in_doubt)):
            for delivery in handles(left):
                self._end(delivery, outcome, reason)
        for ticket in self._blocked:
            ticket.call()

    def _accept_or_wait(self, data: bytes, deadline: float, channel: int) -> BlockingDelivery | None:
        """Accept a message; None when it has to wait for room."""
        try:
            return self.accept(data, deadline, channel)
        except QueueFull:
            if self._intake.overflow is not Overflow.BLOCK:
                raise
            self._full_at = self._engine.link.queued
            return None

    def _wait_for_room(self, ticket: Ticket, data: bytes, give_up_at: float, channel: int) -> BlockingDelivery:
        """Wait in line until the message is accepted, or has ended for want of room."""
        try:
            while True:
                self._waiting.wait(ticket, give_up_at)
                with self._engine.lock:
                    first = self._blocked[0] is ticket
                    delivery = self._accept_or_wait(data, give_up_at, channel) if first or self.closed else None
                    if delivery is None and clock() >= give_up_at:
                        delivery = self._never_sent("the send queue stayed full until the deadline")
                    if delivery is not None:
                        return delivery
                    again = Ticket()
                    self._blocked[self._blocked.index(ticket)] = again
                    ticket = again
        finally:
            with self._engine.lock:
                self._blocked.remove(ticket)
                self._engine.exchange()
            self._engine.run_later()

    def _never_sent(self, reason: str) -> BlockingDelivery:
        delivery = BlockingDelivery()
        self._engine.metrics.accepted += 1
        self._end(delivery, Outcome.NOT_DELIVERED, reason)
        return delivery

    def _end(self, delivery: BlockingDelivery, outcome: Outcome, reason: str) -> None:
        self._engine.metrics.outcomes[outcome] += 1
        self._engine.settle(delivery, outcome, reason)

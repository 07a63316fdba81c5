"""What a full send queue does to the next message, the same in every driver; waiting for room is the drivers' own."""

from itertools import islice

from agt.transport._config import Overflow
from agt.transport._errors import Closed, QueueFull
from agt.transport._link import Link
from agt.transport._metrics import TransportMetrics
from agt.transport._outgoing import Outgoing


class Intake:
    """Where messages enter one link."""

    __slots__ = ("_link", "_metrics", "closed", "overflow")

    def __init__(self, link: Link, metrics: TransportMetrics, overflow: Overflow) -> None:
        self._link = link
        self._metrics = metrics
        self.overflow = overflow
        """What a full queue does."""
        self.closed = ""
        """Why nothing more is accepted; empty while messages are."""

    def accept(self, payload: bytes, *, now: float, deadline: float, channel: int = 0) -> Outgoing:
        """Accept a message, making room by dropping the oldest unwritten one if that is the policy.

        Raises:
            QueueFull: when there is no room.
            MessageTooLarge: when the wire can't carry it.
            UsageError: when the wire has no such channel.
            Closed: when nothing more is accepted.
        """
        if self.closed:
            raise Closed(f"nothing more can be sent: {self.closed}")
        try:
            message = self._link.send(payload, now=now, deadline=deadline, channel=channel)
        except QueueFull:
            self._metrics.queue_full += 1
            message = self._send_dropping(payload, now, deadline, channel)
        self._metrics.accepted += 1
        return message

    def _send_dropping(self, payload: bytes, now: float, deadline: float, channel: int) -> Outgoing:
        """Send where there was no room, dropping as many as it takes: one, or several small ones for a large one."""
        while self.overflow is Overflow.DROP_OLDEST and self._drop_oldest(now):
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

"""Messages of one kind on their way to one peer: in order, few outstanding, sent again when no answer comes.

A lane never looks at what a message says; it keeps the order, the window and the timer. Resends carry identical
bytes under the same id, because that is all an unmodified peer could recognise. Doubling the timeout outlives the
message that caused it (until a clean sample, RFC 6298 5.5 and Karn), else a network slower than the timeout would
have every message resent once and never be measured.
"""

import math
from collections import deque
from collections.abc import Iterator

from agt.transport._outgoing import Outgoing
from agt.transport._rtt import RoundTrip
from agt.transport.wires.cync._config import CyncConfig
from agt.transport.wires.cync._matcher import Key


class Request:
    """One packet that is to be answered, and what has happened to it."""

    __slots__ = ("attempts", "data", "due", "key", "message", "number", "written_at")

    def __init__(self, number: int, data: bytes, key: Key, message: Outgoing | None) -> None:
        self.number = number
        self.data = data
        self.key = key
        """What its ack is matched by."""
        self.message = message
        """Whom it is sent for; None for what the link itself sends (its hello), so that nobody hears of its end."""
        self.attempts = 0
        """How often it was written."""
        self.written_at = -math.inf
        self.due = -math.inf
        """When it is to be written again."""

    @property
    def resends(self) -> int:
        """Attempts after the first."""
        return max(self.attempts - 1, 0)


class Lane:
    """One kind of message."""

    __slots__ = ("_window", "outstanding", "queue", "rtt")

    def __init__(self, config: CyncConfig, *, window: int) -> None:
        self._window = window
        self.queue: deque[Request] = deque()
        """Not written yet, oldest first."""
        self.outstanding: list[Request] = []
        """Written and unanswered, oldest first."""
        self.rtt = RoundTrip(config.min_ack_timeout_s, config.ack_timeout_s, initial_s=config.first_ack_timeout_s)

    @property
    def has_room(self) -> bool:
        """Whether another message may be outstanding."""
        return len(self.outstanding) < self._window

    def due(self, now: float) -> Iterator[Request]:
        """Yield what is to be written again now."""
        return (request for request in list(self.outstanding) if request.due <= now)

    def next_due(self) -> float:
        """Return when the next outstanding message is to be written again; `math.inf` when none is."""
        return min((request.due for request in self.outstanding), default=math.inf)

    def wrote(self, request: Request, now: float) -> None:
        """Note that a message has been written, the first time or again."""
        if request.attempts == 0:
            assert self.queue[0] is request, "messages leave in order"
            self.outstanding.append(self.queue.popleft())
        elif math.isfinite(request.due):
            self.rtt.backoff()  # It was the timer that said so; after a reconnect there is nothing to learn.
        request.attempts += 1
        request.written_at = now
        request.due = now + self.rtt.timeout_s

    def answered(self, request: Request, now: float) -> None:
        """Take out a message whose ack has come; only one that was written once tells the round trip."""
        if request.attempts == 1:
            self.rtt.sample(now - request.written_at)
        self.outstanding.remove(request)

    def remove(self, request: Request) -> None:
        """Take out a message that has ended otherwise."""
        (self.outstanding if request.attempts else self.queue).remove(request)

    def connection_lost(self) -> None:
        """Make everything outstanding due at once, for when the peer is back."""
        for request in self.outstanding:
            request.due = -math.inf

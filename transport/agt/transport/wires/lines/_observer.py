"""Replies to messages that were only written: matched by number, given up after a while, always bounded."""

from collections import deque

from agt.transport._events import Event, Observed


class ReplyObserver:
    """Waits for `ok <number>`; replies with one number match in the order of writing."""

    __slots__ = ("_by_number", "_events", "_limit", "_timeout_s", "_waiting", "missing", "unmatched")

    def __init__(self, events: deque[Event], *, timeout_s: float, limit: int) -> None:
        self._events = events
        self._timeout_s, self._limit = timeout_s, limit
        self._waiting: dict[int, tuple[int, float]] = {}
        """Message to (number in its line, when written), oldest first."""
        self._by_number: dict[int, deque[int]] = {}
        self.missing = 0
        """Messages whose reply never came."""
        self.unmatched = 0
        """Replies that no written message explains."""

    def __len__(self) -> int:
        """Messages whose reply may still come."""
        return len(self._waiting)

    def wrote(self, message: int, number: int, *, now: float) -> None:
        """Wait for the reply to a message."""
        self._waiting[message] = (number, now)
        self._by_number.setdefault(number, deque()).append(message)
        if len(self._waiting) > self._limit:
            self._give_up_oldest()

    def replied(self, number: int, *, now: float) -> None:
        """Take a reply."""
        waiting = self._by_number.get(number)
        if not waiting:
            self.unmatched += 1
            return
        message = waiting.popleft()
        if not waiting:
            del self._by_number[number]
        _, written_at = self._waiting.pop(message)
        self._events.append(Observed(message, now - written_at))

    def next_deadline(self, never: float) -> float:
        """Return when the oldest wait is given up, or `never`."""
        return next((at + self._timeout_s for _, at in self._waiting.values()), never)

    def expire(self, now: float) -> None:
        """Give up what has waited too long."""
        while self._waiting and next(iter(self._waiting.values()))[1] + self._timeout_s <= now:
            self._give_up_oldest()

    def connection_lost(self) -> None:
        """Give up everything: no reply outlives its connection."""
        while self._waiting:
            self._give_up_oldest()

    def _give_up_oldest(self) -> None:
        message = next(iter(self._waiting))
        number, _ = self._waiting.pop(message)
        waiting = self._by_number[number]
        waiting.remove(message)
        if not waiting:
            del self._by_number[number]
        self.missing += 1

"""Deadlines of any number of sessions on one heap, for whoever keeps the time: a task or a thread.

Alarms that were cancelled stay where they are until their time comes or until they are the majority; then the heap is
made anew. Not for several threads at once: a driver that has them holds a lock around each call.
"""

import heapq
import math
from collections.abc import Callable
from itertools import count

COMPACT_FROM = 64
"""Cancelled alarms that are left lying whatever their share."""


class Alarm:
    """One deadline and who is called when it comes."""

    __slots__ = ("_order", "at", "callback")

    def __init__(self, at: float, order: int, callback: Callable[[float], None]) -> None:
        self.at = at
        self._order = order
        self.callback: Callable[[float], None] | None = callback
        """None once cancelled or called."""

    def __lt__(self, other: "Alarm") -> bool:
        return (self.at, self._order) < (other.at, other._order)


class Alarms:
    """A heap of alarms."""

    __slots__ = ("_cancelled", "_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[Alarm] = []
        self._order = count()
        self._cancelled = 0

    @property
    def earliest(self) -> float:
        """When somebody has to be called next, or, if they have cancelled, looked at; `math.inf` for never."""
        return self._heap[0].at if self._heap else math.inf

    def arm(self, deadline: float, callback: Callable[[float], None]) -> Alarm:
        """Have `callback(now)` called once, at `deadline` or a moment later."""
        alarm = Alarm(deadline, next(self._order), callback)
        heapq.heappush(self._heap, alarm)
        return alarm

    def cancel(self, alarm: Alarm) -> None:
        """Call nobody for this alarm; a no-op when it has been called."""
        if alarm.callback is not None:
            alarm.callback = None
            self._cancelled += 1
            if self._cancelled > COMPACT_FROM and self._cancelled * 2 > len(self._heap):
                self._heap = [kept for kept in self._heap if kept.callback is not None]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def next_due(self, now: float) -> Callable[[float], None] | None:
        """Take out whoever is to be called now; None when nobody is."""
        while self._heap and self._heap[0].at <= now:
            alarm = heapq.heappop(self._heap)
            callback, alarm.callback = alarm.callback, None
            if callback is not None:
                return callback
            self._cancelled -= 1
        return None

"""One timer task for any number of sessions.

A task, or even a cancel scope, per session and deadline would be the dearest thing in the process. So everyone
who has a deadline puts one alarm on a common heap, and one task sleeps until the earliest. Alarms that were
cancelled stay where they are until their time comes or until they are the majority; then the heap is made anew.
"""

import asyncio
import heapq
import math
from collections.abc import Callable
from itertools import count

import anyio

GRAIN_S = 0.001
"""Shortest pause between two looks at one deadline, so that a rounding error can't become a busy loop."""
COMPACT_FROM = 64
"""Cancelled alarms that are left lying whatever their share."""


def running_clock() -> Callable[[], float]:
    """Return the running event loop's own clock: the cheap one on asyncio, the portable one elsewhere."""
    try:
        return asyncio.get_running_loop().time
    except RuntimeError:
        return anyio.current_time


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


class Timers:
    """Calls back when deadlines come; `run` must be running for that."""

    __slots__ = ("_cancelled", "_changed", "_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[Alarm] = []
        self._order = count()
        self._cancelled = 0
        self._changed: anyio.Event | None = None

    def arm(self, deadline: float, callback: Callable[[float], None]) -> Alarm:
        """Call `callback(now)` once, at `deadline` or a moment later."""
        earliest = self._heap[0].at if self._heap else math.inf
        alarm = Alarm(deadline, next(self._order), callback)
        heapq.heappush(self._heap, alarm)
        if deadline < earliest and self._changed is not None:
            self._changed.set()
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

    async def run(self) -> None:
        """Keep the time until cancelled."""
        while True:
            now = anyio.current_time()
            self._call_due(now)
            self._changed = anyio.Event()
            earliest = self._heap[0].at if self._heap else math.inf
            with anyio.CancelScope(deadline=max(earliest, now + GRAIN_S)):
                await self._changed.wait()
            self._changed = None

    def _call_due(self, now: float) -> None:
        while self._heap and self._heap[0].at <= now:
            alarm = heapq.heappop(self._heap)
            callback, alarm.callback = alarm.callback, None
            if callback is None:
                self._cancelled -= 1
            else:
                callback(now)

"""Alarms that an asyncio loop rings by itself: one handle of the loop for all of them, and no task.

A task that sleeps costs a few kilobytes, which is most of what an idle connection may cost. Where there is no asyncio,
`Timers` keeps the time with one.
"""

import asyncio
import math
from collections.abc import Callable

from anyio.abc import TaskGroup

from agt.transport._alarms import Alarm, Alarms
from agt.transport._fast_stream import on_asyncio
from agt.transport._timers import GRAIN_S, Timers


class LoopTimers(Alarms):
    """Calls back when deadlines come, as long as the loop runs."""

    __slots__ = ("_handle",)

    def __init__(self) -> None:
        super().__init__()
        self._handle: asyncio.TimerHandle | None = None

    def arm(self, deadline: float, callback: Callable[[float], None]) -> Alarm:
        """Call `callback(now)` once, at `deadline` or a moment later."""
        alarm = super().arm(deadline, callback)
        if self._handle is None or deadline < self._handle.when():
            self._schedule(deadline)
        return alarm

    def _schedule(self, at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._handle = None
        now = asyncio.get_running_loop().time()
        try:
            while (callback := self.next_due(now)) is not None:
                callback(now)
        finally:
            if self.earliest < math.inf:
                self._schedule(max(self.earliest, now + GRAIN_S))


def keep_time(tasks: TaskGroup) -> Alarms:
    """Return alarms that ring: by the loop itself on asyncio, by a task of this group elsewhere."""
    if on_asyncio():
        return LoopTimers()
    timers = Timers()
    tasks.start_soon(timers.run)
    return timers

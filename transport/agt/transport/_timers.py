"""One timer task for any number of sessions.

A task, or even a cancel scope, per session and deadline would be the dearest thing in the process. So everyone
who has a deadline puts one alarm on a common heap, and one task sleeps until the earliest.
"""

import asyncio
import time
from collections.abc import Callable

import anyio

from agt.transport._alarms import Alarm, Alarms

GRAIN_S = 0.001
"""Shortest pause between two looks at one deadline, so that a rounding error can't become a busy loop."""


def running_clock() -> Callable[[], float]:
    """Return the running event loop's own clock: the cheap one on asyncio, the portable one elsewhere."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return anyio.current_time
    # asyncio's own loop asks the monotonic clock; without the method around it, that is twice as cheap.
    return time.monotonic if type(loop).time is asyncio.BaseEventLoop.time else loop.time


class Timers(Alarms):
    """Calls back when deadlines come; `run` must be running for that."""

    __slots__ = ("_changed",)

    def __init__(self) -> None:
        super().__init__()
        self._changed: anyio.Event | None = None

    def arm(self, deadline: float, callback: Callable[[float], None]) -> Alarm:
        """Call `callback(now)` once, at `deadline` or a moment later."""
        if deadline < self.earliest and self._changed is not None:
            self._changed.set()
        return super().arm(deadline, callback)

    async def run(self) -> None:
        """Keep the time until cancelled."""
        while True:
            now = anyio.current_time()
            while (callback := self.next_due(now)) is not None:
                callback(now)
            self._changed = anyio.Event()
            with anyio.CancelScope(deadline=max(self.earliest, now + GRAIN_S)):
                await self._changed.wait()
            self._changed = None

"""Virtual time: a heap of callbacks. Nothing else in the simulated world decides what happens next."""

import heapq
from collections.abc import Callable
from typing import Final

STUCK_EVENTS: Final = 20_000
"""Callbacks at one instant after which the world is taken to turn on the spot."""


class Stuck(AssertionError):
    """Raised when time no longer passes, because something is due again and again at once."""


class Clock:
    """Runs callbacks in the order of their times; equal times in the order they were asked for."""

    __slots__ = ("_heap", "_instant", "_order", "events", "now")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._instant = 0
        self.now = 0.0
        """Seconds since the world began."""
        self.events = 0
        """Callbacks run so far."""

    def at(self, time: float, callback: Callable[[], None]) -> None:
        """Call back at `time`, or now if that has passed."""
        self._order = order = self._order + 1
        now = self.now
        heapq.heappush(self._heap, (max(now, time), order, callback))

    def after(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call back in `delay_s` seconds."""
        self.at(self.now + delay_s, callback)

    def step(self) -> bool:
        """Run the next callback; false when there is none.

        Raises:
            Stuck: when time has stopped passing.
        """
        if not self._heap:
            return False
        time, _, callback = heapq.heappop(self._heap)
        self._instant = self._instant + 1 if time == self.now else 0
        if self._instant > STUCK_EVENTS:
            raise Stuck(f"time stands still at {time:.6f}: something is always due")
        self.now = time
        self.events += 1
        callback()
        return True

    def run(self, until: float) -> None:
        """Run everything up to and including `until`, and leave the clock there."""
        heap, step = self._heap, self.step
        while heap and heap[0][0] <= until:
            step()
        self.now = max(self.now, until)

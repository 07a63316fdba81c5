"""Virtual time: a heap of callbacks. Nothing else in the simulated world decides what happens next."""

import heapq
from collections.abc import Callable


class Clock:
    """Runs callbacks in the order of their times; equal times in the order they were asked for."""

    __slots__ = ("_heap", "_order", "events", "now")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self.now = 0.0
        """Seconds since the world began."""
        self.events = 0
        """Callbacks run so far."""

    def at(self, time: float, callback: Callable[[], None]) -> None:
        """Call back at `time`, or now if that has passed."""
        self._order += 1
        heapq.heappush(self._heap, (max(time, self.now), self._order, callback))

    def after(self, delay_s: float, callback: Callable[[], None]) -> None:
        """Call back in `delay_s` seconds."""
        self.at(self.now + delay_s, callback)

    def step(self) -> bool:
        """Run the next callback; false when there is none."""
        if not self._heap:
            return False
        self.now, _, callback = heapq.heappop(self._heap)
        self.events += 1
        callback()
        return True

    def run(self, until: float) -> None:
        """Run everything up to and including `until`, and leave the clock there."""
        while self._heap and self._heap[0][0] <= until:
            self.step()
        self.now = max(self.now, until)

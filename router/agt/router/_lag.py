"""How late the process's own event loop runs: the router's measure of whether it is starved itself.

A gateway that gets no processor answers late on every path, and whoever judges a path by its latency has to know. A
timer that comes due every `LAG_EVERY_S` beside the router's other work is late by as much as the loop was busy or the
process was not run; the worst of the last `LAG_KEPT_S` is what scrapes see. Nothing is done per message.
"""

from collections import deque

LAG_EVERY_S = 0.1
"""How often the timer comes due; a shorter hold-up than this may fall between two."""
LAG_KEPT_S = 2.0
"""How long a delay is remembered, so that somebody who looks once a second misses none."""


class LoopLag:
    """The worst recent delay of a timer."""

    def __init__(self) -> None:
        self.due: float | None = None
        """When the timer comes due, on the caller's clock; None before the first `tick`."""
        self._late: deque[tuple[float, float]] = deque()

    def tick(self, now: float) -> None:
        """Note how late the timer is if it is due, and set it anew."""
        if self.due is not None:
            if now < self.due:
                return
            self._late.append((now, now - self.due))
            self._forget(now)
        self.due = now + LAG_EVERY_S

    def worst_s(self, now: float) -> float:
        """Return the worst delay of the last `LAG_KEPT_S`, that of a timer overdue right now included."""
        self._forget(now)
        overdue_s = 0.0 if self.due is None else max(0.0, now - self.due)
        return max(overdue_s, *(late for _, late in self._late), 0.0)

    def _forget(self, now: float) -> None:
        while self._late and self._late[0][0] < now - LAG_KEPT_S:
            self._late.popleft()

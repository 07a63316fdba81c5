"""The last points of each charted series, one a check."""

from collections import deque
from typing import Final

from agt.supervisor.view import History

POINTS_MAX: Final = 120
"""Points kept for each series."""


class Charts:
    """Latency and rate of both runtimes over the last checks."""

    def __init__(self) -> None:
        self._series: dict[str, deque[float | None]] = {}

    def add(self, series: str, value: float | None) -> None:
        """Put a point at the end of a series; None where nothing was measured."""
        self._series.setdefault(series, deque(maxlen=POINTS_MAX)).append(value)

    def history(self) -> tuple[History, ...]:
        """Return every series, in the order in which they began."""
        return tuple(History(series=name, points=tuple(points)) for name, points in self._series.items())

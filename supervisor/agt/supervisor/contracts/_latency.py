"""The rolling latency window: p95 over ten minutes, three breaches in a row degrade, a fourth rolls back.

A window counts once: evaluations overlap no samples, so one bad minute can't breach four times. With too few samples a
window says nothing, and neither breaks a streak nor prolongs it.
"""

import enum
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SAMPLES_MAX: Final = 100_000
"""Samples that one window keeps; beyond, the newest are left out and counted."""


class WindowVerdict(enum.Enum):
    """How a window ended."""

    FEW = "too_few_samples"
    WITHIN = "within"
    BREACH = "breach"
    DEGRADED = "degraded"
    """The third breach in a row."""
    ROLL_BACK = "roll_back"
    """More breaches in a row than are borne."""


@dataclass(frozen=True, slots=True)
class LatencyLimits:
    """The contract's numbers."""

    limit_s: float
    window_s: float = 600.0
    samples: int = 200
    degraded_after: int = 3
    roll_back_after: int = 3
    """More than so many in a row roll back: at the next one."""


def p95(samples: Sequence[float]) -> float:
    """Return the sample at index ceil(0.95 n) - 1 of the sorted ones.

    Raises:
        ValueError: without samples.
    """
    if not samples:
        raise ValueError("no samples have no percentile")
    return sorted(samples)[math.ceil(0.95 * len(samples)) - 1]


class LatencyWindow:
    """Latencies of one path, window after window."""

    def __init__(self, limits: LatencyLimits, *, now: float) -> None:
        self._limits = limits
        self._started = now
        self._samples: deque[float] = deque()
        self.left_out = 0
        """Samples of this window that there was no room for."""
        self.breaches = 0
        """Breached windows in a row."""
        self.latest: float | None = None
        """The p95 of the newest window that had enough samples, in seconds."""

    def add(self, latency_s: float) -> None:
        """Take one latency."""
        if len(self._samples) >= SAMPLES_MAX:
            self.left_out += 1
        else:
            self._samples.append(latency_s)

    def evaluate(self, *, now: float) -> WindowVerdict | None:
        """End the window if it has run its length, and say how; None while it runs."""
        if now - self._started < self._limits.window_s:
            return None
        samples, self._samples = self._samples, deque()
        self._started, self.left_out = now, 0
        if len(samples) < self._limits.samples:
            return WindowVerdict.FEW
        self.latest = p95(samples)
        if self.latest <= self._limits.limit_s:
            self.breaches = 0
            return WindowVerdict.WITHIN
        self.breaches += 1
        if self.breaches > self._limits.roll_back_after:
            return WindowVerdict.ROLL_BACK
        return WindowVerdict.DEGRADED if self.breaches >= self._limits.degraded_after else WindowVerdict.BREACH

"""Counts by group of devices, as they come from a scraped page: how many ended, and how many of them badly.

Routers count what was slow for a few limits only; the one that fits the plan's is taken: the smallest that is not
below it, else the largest.
"""

from typing import Final

from agt.supervisor.measure._exposition import ExpositionError, Sample

GROUPS_MAX: Final = 256
"""Groups that are looked at; a router has 32."""
SLOW_DEFAULT_S: Final = 1.5
"""Where nothing else is said, slower than this is slow."""
GROUP_METRICS: Final = ("agt_group_ended_total", "agt_group_failed_total", "agt_group_slow_total")


class GroupCounts:
    """One runtime's counts by group, put together from samples in any order."""

    __slots__ = ("_ended", "_failed", "_slow", "_slow_s")

    def __init__(self, slow_s: float) -> None:
        self._slow_s = slow_s
        self._ended: dict[int, float] = {}
        self._failed: dict[int, float] = {}
        self._slow: dict[float, dict[int, float]] = {}

    def add(self, sample: Sample) -> None:
        """Take one sample.

        Raises:
            ExpositionError: when its labels are not what they should be.
        """
        try:
            group = int(sample.labels["group"])
            limit = float(sample.labels["seconds"]) if sample.name == "agt_group_slow_total" else 0.0
        except (KeyError, ValueError):
            raise ExpositionError(f"{sample.name} lacks the number of its group or limit") from None
        if not 0 <= group < GROUPS_MAX or limit != limit:  # noqa: PLR0124 - NaN is no limit.
            raise ExpositionError(f"{sample.name} names group {group}; there are at most {GROUPS_MAX}")
        if sample.name == "agt_group_slow_total":
            counts = self._slow.setdefault(limit, {})
        else:
            counts = self._ended if sample.name == "agt_group_ended_total" else self._failed
        counts[group] = counts.get(group, 0.0) + sample.value

    @property
    def ended(self) -> tuple[float, ...]:
        """Messages whose end is known, by group."""
        return tuple(self._ended.get(group, 0.0) for group in range(self._count))

    @property
    def bad(self) -> tuple[float, ...]:
        """Of these, those that failed or were slow."""
        slow = self._slow.get(self._limit(), {})
        return tuple(self._failed.get(group, 0.0) + slow.get(group, 0.0) for group in range(self._count))

    @property
    def _count(self) -> int:
        return 1 + max(self._ended, default=-1)

    def _limit(self) -> float:
        fitting = [limit for limit in self._slow if limit >= self._slow_s]
        return min(fitting) if fitting else max(self._slow, default=0.0)

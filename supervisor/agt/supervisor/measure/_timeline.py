"""Windows: what was counted between then and now, across restarts of routers and of the supervisor.

Each router's samples are turned into increases (a counter that fell was started again from zero), the increases of
all routers are added up, and a window is the difference of two such totals. The first sample ever seen of a
router is a starting point: what it counted before we looked belongs to no window.
"""

import bisect
import math
from typing import Final

import msgspec

from agt.supervisor.measure._sample import RouterSample, RuntimeCounters, RuntimeGauges, ShadowCounters
from agt.supervisor.measure._totals import Totals, grown, increase, shadow_increase

MAX_POINTS: Final = 4096
"""Totals kept in memory; when there are more, every second one of the older half goes."""


class Timeline:
    """The totals over time, and each router's latest sample."""

    def __init__(self) -> None:
        self._latest: dict[str, RouterSample] = {}
        self._points: list[Totals] = []

    def __deepcopy__(self, memo: dict[int, object]) -> "Timeline":
        """Return one that goes on by itself; what has been seen is frozen, so both may hold it."""
        one = Timeline()
        one._latest, one._points = dict(self._latest), list(self._points)
        return one

    def add(self, socket: str, sample: RouterSample) -> None:
        """Take a router's newer sample; an older one than it has is ignored (a clock that was set back)."""
        old = self._latest.get(socket)
        if old is not None and sample.at < old.at:
            return
        self._latest[socket] = sample
        last = self._points[-1] if self._points else Totals(at=sample.at)
        point = grown(last, old, sample) if old is not None else _at(last, sample.at)
        if point.at < last.at:  # Routers that somebody else scraped are not all of one age.
            point = _at(point, last.at)
        if self._points and self._points[-1].at == point.at:
            self._points[-1] = point
        else:
            self._points.append(point)
        if len(self._points) > MAX_POINTS:
            half = MAX_POINTS // 2
            self._points = self._points[:half:2] + self._points[half:]

    def move(self, seconds: float) -> None:
        """Move all that was seen by so many seconds: the clock that it was seen by has been set."""
        if not seconds:
            return
        replace = msgspec.structs.replace
        self._latest = {socket: replace(sample, at=sample.at + seconds) for socket, sample in self._latest.items()}
        self._points = [replace(point, at=point.at + seconds) for point in self._points]

    def not_ahead(self, now: float) -> None:
        """Move all that was seen to before `now`: the clock was set back while nobody looked."""
        newest = max((sample.at for sample in self._latest.values()), default=now)
        self.move(min(0.0, now - newest))

    def forget(self, socket: str) -> None:
        """Drop a router's gauges while it doesn't answer; its counters go on from where they were."""
        old = self._latest.get(socket)
        if old is not None and old.gauges:
            self._latest[socket] = RouterSample(
                router=old.router,
                at=old.at,
                counters=old.counters,
                shadow=old.shadow,
            )

    @property
    def answering(self) -> bool:
        """Whether some router's gauges are known now."""
        return any(sample.gauges for sample in self._latest.values())

    def gauges(self, runtime: str) -> RuntimeGauges:
        """Return the runtime's gauges, added over the routers' latest samples."""
        found = [sample.gauges[runtime] for sample in self._latest.values() if runtime in sample.gauges]
        limits = sorted({limit for gauges in found for limit in gauges.older_than})
        return RuntimeGauges(
            devices=math.fsum(gauges.devices for gauges in found),
            in_flight=math.fsum(gauges.in_flight for gauges in found),
            older_than={limit: math.fsum(gauges.older_than.get(limit, 0.0) for gauges in found) for limit in limits},
        )

    def window(self, *, start: float, end: float = math.inf) -> "Window | None":
        """Return what was counted from `start` to `end`, or None when fewer than two samples lie there."""
        first = bisect.bisect_left(self._points, start, key=lambda point: point.at)
        last = bisect.bisect_right(self._points, end, key=lambda point: point.at) - 1
        if last <= first:
            return None
        return Window(self._points[first], self._points[last])

    def recent(self) -> "Window | None":
        """Return the window between the two newest totals: the last check."""
        return Window(self._points[-2], self._points[-1]) if len(self._points) > 1 else None


class Window:
    """The difference of two totals."""

    def __init__(self, first: Totals, last: Totals) -> None:
        assert first.at <= last.at, "a window ends after it begins"
        self._first, self._last = first, last

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self._last.at - self._first.at

    @property
    def shadow(self) -> ShadowCounters:
        """Mirrored messages in it."""
        return shadow_increase(self._first.shadow, self._last.shadow)

    def of(self, runtime: str) -> RuntimeCounters:
        """Return the runtime's counts in it."""
        return increase(self._first.of(runtime), self._last.of(runtime))


def _at(totals: Totals, at: float) -> Totals:
    return Totals(at=at, counters=totals.counters, shadow=totals.shadow)

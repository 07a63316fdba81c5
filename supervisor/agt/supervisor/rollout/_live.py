"""What people watch: both runtimes' figures and their charts, looked at more often than rules are checked.

A plan at its real speed checks once a minute, which is right for rules and useless for eyes. So the figures have a
timeline of their own, and nothing here is ever judged.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio

from agt.supervisor.measure import Readings, RouterSeen, Timeline, scrape_all
from agt.supervisor.rollout._charts import Charts
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._views import add_points, runtime_views
from agt.supervisor.view import History, RuntimeView

LOOK_S: Final = 2.0
"""The longest pause between two looks."""
SPAN_LOOKS: Final = 10
"""How many looks back the figures go, so that they move without jumping."""
SPAN_MIN_S: Final = 2.0


class Live:
    """The figures of the last moments."""

    def __init__(self, plan: Plan, sockets: dict[str, Path], clock: Callable[[], float]) -> None:
        self._plan, self._sockets, self._clock = plan, sockets, clock
        self._timeline, self._charts = Timeline(), Charts()
        self.look_s = min(LOOK_S, plan.check_interval_s)
        """Seconds between two looks."""
        self.runtimes: tuple[RuntimeView, ...] = self._views((), clock())
        """Both runtimes as they were at the last look."""

    @property
    def history(self) -> tuple[History, ...]:
        """The charts' points, one a look."""
        return self._charts.history()

    async def run(self, on_look: Callable[[], None]) -> None:
        """Look until cancelled, where checks are too far apart; at once when they are not."""
        while self.look_s < self._plan.check_interval_s:
            began = anyio.current_time()
            routers = await scrape_all(self._sockets, at=self._clock(), timeout_s=self.look_s / 2)
            self.take(routers, self._clock())
            on_look()
            await anyio.sleep(max(0.0, self.look_s - (anyio.current_time() - began)))

    def checked(self, routers: tuple[RouterSeen, ...], now: float) -> None:
        """Use what a check has seen, where checks come as often as looks would."""
        if self.look_s >= self._plan.check_interval_s:
            self.take(routers, now)

    def take(self, routers: tuple[RouterSeen, ...], now: float) -> None:
        """Take in what the routers answered."""
        for router in routers:
            if router.sample is not None:
                self._timeline.add(router.socket, router.sample)
            else:
                self._timeline.forget(router.socket)
        self.runtimes = self._views(routers, now)
        add_points(self._charts, self.runtimes)

    def _views(self, routers: tuple[RouterSeen, ...], now: float) -> tuple[RuntimeView, ...]:
        readings = Readings(
            timeline=self._timeline,
            now=now,
            control=self._plan.control,
            latency_limit_s=self._plan.latency_limit_s,
            control_observed=self._plan.file.legacy_observed,
        )
        return runtime_views(self._plan, routers, readings, start=now - max(SPAN_MIN_S, SPAN_LOOKS * self.look_s))

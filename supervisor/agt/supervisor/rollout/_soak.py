"""Soak: how long a route has been carried, by the routers' own clocks.

Each router instance says how many seconds it carried each generation. A restarted router is a new instance that
begins at zero, so the instances behind one socket add up; several sockets are carried side by side, so the
slowest one counts. Nothing here looks at a clock: a supervisor that was away lost nothing, and a clock that
jumped gave nothing.
"""

from collections.abc import Iterable

from agt.supervisor.measure import RouterSeen
from agt.supervisor.records import Carried


class Soak:
    """What every router instance carried of the generations that still matter."""

    def __init__(self, known: Iterable[Carried] = ()) -> None:
        self._seconds: dict[tuple[str, str, int], float] = {}
        for one in known:
            self._grow(one)

    def observe(self, seen: Iterable[RouterSeen], *, generation: int) -> list[Carried]:
        """Take what routers say about a generation; return it as rows to be kept."""
        rows = [
            Carried(
                socket=router.socket,
                router=router.status.router,
                generation=generation,
                seconds=router.status.carried(generation),
            )
            for router in seen
            if router.status is not None
        ]
        for row in rows:
            self._grow(row)
        self._seconds = {key: value for key, value in self._seconds.items() if key[2] >= generation}
        return rows

    def carried_s(self, generation: int, sockets: Iterable[str]) -> float:
        """Return the seconds for which all of these sockets have carried the generation."""
        sums = dict.fromkeys(sockets, 0.0)
        for (socket, _, number), seconds in self._seconds.items():
            if number == generation and socket in sums:
                sums[socket] += seconds
        return min(sums.values(), default=0.0)

    def _grow(self, one: Carried) -> None:
        key = (one.socket, one.router, one.generation)
        self._seconds[key] = max(self._seconds.get(key, 0.0), one.seconds)

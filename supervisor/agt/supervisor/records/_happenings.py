"""Happenings: when what is counted over windows has happened, such as restarts and hold-downs.

Gates ask for none of them in the last days, and a supervisor that was started anew has to know those days too. So they
are rows of their own; as with alerts the memory goes first, and rows follow when the disk takes them. What a daemon
counts by itself is kept as the last count that was seen, so that what it counted while nobody looked isn't lost.
"""

import sqlite3
from bisect import insort
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from agt.supervisor.records._store import Store, StoreUnavailable

KEPT_S: Final = 30 * 86_400.0
"""Happenings are remembered for so long."""
HAPPENINGS_MAX: Final = 10_000
"""Of one kind; the oldest go first."""
AT_ONCE_MAX: Final = 1000
"""A count that jumps by more counts as so many: a gate asks for none or a few."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS happenings (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS happenings_at ON happenings (at);
CREATE TABLE IF NOT EXISTS counted (
    source TEXT NOT NULL, kind TEXT NOT NULL, instance TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (source, kind)) STRICT;
"""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """The last count that somebody said of itself."""

    count: int
    instance: str = ""
    """Which process said it; another one began at zero."""


class Happenings:
    """What has happened in the last days, by kind."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._times: dict[str, list[float]] = {}
        self._counted: dict[tuple[str, str], Counted] = {}
        self._unwritten: deque[tuple[float, str, str]] = deque(maxlen=HAPPENINGS_MAX)
        self._uncounted: set[tuple[str, str]] = set()

    @classmethod
    async def load(cls, store: Store) -> "Happenings":
        """Read what a store holds.

        Raises:
            StoreUnavailable: when it can't be read.
        """
        found = cls(store)

        def job(connection: sqlite3.Connection) -> None:
            newest = connection.execute(
                "SELECT at, kind FROM happenings WHERE at >= (SELECT max(at) FROM happenings) - ? ORDER BY at",
                (KEPT_S,),
            )
            for at, kind in newest:
                found._remember(kind, at)
            for source, kind, instance, count in connection.execute("SELECT * FROM counted"):
                found._counted[source, kind] = Counted(count=count, instance=instance)

        await store.run(job)
        return found

    def times(self, kind: str) -> Sequence[float]:
        """Return when it happened, oldest first, in seconds since the epoch."""
        return self._times.get(kind, ())

    def note(self, kind: str, *, at: float, source: str, times: int = 1) -> None:
        """Remember that something has happened now, once or several times."""
        for _ in range(min(times, AT_ONCE_MAX)):
            self._remember(kind, at)
            self._unwritten.append((at, kind, source))

    def count(self, counts: Mapping[str, int], *, at: float, source: str, instance: str = "") -> None:
        """Take the counts that somebody keeps of itself; what they grew by since the last time has happened now.

        The first counts ever are a starting point. A count that fell, or another instance, began again at zero.
        """
        for kind, count in counts.items():
            old, key = self._counted.get((source, kind)), (source, kind)
            if old is not None:
                anew = count < old.count or instance != old.instance
                self.note(kind, at=at, source=source, times=count if anew else count - old.count)
            if old != (now := Counted(count=count, instance=instance)):
                self._counted[key] = now
                self._uncounted.add(key)

    async def flush(self) -> bool:
        """Write what waits; False when the store refuses, then it is kept for the next time."""
        rows, keys = tuple(self._unwritten), tuple(self._uncounted)
        if not rows and not keys:
            return True
        counted = [(*key, self._counted[key].instance, self._counted[key].count) for key in keys]

        def job(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT INTO happenings (at, kind, source) VALUES (?, ?, ?)", rows)
            connection.executemany("INSERT OR REPLACE INTO counted VALUES (?, ?, ?, ?)", counted)
            connection.execute("DELETE FROM happenings WHERE at < (SELECT max(at) FROM happenings) - ?", (KEPT_S,))

        try:
            await self._store.run(job)
        except StoreUnavailable:
            return False
        for _ in rows:
            self._unwritten.popleft()
        self._uncounted.difference_update(keys)
        return True

    def _remember(self, kind: str, at: float) -> None:
        times = self._times.setdefault(kind, [])
        insort(times, at)  # A clock that was set back must not put them out of order.
        old = len(times) - HAPPENINGS_MAX
        while times and (old > 0 or times[0] < times[-1] - KEPT_S):
            del times[0]
            old -= 1

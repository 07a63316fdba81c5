"""The journal: every decision with the numbers it was made on, numbered without gaps.

The newest entry holds the whole state of the rollout, so that a supervisor that was killed goes on exactly where the
last durable decision left it. Samples of the routers are kept beside it, so that windows go on too, and what each
router instance carried, so that soak is neither lost nor counted twice.
"""

import sqlite3
from typing import Final

import msgspec

from agt.supervisor.measure import RouterSample
from agt.supervisor.records._store import Store

SAMPLES_MAX: Final = 20_000
"""Samples kept; the oldest go first."""
HOURS_MAX: Final = 30_000
"""Last samples of an hour that are kept: 16 routers for 78 days. The oldest go first."""
ENTRIES_SHOWN_MAX: Final = 500
_HOUR_S: Final = 3600

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS journal (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, says TEXT NOT NULL,
    numbers BLOB NOT NULL, state BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS carried (
    socket TEXT NOT NULL, router TEXT NOT NULL, generation INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (socket, router, generation)) STRICT;
CREATE TABLE IF NOT EXISTS progress (
    id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL, state BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS samples (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, socket TEXT NOT NULL, sample BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS hours (
    hour INTEGER NOT NULL, socket TEXT NOT NULL, router TEXT NOT NULL, at REAL NOT NULL, sample BLOB NOT NULL,
    PRIMARY KEY (hour, socket, router)) STRICT;
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One decision."""

    number: int = 0
    """Given by the journal when it is durable; grows by one."""
    at: float
    """Seconds since the epoch."""
    kind: str
    """What was decided: `advanced`, `rolled-back`."""
    says: str
    """The decision and its reason, for people."""
    numbers: bytes
    """JSON of the verdicts and readings that it was made on."""
    state: bytes
    """The state after it, as the engine encodes it."""


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that one router instance carried one generation."""

    socket: str
    router: str
    generation: int
    seconds: float


class Journal:
    """Decisions, soak and samples in one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, *entries: Entry) -> int:
        """Make decisions durable, all or none, and return the number of the last one.

        Raises:
            StoreUnavailable: if that is impossible now; then none is there.
        """
        rows = [(e.at, e.kind, e.says, e.numbers, e.state) for e in entries]

        def job(connection: sqlite3.Connection) -> int:
            connection.executemany(
                "INSERT INTO journal SELECT coalesce(max(number), 0) + 1, ?, ?, ?, ?, ? FROM journal", rows
            )
            number: int = connection.execute("SELECT coalesce(max(number), 0) FROM journal").fetchone()[0]
            return number

        return await self._store.run(job)

    async def newest(self) -> Entry | None:
        """Return the last decision, None in an empty journal."""
        found = await self.entries(limit=1)
        return found[0] if found else None

    async def entries(self, *, limit: int = ENTRIES_SHOWN_MAX) -> list[Entry]:
        """Return the last decisions, newest first."""
        bound = min(limit, ENTRIES_SHOWN_MAX)

        def job(connection: sqlite3.Connection) -> list[Entry]:
            rows = connection.execute(
                "SELECT number, at, kind, says, numbers, state FROM journal ORDER BY number DESC LIMIT ?", (bound,)
            )
            return [
                Entry(number=row[0], at=row[1], kind=row[2], says=row[3], numbers=row[4], state=row[5]) for row in rows
            ]

        return await self._store.run(job)

    async def observe(
        self,
        samples: dict[str, RouterSample],
        carried: list[Carried],
        *,
        progress: tuple[int, bytes],
        keep_since: float,
    ) -> None:
        """Keep what one check saw; samples older than `keep_since` or beyond `SAMPLES_MAX` are pruned.

        The last sample of each hour and router instance is kept for much longer (`HOURS_MAX`): counters are
        cumulative, so that is all that a window of days needs. Carried seconds only grow: a smaller number for the
        same instance and generation changes nothing. `progress` is the state between two decisions with the number of
        the decision that it follows; only the newest is kept.
        """
        rows = [(sample.at, socket, msgspec.msgpack.encode(sample)) for socket, sample in samples.items()]
        hours = [
            (int(sample.at // _HOUR_S), socket, sample.router, at, body)
            for (at, socket, body), sample in zip(rows, samples.values(), strict=True)
        ]
        soak = [(one.socket, one.router, one.generation, one.seconds) for one in carried]

        def job(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT INTO samples (at, socket, sample) VALUES (?, ?, ?)", rows)
            connection.executemany(
                "INSERT INTO carried VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET seconds = max(seconds, excluded.seconds)",
                soak,
            )
            connection.execute("INSERT OR REPLACE INTO progress VALUES (1, ?, ?)", progress)
            connection.executemany("INSERT OR REPLACE INTO hours VALUES (?, ?, ?, ?, ?)", hours)
            connection.execute(
                "DELETE FROM hours WHERE hour < (SELECT hour FROM hours ORDER BY hour DESC LIMIT 1 OFFSET ?)",
                (HOURS_MAX,),
            )
            connection.execute(
                "DELETE FROM samples WHERE at < ? OR id <= (SELECT max(id) FROM samples) - ?", (keep_since, SAMPLES_MAX)
            )

        await self._store.run(job)

    async def progress(self) -> tuple[int, bytes] | None:
        """Return the newest state between two decisions, with the number of the decision that it follows."""

        def job(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
            found: tuple[int, bytes] | None = connection.execute("SELECT number, state FROM progress").fetchone()
            return found

        return await self._store.run(job)

    async def samples(self) -> list[tuple[str, RouterSample]]:
        """Return the kept samples with their sockets, oldest first; one that can't be read any more is left out.

        Before the first of them come the last ones of each hour, so that long windows survive a restart.
        """
        return await self._store.run(kept_samples)

    async def carried(self, generation: int) -> list[Carried]:
        """Return what each router instance carried of a generation."""

        def job(connection: sqlite3.Connection) -> list[Carried]:
            rows = connection.execute(
                "SELECT * FROM carried WHERE generation = ? ORDER BY socket, router", (generation,)
            )
            return [Carried(socket=row[0], router=row[1], generation=row[2], seconds=row[3]) for row in rows]

        return await self._store.run(job)


def kept_samples(connection: sqlite3.Connection, *, since: float = 0.0) -> list[tuple[str, RouterSample]]:
    """Read the samples of an open database, oldest first, hours before the first sample included."""
    rows = connection.execute(
        "SELECT socket, sample FROM (SELECT at, 0 AS id, socket, sample FROM hours"
        " WHERE at < coalesce((SELECT min(at) FROM samples), 9e99)"
        " UNION ALL SELECT at, id, socket, sample FROM samples) WHERE at >= ? ORDER BY at, id",
        (since,),
    )
    return [(socket, sample) for socket, body in rows if (sample := _decoded(body)) is not None]


def _decoded(body: bytes) -> RouterSample | None:
    try:
        return msgspec.msgpack.decode(body, type=RouterSample)
    except msgspec.DecodeError:
        return None  # Written by another version; the window starts later, and says so.

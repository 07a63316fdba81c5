"""The daemon's side: applies deliveries behind its cursors, keeps the projection, and checkpoints both together.

An event counts when its number is the next of its source: what was applied is passed over, what comes behind a gap is
refused with the place to go on from. An ack says that the event has taken effect here; what a kill takes back of that
(at most a checkpoint's worth) is delivered again, because the next daemon asks from its checkpoint on.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec

from agt.chaos.demo.events._checkpoint import Checkpoint, Tally, read_checkpoint, write_checkpoint
from agt.chaos.demo.events._log import Event, Row
from agt.chaos.demo.events._times import EventTimes
from agt.supervisor.contracts import (
    Cursor,
    CursorLimits,
    LatencyLimits,
    LatencyWindow,
    Position,
    Projection,
    ProjectionConflict,
    Recovery,
)

LOOK_S: Final = 0.5
"""How often a checkpoint may be due by time, and a latency window may end."""
RETRY_S: Final = 1.0
"""Between two tries to write a checkpoint that the disk refuses."""
SOURCES_MAX: Final = 1024
log = logging.getLogger("agt.demo.events")


class Keeper:
    """Cursors and projection of one daemon."""

    def __init__(
        self,
        path: Path,
        times: EventTimes,
        *,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Go on from the checkpoint.

        Raises:
            ValueError: when it is damaged.
        """
        self._path, self._now, self._wall = path, now, wall
        self._limits = CursorLimits(checkpoint_s=times.checkpoint_s)
        self._latency = LatencyWindow(
            LatencyLimits(limit_s=times.limit_s, window_s=times.window_s, samples=round(times.window_samples)),
            now=now(),
        )
        found = read_checkpoint(path)
        self._tally = found.tally if found else Tally()
        self.projection = Projection()
        self._cursors: dict[str, Cursor] = {}
        if found is not None:
            self.projection = Projection.restored(
                found.rows, state_version=found.state_version, conflicts=found.tally.conflicts
            )
            self._cursors = {name: self._cursor(Position(*place)) for name, place in found.cursors.items()}
        self._told: dict[str, dict[str, Any]] = {}
        self._saving = anyio.Lock()
        self._not_before = now()
        self._answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "cursors": lambda _: {"cursors": {name: one.position.committed for name, one in self._cursors.items()}},
            "deliver": self._deliver,
            "invalid": self._invalid,
            "resync": self._resync,
            "sources": self._sources,
            "put": self._put,
            "events": self._rows,
        }

    @property
    def operations(self) -> tuple[str, ...]:
        """What can be asked."""
        return tuple(self._answers)

    async def run(self) -> None:
        """Checkpoint when it is due by time, and judge latency windows, until cancelled; then once more."""
        try:
            while True:
                await anyio.sleep(LOOK_S)
                self._latency.evaluate(now=self._now())
                await self._save_when_due()
        finally:
            with anyio.CancelScope(shield=True):
                await self.save()

    async def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer a gateway or whoever looks.

        Raises:
            ValueError: for a question that makes no sense.
        """
        try:
            answer = self._answers[str(question.get("op"))](question)
        except (KeyError, TypeError, msgspec.ValidationError) as error:
            raise ValueError(f"that is no {question.get('op')!r}: {error}") from error
        if question.get("op") == "resync":
            await self.save()  # Or a restart would begin with the cursor that was refused.
        await self._save_when_due()
        return answer

    async def save(self) -> bool:
        """Make cursors and projection durable now; False when the disk refuses, then it is tried again."""
        async with self._saving:
            positions = {name: cursor.position for name, cursor in self._cursors.items()}
            self._tally.conflicts = self.projection.conflicts
            checkpoint = Checkpoint(
                state_version=self.projection.state_version,
                cursors={name: (place.fetched, place.committed) for name, place in positions.items()},
                rows=self.projection.kept(),
                tally=msgspec.structs.replace(self._tally),
            )
            try:
                await anyio.to_thread.run_sync(write_checkpoint, self._path, checkpoint)
            except OSError as error:
                log.warning("no checkpoint: %s", error.strerror)
                self._not_before = self._now() + RETRY_S
                return False
            for name, place in positions.items():
                self._cursors[name].checkpointed(place, now=self._now())
        return True

    def status(self) -> dict[str, Any]:
        """Return the facts that signals and gates read."""
        told = self._told.values()
        places = {name: self._cursors[name].position for name in sorted(self._cursors)}
        counts: dict[str, int] = {}
        for one in told:
            for name, count in one["counts"].items():
                counts[name] = counts.get(name, 0) + int(count)
        return {
            "state_version": self.projection.state_version,
            "rows": len(self.projection),
            "conflicts": self.projection.conflicts,
            "invalid_cursors": self._tally.invalid_cursors,
            "invalid_cursor_streak": max((one.invalid_streak for one in self._cursors.values()), default=0),
            "full_resyncs": self._tally.full_resyncs,
            "applied": self._tally.applied,
            "repeated": self._tally.repeated,
            "sources": {name: state for one in told for name, state in one["states"].items()},
            "fetched": {name: place.fetched for name, place in places.items()},
            "committed": {name: place.committed for name, place in places.items()},
            "p95_ms": None if self._latency.latest is None else round(self._latency.latest * 1000, 3),
            "p95_breaches": self._latency.breaches,
            "waiting": sum(int(one["waiting"]) for one in told),
            "degraded": sorted({name for one in told for name in one["degraded"]}),
            "deliveries": counts,
        }

    async def _save_when_due(self) -> None:
        now = self._now()
        if self._saving.locked() or now < self._not_before:
            return
        if any(one.checkpoint_due(now=now) for one in self._cursors.values()):
            await self.save()

    def _cursor(self, position: Position | None = None) -> Cursor:
        return Cursor(position, now=self._now(), limits=self._limits)

    def _of(self, question: dict[str, Any]) -> tuple[str, Cursor]:
        source = str(question["source"])
        if source not in self._cursors:
            if len(self._cursors) >= SOURCES_MAX:
                raise ValueError(f"there are {SOURCES_MAX} sources already")
            self._cursors[source] = self._cursor()
        return source, self._cursors[source]

    def _deliver(self, question: dict[str, Any]) -> dict[str, Any]:
        events = msgspec.convert(question["events"], list[Event])
        source, cursor = self._of(question)
        committed = cursor.position.committed
        if events and events[0].n > committed + 1:
            return {"gap": source, "after": committed}
        fresh = [event for event in events if event.n > committed]
        self._tally.repeated += len(events) - len(fresh)
        if fresh:
            cursor.fetch(max(fresh[-1].n, cursor.position.fetched))
            for event in fresh:
                self._apply(source, event)
            cursor.commit(fresh[-1].n)
            self._tally.applied += len(fresh)
        return {"ack": str(question["token"]), "committed": cursor.position.committed}

    def _apply(self, source: str, event: Event) -> None:
        key = f"{source}/{event.device}"
        before = self.projection.get(key)
        value = {"value": event.value, "number": event.number, "events": 1 + (before["events"] if before else 0)}
        self._write(key, value)
        self._latency.add(max(0.0, self._wall() - event.t))

    def _write(self, key: str, value: Any) -> None:
        self.projection.put(key, value, expected=self.projection.version(key))

    def _invalid(self, question: dict[str, Any]) -> dict[str, Any]:
        source, cursor = self._of(question)
        self._tally.invalid_cursors += 1
        resync = cursor.invalid(now=self._now()) is Recovery.FULL_RESYNC
        log.warning("%s refused its cursor: %s", source, "everything is read again" if resync else "tried again")
        return {"source": source, "after": cursor.position.committed, "resync": resync}

    def _resync(self, question: dict[str, Any]) -> dict[str, Any]:
        """Take everything that a source knows in place of what was known of it."""
        rows, through = msgspec.convert(question["rows"], list[Row]), int(question["through"])
        source, cursor = self._of(question)
        fresh = {f"{source}/{row.device}": row for row in rows}
        for key in [key for key in self.projection.kept() if key.startswith(f"{source}/") and key not in fresh]:
            self.projection.remove(key, expected=self.projection.version(key))
        for key, row in fresh.items():
            value = {"value": row.value, "number": row.number, "events": row.events}
            if self.projection.get(key) != value:
                self._write(key, value)
        cursor.resynced(through, now=self._now())
        self._tally.full_resyncs += 1
        return {"source": source, "after": through}

    def _sources(self, question: dict[str, Any]) -> dict[str, Any]:
        keys = ("states", "waiting", "degraded", "counts")
        self._told[str(question["gateway"])] = {key: question[key] for key in keys}
        return {}

    def _put(self, question: dict[str, Any]) -> dict[str, Any]:
        """Change one row if it has the version that the writer believes: how another writer would have to."""
        key = str(question["key"])
        try:
            version = self.projection.put(key, question["value"], expected=int(question["expected"]))
        except ProjectionConflict as conflict:
            return {"conflict": str(conflict), "found": conflict.found}
        return {"version": version}

    def _rows(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"state_version": self.projection.state_version, "rows": self.projection.rows()}

"""When snapshots are taken, and what is in them: records, selector, and the projection that the plan names.

Periodically, at shutdown, by hand, before each phase and after each way back. Going forward waits for its snapshot, and
is refused without one; going back waits for nothing. The disk is worked on in a thread.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.rollout._asking import NotAnswered, ask_document
from agt.supervisor.rollout._durations import format_duration, parse_duration
from agt.supervisor.rollout._inspector import Scene
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Check
from agt.supervisor.rollout._verdict import Judgement, Verdict
from agt.supervisor.snapshots import (
    RestoreCheck,
    SnapshotFolder,
    SnapshotMeta,
    SnapshotRefused,
    Trigger,
)
from agt.supervisor.snapshots.databases import back_up_database

EVERY_FLOOR_S: Final = 10.0
"""No snapshot is taken more often by itself, however hard a plan is squeezed."""
SHUTDOWN_S: Final = 5.0
RECORDS: Final = "records.sqlite"
SELECTOR: Final = "selector.toml"
PROJECTION: Final = "projection.json"
_TABLES: Final = ("journal", "alerts", "audit", "incidents")


class Snapshots:
    """The snapshots of one run directory."""

    def __init__(self, plan: Plan, run: Path, *, clock: Callable[[], float]) -> None:
        self._plan, self._run, self._clock = plan, run, clock
        self.settings = plan.file.snapshots
        self.folder = SnapshotFolder(run / "snapshots", kept=self.settings.kept)
        """Where they are."""
        self._taking = anyio.Lock()

    async def take_at_shutdown(self) -> None:
        """Take the last one; whatever is in its way, the end is not held up for long."""
        with anyio.move_on_after(SHUTDOWN_S, shield=True):
            with contextlib.suppress(SupervisorError):
                await self.take("shutdown")

    async def take(self, trigger: Trigger, says: str = "", *, keep: bool = False) -> SnapshotMeta:
        """Take a snapshot; it is durable when this returns.

        Raises:
            SnapshotRefused: when the disk or the projection refuses; nothing is left behind.
        """
        async with self._taking:  # Two at the same instant would have the same id.
            document = await self._projection()
            return await anyio.to_thread.run_sync(partial(self._take, trigger, says, document, keep=keep))

    async def metas(self) -> list[SnapshotMeta]:
        """Return those that are there, newest first."""
        return await anyio.to_thread.run_sync(self.folder.metas)

    async def dry_run(self, name: str) -> RestoreCheck:
        """Say whether a restore of a snapshot would be right now.

        Raises:
            SnapshotRefused: when there is none of that name, or its description can't be read.
        """
        document = await self._projection()
        version = self._facts(document)[0]
        limit_s = parse_duration(self.settings.max_age)
        check = partial(self.folder.check, name, current_version=version, now=self._clock(), max_age_s=limit_s)
        return await anyio.to_thread.run_sync(check)

    async def look(self, check: Check, scene: Scene) -> Judgement:
        """Have a fresh snapshot, and dry-run it: the check that gates ask for."""
        limit_s = parse_duration(check.snapshot)
        newest = await anyio.to_thread.run_sync(self.folder.newest)
        if newest is None or scene.now - newest.at > limit_s:
            newest = await self.take("manual", f"for the check {check.name}")
        found = await self.dry_run(newest.id)
        if not found.ok:
            return Judgement(Verdict.FAILED, f"{found.id}: {found.verdict.value}, {found.says}")
        return Judgement(Verdict.PASSED, f"{found.id}: Ok, {format_duration(found.age_ms / 1000)} old", samples=1)

    def _take(self, trigger: Trigger, says: str, document: Any, *, keep: bool) -> SnapshotMeta:
        version, counts = self._facts(document)
        parts: dict[str, Callable[[Path], None]] = {RECORDS: back_up_database(self._run / RECORDS)}
        selector = self._run / SELECTOR
        if selector.exists():
            parts[SELECTOR] = partial(_copy, selector)
        if document is not None:
            body = msgspec.json.encode(document)
            parts[PROJECTION] = partial(_write, body)
        return self.folder.take(
            parts,
            at=self._clock(),
            trigger=trigger,
            projection_version=version,
            counts=counts,
            says=says,
            keep=keep,
        )

    async def _projection(self) -> Any:
        """Ask for the projection that the plan names; None when it names none."""
        if not self.settings.projection:
            return None
        try:
            return await ask_document(self.settings.projection, self._run)
        except NotAnswered as error:
            raise SnapshotRefused(f"the projection gives no answer: {error}") from error

    def _facts(self, document: Any) -> tuple[int, dict[str, int]]:
        """Return the version and the counts of the projection, or of the records where there is none."""
        if document is None:
            counts = count_rows(self._run / RECORDS)
            return counts["journal"], counts
        rows = document if isinstance(document, dict) else {"rows": document}
        version = next((rows[name] for name in ("state_version", "version") if isinstance(rows.get(name), int)), 0)
        return version, {name: len(value) for name, value in rows.items() if isinstance(value, list)}


def _write(body: bytes, target: Path) -> None:
    target.write_bytes(body)


def _copy(source: Path, target: Path) -> None:
    target.write_bytes(source.read_bytes())


def count_rows(path: Path) -> dict[str, int]:
    """Return how many rows of each kind the records have.

    Raises:
        SnapshotRefused: when they can't be read.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in _TABLES}  # noqa: S608 - our own names.
    except sqlite3.Error as error:
        raise SnapshotRefused(f"the records can't be read: {error}") from error

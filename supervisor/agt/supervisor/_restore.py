"""Restoring a snapshot over a run directory that nobody works in: judged first, what was there kept aside.

It needs the supervisor's lock and every component stopped: routers that live on would go on counting soak for
generations that the restored records give out again. A kill that stands is not undone: the selector stays out of the
way, whatever the snapshot says.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor._rundir import RunDirectory
from agt.supervisor.components._files import ComponentFiles
from agt.supervisor.records import SCHEMA, Audit, AuditRow, Store, verify_at
from agt.supervisor.snapshots import (
    RestoreCheck,
    RestoreNote,
    RestoreVerdict,
    SnapshotFolder,
    SnapshotMeta,
    SnapshotRefused,
    judge_restore,
    write_note,
)

RECORDS: Final = "records.sqlite"
SELECTOR: Final = "selector.toml"
_COUNTED: Final = ("journal", "alerts", "audit", "incidents")


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did."""

    check: RestoreCheck
    """The dry run that came first."""
    parts: tuple[str, ...]
    """What was put back."""
    aside: tuple[str, ...]
    """Where what was there is kept."""
    left: str = ""
    """What was not put back, and why."""
    head: str = ""
    """The end of the restored audit, with the restore in it."""


class RestoreNotRight(SupervisorError):
    """Raised when the dry run says that a restore would not be right; nothing was changed."""

    def __init__(self, check: RestoreCheck) -> None:
        hints = {
            RestoreVerdict.TOO_OLD: "allow its age with --older-than, or --force",
            RestoreVerdict.VERSION_AHEAD: "it is not of this run's past",
            RestoreVerdict.CORRUPT: "choose another one: agt snapshot list",
            RestoreVerdict.OK: "",
        }
        super().__init__(f"{check.id}: {check.verdict.value}, {check.says}", hints[check.verdict])
        self.check = check


async def restore_snapshot(
    run: RunDirectory, name: str, *, by: str, max_age_s: float, clock: Callable[[], float], reason: str = ""
) -> Restored:
    """Judge a snapshot and put it back.

    Args:
        run: The run directory; its supervisor and components are down.
        name: The snapshot.
        by: Who asks.
        max_age_s: An older one is refused; infinite allows any age.
        clock: Seconds since the epoch.
        reason: Why, for the audit.

    Raises:
        AlreadyRunning: when a supervisor works there.
        RestoreNotRight: by the dry run.
        SupervisorError: when components run, or the disk refuses; the old files are in place or beside them.
    """
    if not run.path.is_dir():
        raise SnapshotRefused(f"there is no run directory {run.path}", "give it with --run-dir")
    with run.claimed():
        _refuse_running(run.path)
        folder = SnapshotFolder(run.path / "snapshots")
        check = dry_run(folder, name, run.path, now=clock(), max_age_s=max_age_s)
        meta = folder.meta(name)
        targets, left = _targets(run.path, meta)
        try:
            before = _settle(run.records)
            _set_aside_again(targets.values())
            folder.restore(name, targets)
            counts = _count(run.records)
            note = RestoreNote(snapshot=name, at=clock(), by=by, counts=counts)
            write_note(run.path, note)
        except OSError as error:
            raise SupervisorError(f"the restore broke off: {error}", "the old files end in .before-restore") from error
        row = AuditRow(
            at=clock(),
            by=f"claimed:{by or 'operator'}",
            action="snapshot-restore",
            detail=msgspec.json.encode({"check": check, "reason": reason, "replaced_head": before}).decode(),
            outcome="done",
            says=f"{name} put back: {', '.join(sorted(targets))}",
        )
        store = Store(run.records, schema=SCHEMA)
        try:
            head = await Audit(store).append(row)
        finally:
            await store.aclose()
    aside = tuple(f"{target.name}.before-restore" for target in targets.values())
    return Restored(
        check=check,
        parts=tuple(sorted(targets)),
        aside=tuple(one for one in aside if (run.path / one).exists()),
        left=left,
        head=str(head),
    )


def dry_run(folder: SnapshotFolder, name: str, run: Path, *, now: float, max_age_s: float) -> RestoreCheck:
    """Judge without a supervisor: what is put back are records, so their journal is the version that counts.

    Raises:
        SnapshotRefused: when there is none of that name, or it can't be read.
        RestoreNotRight: for any verdict but Ok.
    """
    meta = folder.meta(name)
    damage = folder.damage(meta)
    theirs = 0 if damage else _newest(folder.path / name / RECORDS)
    ours = _newest(run / RECORDS)
    # Records that are lost or can't be read are what a restore is for: nothing is ahead of them.
    judged = msgspec.structs.replace(meta, projection_version=theirs or 0)
    current = (theirs or 0) if ours is None else ours
    check = judge_restore(judged, damage=damage, current_version=current, now=now, max_age_s=max_age_s)
    if not check.ok:
        raise RestoreNotRight(check)
    return check


def _targets(run: Path, meta: SnapshotMeta) -> tuple[dict[str, Path], str]:
    parts = {part.name for part in meta.parts}
    targets: dict[str, Path] = {name: run / name for name in (RECORDS, SELECTOR) if name in parts}
    if SELECTOR in targets and (run / f"{SELECTOR}.killed").exists():
        del targets[SELECTOR]
        return targets, "the selector: a kill stands, end it with `agt kill-switch off`"
    return targets, ""


def _refuse_running(run: Path) -> None:
    for lock in sorted(run.glob("components/*.lock")):
        files = ComponentFiles(lock.parent, lock.stem)
        held = files.try_lock()
        if held is None:
            record = files.read_record()
            pid = f" (pid {record.pid})" if record else ""
            raise SupervisorError(f"the component {files.name} still runs{pid}", "end all with `agt up`, `agt down`")
        os.close(held)


def _settle(records: Path) -> str:
    """Bring the log of the old records into their file, so that the one that follows finds none; return their head.

    Records that can't be read keep their log beside them under a name of its own.
    """
    if not records.exists():
        return ""
    logs = [records.with_name(records.name + suffix) for suffix in ("-wal", "-shm")]
    kept = [log.with_name(f"{log.name}.before-restore") for log in logs[:1] if log.exists()]
    for aside in kept:  # Copied before SQLite sees it: a log that fits no file is deleted by it.
        shutil.copyfile(aside.with_name(aside.name.removesuffix(".before-restore")), aside)
    try:
        with closing(sqlite3.connect(records, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode = DELETE")
        head = str(verify_at(records).head)
    except (sqlite3.Error, SupervisorError):
        head = "unreadable"
    else:
        for aside in kept:
            aside.unlink()
    for log in logs:
        log.unlink(missing_ok=True)
    return head


def _set_aside_again(targets: Iterable[Path]) -> None:
    """Keep what an earlier restore has kept aside: it may be the only copy."""
    for target in targets:
        aside = target.with_name(f"{target.name}.before-restore")
        if aside.exists():
            aside.replace(target.with_name(f"{aside.name}.{int(aside.stat().st_mtime)}"))


def _newest(records: Path) -> int | None:
    """Return the number of the newest decision; None when there are no records that can be read."""
    if not records.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{records.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT max(number) FROM journal").fetchone()[0]
    except sqlite3.Error:
        return None
    return int(found or 0)


def _count(records: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"{records.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        return {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in _COUNTED}  # noqa: S608 - our own names.

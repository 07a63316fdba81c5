"""The records of one run, read whole and only read: everything that a report may say comes from here.

No supervisor has to run, and one that does is not disturbed. What another version wrote and can't be read any more is
left out and counted, never guessed.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.measure import RouterSample, Timeline
from agt.supervisor.records import Alert, AuditHead, AuditRow, AuditVerdict, Incident, kept_samples, verify_chain
from agt.supervisor.rollout import Plan, PlanFile, State
from agt.supervisor.snapshots import SnapshotFolder, SnapshotMeta
from agt.supervisor.view import RollbackView, View

ROWS_MAX: Final = 100_000
"""Rows of each table that a report reads, the newest; a run that has more is told so."""
_CHUNK: Final = 1000


class GateSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A gate as it stood when a decision was made."""

    name: str
    verdict: str
    reason: str = ""
    samples: int = 0


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision was made on."""

    carried_s: float = 0.0
    gates: tuple[GateSeen, ...] = ()
    rollback: RollbackView | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One entry of the journal, decoded."""

    number: int
    at: float
    kind: str
    says: str
    numbers: Numbers
    state: State | None
    """The state after it; None where another version wrote it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What an operator would have seen at a moment."""

    at: float
    view: View


@dataclass(frozen=True, slots=True)
class Archive:
    """Everything that the records of a run hold."""

    plan: Plan
    """As it was carried out, at its speed."""
    decisions: tuple[Decision, ...] = ()
    """Oldest first."""
    alerts: tuple[Alert, ...] = ()
    """Oldest first."""
    audit: tuple[AuditRow, ...] = ()
    """Oldest first."""
    chain: AuditVerdict = field(default_factory=lambda: AuditVerdict(0, AuditHead(0, "0" * 64)))
    """What a walk over the whole audit found."""
    incidents: tuple[Incident, ...] = ()
    """Oldest first."""
    samples: tuple[tuple[str, RouterSample], ...] = ()
    """Of the routers by socket, oldest first."""
    snapshots: tuple[SnapshotMeta, ...] = ()
    """Oldest first."""
    pictures: tuple[Picture, ...] = ()
    """Oldest first."""
    left_out: int = 0
    """Rows that can't be read, or are beyond `ROWS_MAX`."""

    @property
    def begun(self) -> float:
        """When the run began: its first decision, else its first sample; 0 when nothing was recorded."""
        return min([one.at for one in self.decisions[:1]] + [one.at for _, one in self.samples[:1]], default=0.0)

    @property
    def ended(self) -> float:
        """The last moment that anything was recorded of."""
        moments = [one.at for one in self.decisions[-1:]] + [one.at for _, one in self.samples[-1:]]
        return max([*moments, *(row.at for row in self.audit[-1:])], default=0.0)

    def timeline(self) -> Timeline:
        """Return the windows that the samples allow."""
        timeline = Timeline()
        for socket, sample in self.samples:
            timeline.add(socket, sample)
        return timeline


class RecordsUnreadable(SupervisorError):
    """Raised when no report can be written, because the records or their plan can't be read."""


def read_archive(run: Path, *, plan: Plan | None = None, samples_since: float = 0.0) -> Archive:
    """Read the records of a run directory.

    Args:
        run: The folder with `records.sqlite`.
        plan: Used instead of the one that the records hold.
        samples_since: Samples from before are left out, where a report asks about the last hour only.

    Raises:
        RecordsUnreadable: when there are none, or they hold no plan and none is given.
    """
    path = run / "records.sqlite"
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("BEGIN")  # One moment for all tables, however a supervisor writes meanwhile.
            return _read(connection, run, plan, samples_since)
    except sqlite3.Error as error:
        hint = "give the run directory with --run-dir"
        raise RecordsUnreadable(f"{path} can't be read: {error}", hint) from error


def _read(connection: sqlite3.Connection, run: Path, plan: Plan | None, since: float) -> Archive:
    known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    plan = plan or _plan(connection, known)
    decisions, bad = _decisions(connection, plan.name)
    pictures, bad_pictures = _pictures(connection, known)
    audit = _audit(connection)
    snapshots = tuple(SnapshotFolder(run / "snapshots").metas()[::-1])
    return Archive(
        plan=plan,
        decisions=decisions,
        alerts=_alerts(connection),
        audit=audit[-ROWS_MAX:],
        chain=verify_chain(audit),
        incidents=_incidents(connection),
        samples=tuple(kept_samples(connection, since=since)) if "hours" in known else (),
        snapshots=snapshots,
        pictures=pictures,
        left_out=bad + bad_pictures + max(0, len(audit) - ROWS_MAX),
    )


def _plan(connection: sqlite3.Connection, known: set[str]) -> Plan:
    row = None
    if "plans" in known:
        row = connection.execute("SELECT squeeze, body FROM plans ORDER BY number DESC LIMIT 1").fetchone()
    if row is None:
        raise RecordsUnreadable("the records hold no plan", "name its file: --plan FILE")
    try:
        return Plan(msgspec.json.decode(row[1], type=PlanFile), "records", row[0])
    except msgspec.DecodeError as error:
        raise RecordsUnreadable(f"the records' plan can't be read: {error}", "name its file: --plan FILE") from error


def _decisions(connection: sqlite3.Connection, plan: str) -> tuple[tuple[Decision, ...], int]:
    """Read the journal; entries of another plan in the same records are not this run's."""
    left_out, found = 0, []
    rows = connection.execute(
        "SELECT number, at, kind, says, numbers, state FROM journal ORDER BY number DESC LIMIT ?", (ROWS_MAX,)
    )
    for number, at, kind, says, numbers, state in rows:
        try:
            decoded = msgspec.json.decode(numbers, type=Numbers)
            after = msgspec.json.decode(state, type=State)
        except msgspec.DecodeError:
            left_out += 1
            decoded, after = Numbers(), None
        if after is None or after.plan == plan:
            found.append(Decision(number, at, kind, says, decoded, after))
    return tuple(reversed(found)), left_out


def _alerts(connection: sqlite3.Connection) -> tuple[Alert, ...]:
    rows = connection.execute(
        "SELECT id, created, severity, source, message, policy, at FROM alerts"
        " LEFT JOIN alert_resolutions ON alert_id = id ORDER BY id DESC LIMIT ?",
        (ROWS_MAX,),
    )
    keys = ("id", "created", "severity", "source", "message", "policy", "resolved")
    return tuple(msgspec.convert(dict(zip(keys, row, strict=True)), Alert) for row in _reversed(rows))


def _audit(connection: sqlite3.Connection) -> tuple[AuditRow, ...]:
    names = ("number", "at", "by", "action", "detail", "outcome", "says", "hash")
    rows = connection.execute(
        "SELECT number, at, by_whom, action, detail, outcome, says, hash FROM audit ORDER BY number"
    )
    return tuple(msgspec.convert(dict(zip(names, row, strict=True)), AuditRow) for row in _fetched(rows))


def _incidents(connection: sqlite3.Connection) -> tuple[Incident, ...]:
    keys = ("id", "opened", "severity", "title", "opened_by", "phase", "closed", "closed_by", "cause")
    rows = connection.execute(
        "SELECT id, opened, severity, title, opened_by, phase, closed, closed_by, cause FROM incidents"
        " ORDER BY id DESC LIMIT ?",
        (ROWS_MAX,),
    )
    return tuple(msgspec.convert(dict(zip(keys, row, strict=True)), Incident) for row in _reversed(rows))


def _pictures(connection: sqlite3.Connection, known: set[str]) -> tuple[tuple[Picture, ...], int]:
    if "pictures" not in known:
        return (), 0
    found, left_out = [], 0
    for at, body in _fetched(connection.execute("SELECT at, view FROM pictures ORDER BY at")):
        try:
            found.append(Picture(at, msgspec.json.decode(body, type=View)))
        except msgspec.DecodeError:
            left_out += 1
    return tuple(found), left_out


def _fetched(rows: sqlite3.Cursor) -> Iterator[tuple[Any, ...]]:
    while batch := rows.fetchmany(_CHUNK):
        yield from batch


def _reversed(rows: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return list(rows)[::-1]

"""Incidents: what went wrong for somebody, opened by a person or a rule, closed by a person with a cause.

An incident outlives the alert that it may have come from. Gates ask for none; reports count them and say how long each
took.
"""

import sqlite3
from typing import Final, get_args

from agt.supervisor.records._store import Store
from agt.supervisor.rows import Incident, IncidentSeverity

INCIDENTS_SHOWN_MAX: Final = 500
TITLE_MAX: Final = 500
SEVERITIES: Final[tuple[IncidentSeverity, ...]] = get_args(IncidentSeverity)

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS incidents (
    id INTEGER PRIMARY KEY, opened REAL NOT NULL, severity TEXT NOT NULL, title TEXT NOT NULL, opened_by TEXT NOT NULL,
    phase TEXT NOT NULL, closed REAL, closed_by TEXT NOT NULL DEFAULT '', cause TEXT NOT NULL DEFAULT '') STRICT;
"""


class Incidents:
    """All incidents in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def open(
        self, *, at: float, severity: IncidentSeverity, title: str, by: str, phase: str = ""
    ) -> tuple[Incident, bool]:
        """Open an incident; the second value is false when the same one is open already, which is returned then.

        Raises:
            StoreUnavailable: if it can't be made durable now.
            ValueError: for an unknown severity, or a title that is empty or too long.
        """
        if severity not in SEVERITIES:
            raise ValueError(f"unknown severity {severity!r}; there are {', '.join(SEVERITIES)}")
        if not 0 < len(title.strip()) <= TITLE_MAX:
            raise ValueError(f"an incident needs a title of 1 to {TITLE_MAX} characters")

        def job(connection: sqlite3.Connection) -> tuple[Incident, bool]:
            known = connection.execute(
                f"{_SELECT} WHERE closed IS NULL AND title = ? AND severity = ?", (title, severity)
            ).fetchone()
            if known:
                return _incident(known), False
            row = (at, severity, title, by, phase)
            cursor = connection.execute(
                "INSERT INTO incidents (opened, severity, title, opened_by, phase) VALUES (?, ?, ?, ?, ?)", row
            )
            found = connection.execute(f"{_SELECT} WHERE id = ?", (cursor.lastrowid,)).fetchone()
            return _incident(found), True

        return await self._store.run(job)

    async def close(self, incident: int, *, at: float, by: str, cause: str) -> Incident:
        """Close an incident with its cause; one that is closed stays as it was.

        Raises:
            KeyError: if there is none of that number.
            ValueError: without a cause.
            StoreUnavailable: if it can't be made durable now.
        """
        if not cause.strip():
            raise ValueError("an incident is closed with its cause")

        def job(connection: sqlite3.Connection) -> Incident:
            connection.execute(
                "UPDATE incidents SET closed = ?, closed_by = ?, cause = ? WHERE id = ? AND closed IS NULL",
                (at, by, cause, incident),
            )
            found = connection.execute(f"{_SELECT} WHERE id = ?", (incident,)).fetchone()
            if found is None:
                raise KeyError(incident)
            return _incident(found)

        return await self._store.run(job)

    async def newest(self, *, only_open: bool = False, since: float = 0.0) -> list[Incident]:
        """Return the newest incidents, newest first; `since` leaves out those closed before."""
        where = "WHERE closed IS NULL" if only_open else "WHERE coalesce(closed, opened) >= ? OR closed IS NULL"
        bound: tuple[float, ...] = () if only_open else (since,)

        def job(connection: sqlite3.Connection) -> list[Incident]:
            rows = connection.execute(f"{_SELECT} {where} ORDER BY id DESC LIMIT {INCIDENTS_SHOWN_MAX}", bound)
            return [_incident(row) for row in rows]

        return await self._store.run(job)


_SELECT: Final = "SELECT id, opened, severity, title, opened_by, phase, closed, closed_by, cause FROM incidents"


def _incident(row: tuple[int, float, IncidentSeverity, str, str, str, float | None, str, str]) -> Incident:
    number, opened, severity, title, opened_by, phase, closed, closed_by, cause = row
    return Incident(
        id=number,
        opened=opened,
        severity=severity,
        title=title,
        opened_by=opened_by,
        phase=phase,
        closed=closed,
        closed_by=closed_by,
        cause=cause,
    )

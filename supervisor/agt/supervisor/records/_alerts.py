"""The alert ledger: what was raised, by whom, and when it was resolved. Nothing is ever changed or forgotten open.

Append-only: a resolution is a row of its own. `AlertBook` is the whole behaviour without a disk (it keeps working when
that is full); `AlertLedger` makes its rows durable when it can. Only resolved alerts are ever pruned.
"""

import sqlite3
from typing import Final, Literal

import msgspec

from agt.supervisor.records._store import Store, StoreUnavailable
from agt.supervisor.view import AlertView, Severity

ALERTS_MAX: Final = 1000
"""Alerts kept in memory; the oldest resolved go first."""
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warn", "degraded", "escalate")
"""From mild to urgent."""

Policy = Literal["auto-resolve", "manual-ack"]

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS alerts (
    id INTEGER PRIMARY KEY, created REAL NOT NULL, severity TEXT NOT NULL, source TEXT NOT NULL,
    message TEXT NOT NULL, policy TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS alert_resolutions (
    alert_id INTEGER PRIMARY KEY REFERENCES alerts (id), at REAL NOT NULL, by_whom TEXT NOT NULL) STRICT;
"""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert."""

    id: int
    created: float
    """Seconds since the epoch."""
    severity: Severity
    source: str
    """What raised it: a rule, a component, `store`."""
    message: str
    policy: Policy = "auto-resolve"
    """Whether it resolves by itself or waits for someone to acknowledge it."""
    resolved: float | None = None

    @property
    def open(self) -> bool:
        """Whether it still stands."""
        return self.resolved is None

    def shown(self) -> AlertView:
        """Return it as the view shows it."""
        return AlertView(
            id=self.id,
            at=self.created,
            severity=self.severity,
            source=self.source,
            message=self.message,
            open=self.open,
        )


def at_or_above(severity: Severity, least: Severity) -> bool:
    """Return whether `severity` is at least as urgent as `least`."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)


class AlertBook:
    """All alerts that are remembered, in memory."""

    def __init__(self, alerts: list[Alert] | None = None) -> None:
        self._alerts: dict[int, Alert] = {alert.id: alert for alert in alerts or []}

    def raise_alert(
        self, *, at: float, severity: Severity, source: str, message: str, policy: Policy = "auto-resolve"
    ) -> Alert | None:
        """Open an alert; None when the same source has the same one open already.

        An `info` alert states a fact and is resolved as soon as it is written.
        """
        for alert in self._alerts.values():
            if alert.open and (alert.source, alert.severity, alert.message) == (source, severity, message):
                return None
        alert = Alert(
            id=max(self._alerts, default=0) + 1,
            created=at,
            severity=severity,
            source=source,
            message=message,
            policy=policy,
            resolved=at if severity == "info" and policy == "auto-resolve" else None,
        )
        self._alerts[alert.id] = alert
        self.prune(older_than=at)
        return alert

    def resolve(self, *, source: str, at: float) -> list[Alert]:
        """Resolve what a source has open, except what waits for an acknowledgement."""
        return [
            self._resolved(alert, at)
            for alert in list(self._alerts.values())
            if alert.open and alert.source == source and alert.policy == "auto-resolve"
        ]

    def find(self, alert_id: int) -> Alert:
        """Return one alert.

        Raises:
            KeyError: if there is none of that number.
        """
        return self._alerts[alert_id]

    def acknowledge(self, alert_id: int, *, at: float) -> Alert:
        """Resolve one alert by hand.

        Raises:
            KeyError: if there is none of that number.
        """
        alert = self._alerts[alert_id]
        return alert if not alert.open else self._resolved(alert, at)

    def open_at(self, least: Severity) -> list[Alert]:
        """Return what is open at this severity or above, newest first."""
        return [alert for alert in self.newest(ALERTS_MAX) if alert.open and at_or_above(alert.severity, least)]

    def newest(self, limit: int = 50) -> list[Alert]:
        """Return the newest alerts, newest first."""
        return [self._alerts[key] for key in sorted(self._alerts, reverse=True)[:limit]]

    def prune(self, *, older_than: float, keep: int = ALERTS_MAX) -> list[int]:
        """Forget resolved alerts from before `older_than`, oldest first, down to `keep`; open ones never."""
        extra = len(self._alerts) - keep
        old = [a.id for a in self._alerts.values() if a.resolved is not None and a.resolved <= older_than]
        gone = sorted(old)[: max(0, extra)]
        for key in gone:
            del self._alerts[key]
        return gone

    def _resolved(self, alert: Alert, at: float) -> Alert:
        done = msgspec.structs.replace(alert, resolved=at)
        self._alerts[alert.id] = done
        return done


class AlertLedger:
    """The book with its rows in a store. What the disk refuses stays in the book and is written later."""

    def __init__(self, store: Store, book: AlertBook | None = None) -> None:
        self._store = store
        self.book = book or AlertBook()
        self._unwritten: dict[int, Alert] = {}

    @classmethod
    async def load(cls, store: Store) -> "AlertLedger":
        """Read the ledger that a store holds."""

        def job(connection: sqlite3.Connection) -> list[Alert]:
            rows = connection.execute(
                "SELECT id, created, severity, source, message, policy, at FROM alerts"
                " LEFT JOIN alert_resolutions ON alert_id = id ORDER BY id DESC LIMIT ?",
                (ALERTS_MAX,),
            )
            keys = ("id", "created", "severity", "source", "message", "policy", "resolved")
            return [Alert(**dict(zip(keys, row, strict=True))) for row in rows]

        return cls(store, AlertBook(await store.run(job)))

    def note(self, *alerts: Alert | None) -> None:
        """Put alerts, new or resolved, on the list of what has to be written."""
        self._unwritten |= {alert.id: alert for alert in alerts if alert is not None}
        while len(self._unwritten) > ALERTS_MAX:
            del self._unwritten[min(self._unwritten)]

    async def flush(self) -> bool:
        """Write what is not yet durable; False when the store refuses, then it is kept for the next time."""
        batch = dict(self._unwritten)
        if not batch:
            return True

        def job(connection: sqlite3.Connection) -> None:
            for a in batch.values():
                connection.execute(
                    "INSERT OR IGNORE INTO alerts VALUES (?, ?, ?, ?, ?, ?)",
                    (a.id, a.created, a.severity, a.source, a.message, a.policy),
                )
                if a.resolved is not None:
                    connection.execute(
                        "INSERT OR IGNORE INTO alert_resolutions VALUES (?, ?, ?)", (a.id, a.resolved, "agt")
                    )

        try:
            await self._store.run(job)
        except StoreUnavailable:
            return False
        self._unwritten = {key: a for key, a in self._unwritten.items() if batch.get(key) is not a}
        return True

    async def prune(self, *, older_than: float) -> int:
        """Delete resolved alerts from before `older_than` from book and store; return how many rows went."""

        def job(connection: sqlite3.Connection) -> int:
            ids = connection.execute("SELECT alert_id FROM alert_resolutions WHERE at < ?", (older_than,)).fetchall()
            connection.executemany("DELETE FROM alert_resolutions WHERE alert_id = ?", ids)
            connection.executemany("DELETE FROM alerts WHERE id = ?", ids)
            return len(ids)

        self.book.prune(older_than=older_than, keep=0)
        return await self._store.run(job)

"""The books behind the control API: what operators did, what went wrong, and what can be restored.

Every order is in the audit with its outcome. Going back doesn't wait for that: its row is kept and written when the
disk takes it.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.access import recorded_name
from agt.supervisor.actions import Refused
from agt.supervisor.books import (
    AlertOrder,
    AlertPrune,
    AlertsPruned,
    AuditCheck,
    AuditPage,
    IncidentEnd,
    IncidentOrder,
    IncidentPage,
    SinkPage,
    SnapshotOrder,
    SnapshotPage,
)
from agt.supervisor.records import Alert, Audit, AuditHead, AuditRow, Incident
from agt.supervisor.rollout import Rollout
from agt.supervisor.snapshots import RestoreCheck, SnapshotMeta
from agt.supervisor.view import AlertView

UNKNOWN = "operator"
"""Who asked, where nobody says."""
_SECRET: Final = frozenset({"key", "version"})
"""What an order carries and no audit needs."""

_Done = TypeVar("_Done")


class Bookkeeper:
    """Keeps the books of one rollout."""

    def __init__(self, rollout: Rollout, *, clock: Callable[[], float] = time.time) -> None:
        self._rollout, self._books, self._clock = rollout, rollout.books, clock

    def note(self, action: str, order: msgspec.Struct, *, by: str, outcome: str, says: str) -> None:
        """Put an order into the audit; it is written as soon as the disk takes it."""
        given = {key: value for key, value in msgspec.to_builtins(order).items() if key not in _SECRET and value}
        row = AuditRow(
            at=self._clock(),
            by=recorded_name(by),
            action=action,
            detail=msgspec.json.encode(given).decode(),
            outcome=outcome,
            says=says,
        )
        self._books.note_action(row)

    async def flush(self) -> None:
        """Write the rows that wait, so that they outlive us; what the disk refuses is kept for the next time."""
        await self._books.flush()

    async def audit(self, *, limit: int) -> AuditPage:
        """Return the newest rows.

        Raises:
            Refused: `unavailable` when the records can't be read.
        """
        audit = await self._flushed()
        return AuditPage(rows=tuple(await audit.newest(limit)), head=str(await audit.head()))

    async def verify_audit(self, *, head: str) -> AuditCheck:
        """Walk the chain, up to a head that was noted elsewhere if one is given.

        Raises:
            Refused: `invalid` for a head that is none, `unavailable` when the records can't be read.
        """
        try:
            noted = AuditHead.parse(head) if head else None
        except ValueError as error:
            raise Refused("invalid", str(error)) from error
        found = await (await self._flushed()).verify(noted)
        return AuditCheck(whole=found.whole, rows=found.rows, head=str(found.head), problem=found.problem)

    async def incidents(self, *, only_open: bool) -> IncidentPage:
        """Return the newest incidents.

        Raises:
            Refused: `unavailable` when the records can't be read.
        """
        return IncidentPage(incidents=tuple(await self._books.incidents.newest(only_open=only_open)))

    async def open_incident(self, order: IncidentOrder) -> Incident:
        """Open an incident; one that is open already is answered as it is.

        Raises:
            Refused: `invalid` for an empty title, `unavailable` when it can't be made durable now.
        """

        async def do() -> Incident:
            phase = self._rollout.plan.phases[self._rollout.state.phase].name
            return await self._books.open_incident(
                severity=order.severity, title=order.title.strip(), by=order.by or UNKNOWN, phase=phase
            )

        return await self._audited("incident-open", order, do, by=order.by)

    async def close_incident(self, number: int, end: IncidentEnd) -> Incident:
        """Close an incident with its cause.

        Raises:
            Refused: `unknown` when there is none of that number, `unavailable` when it can't be made durable now.
        """

        async def do() -> Incident:
            try:
                return await self._books.close_incident(number, by=end.by or UNKNOWN, cause=end.cause.strip())
            except KeyError:
                raise Refused("unknown", f"there is no incident {number}", "agt incident list") from None

        return await self._audited(f"incident-close {number}", end, do, by=end.by)

    async def snapshots(self) -> SnapshotPage:
        """Return the snapshots that are there."""
        return SnapshotPage(snapshots=tuple(await self._books.snapshots.metas()))

    async def take_snapshot(self, order: SnapshotOrder) -> SnapshotMeta:
        """Take one now.

        Raises:
            Refused: `unavailable` when disk or projection refuse.
        """

        async def do() -> SnapshotMeta:
            return await self._books.snapshots.take("manual", order.says, keep=order.keep)

        return await self._audited("snapshot-take", order, do, by=order.by)

    async def check_snapshot(self, name: str) -> RestoreCheck:
        """Say whether a restore of it would be right now.

        Raises:
            Refused: `unknown` when there is none of that name, or it can't be read.
        """
        try:
            found = await self._books.snapshots.dry_run(name)
        except SupervisorError as error:
            raise Refused("unknown", str(error)) from error
        self.note(f"snapshot-check {name}", found, by="", outcome="done", says=found.verdict.value)  # Kept as evidence.
        return found

    async def acknowledge_alert(self, number: int, order: AlertOrder) -> AlertView:
        """Resolve one alert by hand.

        Raises:
            Refused: `unknown` when there is none of that number.
        """

        async def do() -> AlertView:
            return (await self._books.acknowledge(number)).shown()

        return await self._audited(f"alert-ack {number}", order, do, by=order.by)

    async def prune_alerts(self, order: AlertPrune) -> AlertsPruned:
        """Forget alerts that were resolved long ago.

        Raises:
            Refused: `unavailable` when the disk refuses.
        """

        async def do() -> AlertsPruned:
            return AlertsPruned(pruned=await self._books.prune_alerts(older_than_s=order.older_than_s))

        return await self._audited("alerts-prune", order, do, by=order.by)

    async def sinks(self) -> SinkPage:
        """Return what became of alerts at each sink."""
        return SinkPage(sinks=self._books.sinks.reports)

    async def try_sinks(self, order: AlertOrder) -> SinkPage:
        """Send each sink a trial alert, one try each."""

        async def do() -> SinkPage:
            trial = Alert(
                id=0, created=self._clock(), severity="info", source="test", message=f"a trial by {order.by or UNKNOWN}"
            )
            return SinkPage(sinks=await self._books.sinks.test(trial))

        return await self._audited("sinks-test", order, do, by=order.by)

    async def _flushed(self) -> Audit:
        """Return the audit with everything written that waited; what can't be is told by the store's trouble."""
        await self._books.flush()
        return self._books.audit

    async def _audited(
        self, action: str, order: msgspec.Struct, do: Callable[[], Awaitable[_Done]], *, by: str
    ) -> _Done:
        """Do what is asked and put it into the audit, done or refused."""
        try:
            done = await do()
        except (Refused, SupervisorError, ValueError) as error:
            self.note(action, order, by=by, outcome="refused", says=str(error))
            if isinstance(error, Refused):
                raise
            raise Refused("invalid" if isinstance(error, ValueError) else "unavailable", str(error)) from error
        self.note(action, order, by=by, outcome="done", says=str(getattr(done, "id", "")))
        return done

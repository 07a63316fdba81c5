"""The incident report: what happened around a way back or an incident, from the records. Pure.

Document 001 asks for three things after a rollback: a timeline, a dump of the alert ledger, and the supervisor's state
at that moment. Causes are what somebody recorded, never a guess.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from agt.supervisor._errors import SupervisorError
from agt.supervisor.records import Alert
from agt.supervisor.reports._archive import Archive, Decision, GateSeen
from agt.supervisor.reports._heading import Heading, heading
from agt.supervisor.reports._levels import Level, Levels
from agt.supervisor.rollout import State
from agt.supervisor.rows import Incident
from agt.supervisor.snapshots import SnapshotMeta
from agt.supervisor.view import ProcessView, RollbackView, RouterView

BACK_KINDS: Final = ("rolled-back", "stepped-back", "killed")
"""Decisions that went back, as the journal calls them."""
BEFORE_S: Final = 3600.0
AFTER_S: Final = 3600.0
SETTLED_S: Final = 5.0
"""A way back settles within so long, as promised."""
MOMENTS_MAX: Final = 1000
"""Lines of a timeline; the ones nearest to what it is about are kept."""


class NothingToReport(SupervisorError):
    """Raised when there was no rollback and no such incident."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the timeline."""

    at: float
    source: str
    """`journal`, `alert`, `resolved`, `audit`, `incident` or `snapshot`."""
    says: str


class Supervised(msgspec.Struct, frozen=True, kw_only=True):
    """The supervisor's state at that moment."""

    decided_at: float
    state: State | None
    """After the decision."""
    gates: tuple[GateSeen, ...] = ()
    """As they stood when it was made."""
    pictured_at: float | None = None
    """When processes and routers were looked at; None where no picture was kept."""
    processes: tuple[ProcessView, ...] = ()
    routers: tuple[RouterView, ...] = ()


class IncidentReport(msgspec.Struct, frozen=True, kw_only=True):
    """What happened around a moment."""

    heading: Heading
    title: str
    at: float
    rollback: RollbackView | None
    """The account of the way back; None where it is about an incident without one."""
    incident: Incident | None
    cause: str
    """What somebody recorded; empty until then."""
    timeline: tuple[Moment, ...]
    alerts: tuple[Alert, ...]
    """The ledger: what was open at that moment, and what was raised in the time of the report."""
    supervisor: Supervised
    levels: tuple[Level, ...]
    """Service levels of the route that was left, until it had settled; of the report's time up to then without one."""
    snapshots: tuple[SnapshotMeta, ...]


def rollbacks(archive: Archive) -> tuple[Decision, ...]:
    """Return the decisions that went back, oldest first."""
    return tuple(one for one in archive.decisions if one.kind in BACK_KINDS)


def rollback_report(
    archive: Archive, *, now: float, number: int | None = None, before_s: float = BEFORE_S, after_s: float = AFTER_S
) -> IncidentReport:
    """Return the report about a way back: the newest, or the one of a journal number.

    Raises:
        NothingToReport: when there is none.
    """
    found = [one for one in rollbacks(archive) if number in (None, one.number)]
    if not found:
        known = ", ".join(str(one.number) for one in rollbacks(archive)[-10:]) or "none"
        raise NothingToReport(
            "the journal has no such way back" if number else "nothing has gone back", f"journal numbers: {known}"
        )
    turn = found[-1]
    return _report(archive, turn.at, turn.says, decision=turn, now=now, before_s=before_s, after_s=after_s)


def about_incident(
    archive: Archive, number: int, *, now: float, before_s: float = BEFORE_S, after_s: float = AFTER_S
) -> IncidentReport:
    """Return the report about an opened incident.

    Raises:
        NothingToReport: when there is none of that number.
    """
    found = next((one for one in archive.incidents if one.id == number), None)
    if found is None:
        raise NothingToReport(f"there is no incident {number}", "agt incident list")
    until_s = after_s + ((found.closed or found.opened) - found.opened)
    earlier = [one for one in archive.decisions if one.at <= found.opened]
    return _report(
        archive,
        found.opened,
        f"incident {found.id} ({found.severity}): {found.title}",
        decision=earlier[-1] if earlier else None,
        incident=found,
        now=now,
        before_s=before_s,
        after_s=until_s,
    )


def _report(
    archive: Archive,
    at: float,
    title: str,
    *,
    decision: Decision | None,
    now: float,
    before_s: float,
    after_s: float,
    incident: Incident | None = None,
) -> IncidentReport:
    start, end = max(archive.begun, at - before_s), at + after_s
    moments = sorted((one for one in _moments(archive) if start <= one.at <= end), key=lambda one: one.at)
    nearest = sorted(moments, key=lambda one: abs(one.at - at))[:MOMENTS_MAX]
    alerts = [a for a in archive.alerts if start <= a.created <= end or _open_at(a, at)]
    turn = decision if decision is not None and decision.kind in BACK_KINDS else None
    return IncidentReport(
        heading=heading(archive, "incident", start=start, end=min(end, max(at, archive.ended)), now=now),
        title=title,
        at=at,
        rollback=_account(archive, turn),
        incident=incident,
        cause=(incident.cause if incident else "") or cause_of(archive, turn),
        timeline=tuple(sorted(nearest, key=lambda one: one.at)),
        alerts=tuple(alerts),
        supervisor=_supervised(archive, decision, at),
        levels=Levels.of(archive).over(*_carried(archive, turn, start=start, at=at)),
        snapshots=tuple(one for one in archive.snapshots if start <= one.at <= end),
    )


def _carried(archive: Archive, turn: Decision | None, *, start: float, at: float) -> tuple[float, float]:
    """Return the time of the route that a way back left; what was under way then has ended when that settled."""
    account, earlier = _account(archive, turn), [one for one in archive.decisions if one.at < at]
    if turn is None or not earlier or earlier[-1].state is None:
        return start, at
    settled_s = (account.settled_ms or 0.0) / 1000 if account else 0.0
    return max(start, earlier[-1].state.routed_at or start), at + max(settled_s, SETTLED_S)


def _open_at(alert: Alert, at: float) -> bool:
    return alert.created <= at and (alert.resolved is None or alert.resolved >= at)


def _account(archive: Archive, turn: Decision | None) -> RollbackView | None:
    """Return the account of a way back as it was last known."""
    if turn is None or turn.numbers.rollback is None:
        return None
    began = turn.numbers.rollback.at
    accounts = [one.numbers.rollback for one in archive.decisions if one.numbers.rollback is not None]
    return [one for one in accounts if one.at == began][-1]


def cause_of(archive: Archive, turn: Decision | None) -> str:
    """Return the cause that was recorded after a way back, before the next one; empty until somebody has."""
    if turn is None:
        return ""
    for one in archive.decisions:
        if one.number <= turn.number:
            continue
        if one.kind in BACK_KINDS:
            break
        if one.kind == "cause-recorded" and one.state is not None:
            return one.state.cause
    return ""


def _supervised(archive: Archive, decision: Decision | None, at: float) -> Supervised:
    picture = min(archive.pictures, key=lambda one: abs(one.at - at), default=None)
    if picture is not None and abs(picture.at - at) > AFTER_S:
        picture = None
    return Supervised(
        decided_at=decision.at if decision else at,
        state=decision.state if decision else None,
        gates=decision.numbers.gates if decision else (),
        pictured_at=picture.at if picture else None,
        processes=picture.view.processes if picture else (),
        routers=picture.view.routers if picture else (),
    )


def _moments(archive: Archive) -> Iterator[Moment]:
    for decision in archive.decisions:
        yield Moment(at=decision.at, source="journal", says=f"{decision.number} {decision.kind}: {decision.says}")
    for alert in archive.alerts:
        yield Moment(at=alert.created, source="alert", says=f"{alert.severity} from {alert.source}: {alert.message}")
        if alert.resolved is not None and alert.severity != "info":
            yield Moment(at=alert.resolved, source="resolved", says=f"{alert.source}: {alert.message}")
    for row in archive.audit:
        yield Moment(at=row.at, source="audit", says=f"{row.action} by {row.by}, {row.outcome}: {row.says}")
    for one in archive.incidents:
        yield Moment(at=one.opened, source="incident", says=f"{one.id} opened by {one.opened_by}: {one.title}")
        if one.closed is not None:
            yield Moment(at=one.closed, source="incident", says=f"{one.id} closed by {one.closed_by}: {one.cause}")
    for meta in archive.snapshots:
        yield Moment(at=meta.at, source="snapshot", says=f"{meta.id} ({meta.trigger}) {meta.says}".rstrip())

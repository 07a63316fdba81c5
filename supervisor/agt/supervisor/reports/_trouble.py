"""Incidents as reports count them: how many, how long, and what share of the traffic failed meanwhile. Pure."""

from math import fsum

import msgspec

from agt.supervisor.reports._levels import Levels
from agt.supervisor.rows import Incident, IncidentSeverity


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """One incident in figures."""

    id: int
    title: str
    severity: IncidentSeverity
    opened_by: str
    phase: str
    opened: float
    closed: float | None
    lasted_s: float
    """Until it was closed, or until the end of the report."""
    failed: int
    """Messages of the candidate that failed meanwhile."""
    impact: float | None
    """These, as a share of the candidate's messages in the whole time of the report; None where none were counted."""
    cause: str


class Troubles(msgspec.Struct, frozen=True, kw_only=True):
    """All incidents of a time."""

    total: int
    minor: int
    major: int
    critical: int
    open: int
    mttr_s: float | None
    """Mean time from opening to closing, of those that are closed."""
    impact: float | None
    """Share of the candidate's messages that failed while any of them stood."""
    each: tuple[Trouble, ...]


def troubles(levels: Levels, *, start: float, end: float) -> Troubles:
    """Return the incidents that stood at any moment of a time."""
    found = [one for one in levels.archive.incidents if one.opened <= end and (one.closed or end) >= start]
    total, _ = levels.counted(start, end)
    each = tuple(_trouble(levels, one, start=start, end=end, total=total) for one in found)
    closed = [one.lasted_s for one in each if one.closed is not None]
    merged = _merged([(max(start, one.opened), min(end, one.closed or end)) for one in found])
    failed = sum(levels.counted(begin, stop)[1] for begin, stop in merged)
    count = {severity: sum(one.severity == severity for one in each) for severity in ("minor", "major", "critical")}
    return Troubles(
        total=len(each),
        **count,
        open=sum(one.closed is None for one in each),
        mttr_s=fsum(closed) / len(closed) if closed else None,
        impact=failed / total if total and each else None,
        each=each,
    )


def _trouble(levels: Levels, one: Incident, *, start: float, end: float, total: int) -> Trouble:
    stop = one.closed if one.closed is not None else end
    _, failed = levels.counted(max(start, one.opened), min(end, stop))
    return Trouble(
        id=one.id,
        title=one.title,
        severity=one.severity,
        opened_by=one.opened_by,
        phase=one.phase,
        opened=one.opened,
        closed=one.closed,
        lasted_s=max(0.0, stop - one.opened),
        failed=failed,
        impact=failed / total if total else None,
        cause=one.cause,
    )


def _merged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Join times that overlap, so that no message is counted twice."""
    found: list[tuple[float, float]] = []
    for begin, stop in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((begin, stop))
    return found

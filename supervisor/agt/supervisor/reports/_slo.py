"""The SLO compliance report: document 004's 30-day report, from the records of any run. Pure.

Recommendations follow from what was measured by the rules below, and from nothing else.
"""

import msgspec

from agt.supervisor.reports._archive import Archive
from agt.supervisor.reports._heading import Heading, day_s, heading
from agt.supervisor.reports._levels import Day, Level, Levels, in_a_row
from agt.supervisor.reports._trouble import Troubles, troubles

BUDGET_LOW = 0.25
"""Below this an error budget is named in the recommendations."""


class SloReport(msgspec.Struct, frozen=True, kw_only=True):
    """Service levels over a period."""

    heading: Heading
    days_wanted: int
    """Days of the period, by the plan's calendar."""
    measured_from: float | None
    """The first sample in it; None where there is none."""
    levels: tuple[Level, ...]
    days: tuple[Day, ...]
    days_met: int
    days_in_a_row: int
    """At the end, one after the other."""
    incidents: Troubles
    compliant: bool
    """Every objective met over the period and on each of its days."""
    recommendations: tuple[str, ...]


def slo_report(archive: Archive, *, days: int, now: float, until: float | None = None) -> SloReport:
    """Return the report over the last `days` of a run, at most since it began.

    Args:
        archive: The records.
        days: Length of the period in days of the plan (squeezed with it).
        now: When it is made, seconds since the epoch.
        until: End of the period; the last moment that was recorded when None.
    """
    levels, length_s = Levels.of(archive), day_s(archive)
    end = archive.ended if until is None else until
    start = max(archive.begun, _carried_since(archive, end), end - days * length_s)
    found, passed = levels.over(start, end), levels.days(start, end, length_s=length_s)
    incidents = troubles(levels, start=start, end=end)
    moments = [sample.at for _, sample in archive.samples if start <= sample.at <= end]
    report = SloReport(
        heading=heading(archive, "slo", start=start, end=end, now=now),
        days_wanted=days,
        measured_from=min(moments, default=None),
        levels=found,
        days=passed,
        days_met=sum(day.status == "met" for day in passed),
        days_in_a_row=in_a_row(passed),
        incidents=incidents,
        compliant=bool(found) and in_a_row(passed) >= days and all(level.status == "met" for level in found),
        recommendations=(),
    )
    return msgspec.structs.replace(report, recommendations=tuple(_recommendations(report)))


def _carried_since(archive: Archive, end: float) -> float:
    """Return since when the candidate carries traffic without a break, as known at `end`; 0 when it doesn't."""
    before = [one.state for one in archive.decisions if one.at <= end and one.state is not None]
    return (before[-1].candidate_since or 0.0) if before else 0.0


def _recommendations(report: SloReport) -> list[str]:
    found = []
    if report.heading.audit_problem:
        found.append(f"Find out who changed the audit: {report.heading.audit_problem}.")
    for level in report.levels:
        if level.status == "violated":
            found.append(f"{level.objective}: {level.actual} of {level.target}. Go no further before it is met again.")
        elif level.status == "not measured":
            found.append(f"{level.objective} was not measured ({level.says}): nothing can be concluded from it.")
        if level.budget is not None and level.budget.remaining < BUDGET_LOW:
            left = level.budget.remaining
            says = "is overspent" if left < 0 else f"has {left:.0%} left"
            found.append(f"The error budget of {level.objective} {says}: put nothing risky on it.")
    bad = [day for day in report.days if day.status == "violated"]
    if bad:
        found.append(f"{len(bad)} of {len(report.days)} days violated an objective: find the cause of each.")
    if report.incidents.open:
        found.append(f"{report.incidents.open} incident(s) open: find the cause and close them with it.")
    missing = report.days_wanted - report.days_in_a_row
    if missing > 0 and report.levels:
        seen = f"{report.days_in_a_row} of {report.days_wanted} days in a row"
        found.append(f"{seen}: repeat this in {missing} days.")
    return found or ["Every objective was met on every day: continue with the present configuration."]

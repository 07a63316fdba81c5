"""Pieces of Markdown that the pages of all reports share. Pure; times are UTC."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from agt.supervisor.reports._heading import Heading
from agt.supervisor.reports._levels import Day, Level
from agt.supervisor.reports._trouble import Troubles
from agt.supervisor.rollout import format_duration

_TAG: Final = re.compile(r"<(?=[A-Za-z/!?])")
"""Where a browser would see a tag begin."""
TITLES: Final = {
    "slo": "SLO compliance report",
    "incident": "Incident report",
    "completion": "Completion proof",
    "retrospective": "Migration retrospective",
}


def moment(at: float | None) -> str:
    """Return a time for people; a dash for none."""
    return "-" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def cell(text: object) -> str:
    """Return text that stays in its cell, whatever a component or a person wrote."""
    line = " ".join(str(text).split()).replace("\\", "\\\\").replace("|", "\\|")
    return _TAG.sub("&lt;", line) or "-"


def table(names: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> list[str]:
    """Return a table, or one line where there is nothing to show."""
    body = ["| " + " | ".join(cell(one) for one in row) + " |" for row in rows]
    if not body:
        return [empty, ""]
    return ["| " + " | ".join(names) + " |", "|" + "---|" * len(names), *body, ""]


def head(found: Heading, title: str = "") -> list[str]:
    """Return the top of a page."""
    pace = "" if found.squeeze == 1 else f", {found.squeeze:,.0f} times faster than written"
    whole = found.audit_problem or "whole"
    lines = [
        f"# {title or TITLES[found.kind]}",
        "",
        f"`{found.tag}`: {found.plan}, {found.control} to {found.candidate}{pace}",
        "",
        "## Period",
        "",
        f"- Start: {moment(found.start)}",
        f"- End: {moment(found.end)}",
        f"- Made: {moment(found.made_at)}",
        f"- Audit: {found.audit_rows:,} rows, {cell(whole)}; head `{found.audit_head}`",
    ]
    if found.left_out:
        lines.append(f"- {found.left_out:,} rows of the records could not be read and are left out")
    return [*lines, ""]


def levels(found: Iterable[Level]) -> list[str]:
    """Return a section for each objective, as document 004 has them."""
    lines = ["## SLO results", ""]
    for level in found:
        status = {"met": "PASS", "violated": "FAIL"}.get(level.status, "NOT MEASURED")
        lines += [f"### {cell(level.objective)} (`{level.metric}`)", "", f"- Target: {level.target}"]
        lines += [f"- Actual: {level.actual or '-'}, over {level.samples:,} samples", f"- Status: {status}"]
        if level.status != "met":
            lines.append(f"- Because: {cell(level.says)}")
        if level.budget is not None:
            one = level.budget
            state = "OVERSPENT" if one.remaining < 0 else "HEALTHY" if one.remaining >= 0.25 else "LOW"
            lines.append(
                f"- Error budget: allowed {one.allowed:.4%}, consumed {one.consumed:.4%},"
                f" remaining {one.remaining:.1%} ({state})"
            )
        lines.append("")
    return lines if len(lines) > 2 else [*lines, "The plan has no objectives.", ""]


def days(found: Sequence[Day]) -> list[str]:
    """Return the days in a table."""
    rows = [(place + 1, moment(day.start), day.status, day.says) for place, day in enumerate(found)]
    return ["## Days", "", *table(("day", "from", "objectives", "because"), rows, empty="No whole day was seen.")]


def incidents(found: Troubles) -> list[str]:
    """Return count, impact, mean time to repair, and each incident."""
    kinds = f"{found.minor} minor, {found.major} major, {found.critical} critical"
    impact = "-" if found.impact is None else f"{found.impact:.4%} of the candidate's messages failed meanwhile"
    lines = [
        "## Incidents",
        "",
        f"- Total: {found.total} ({kinds}), {found.open} open",
        f"- Impact: {impact}",
        f"- MTTR: {'-' if found.mttr_s is None else format_duration(found.mttr_s) + ' on average'}",
        "",
    ]
    rows = [
        (one.id, one.severity, one.title, moment(one.opened), format_duration(one.lasted_s), one.failed, one.cause)
        for one in found.each
    ]
    names = ("id", "severity", "title", "opened", "lasted", "failed messages", "cause")
    return lines + (table(names, rows, empty="") if rows else [])

"""What every report begins with: whose it is, when it was made, over which time, and the end of the audit chain."""

import re
from datetime import UTC, datetime
from typing import Literal

import msgspec

from agt.supervisor.reports._archive import Archive

ReportKind = Literal["slo", "incident", "completion", "retrospective"]


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a report."""

    kind: ReportKind
    tag: str
    """`migration-PLAN-DATE`: the run's, by the day on which it began."""
    plan: str
    control: str
    candidate: str
    squeeze: float
    """How many times faster than written the plan ran; a day of it is so much shorter."""
    made_at: float
    """Seconds since the epoch."""
    start: float
    """Begin of what the report is about."""
    end: float
    audit_head: str
    """`NUMBER:HASH`; noted elsewhere, it shows whether rows were cut off later."""
    audit_rows: int
    audit_problem: str = ""
    """The first thing that is wrong with the chain; empty when it is whole."""
    left_out: int = 0
    """Rows of the records that could not be read."""


def heading(archive: Archive, kind: ReportKind, *, start: float, end: float, now: float) -> Heading:
    """Return the head of a report over a time."""
    return Heading(
        kind=kind,
        tag=tag_of(archive),
        plan=archive.plan.name,
        control=archive.plan.control,
        candidate=archive.plan.candidate,
        squeeze=archive.plan.squeeze,
        made_at=now,
        start=start,
        end=end,
        audit_head=str(archive.chain.head),
        audit_rows=archive.chain.rows,
        audit_problem=archive.chain.problem,
        left_out=archive.left_out,
    )


def tag_of(archive: Archive) -> str:
    """Return the run's tag: document 000's `migration-v3-<date>`."""
    name = re.sub(r"[^A-Za-z0-9._]", "-", archive.plan.name)
    return f"migration-{name}-{datetime.fromtimestamp(archive.begun, UTC):%Y-%m-%d}"


def day_s(archive: Archive) -> float:
    """Return how long a day of the plan took, in seconds."""
    return archive.plan.window_s("1d")

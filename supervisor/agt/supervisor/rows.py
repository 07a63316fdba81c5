"""Rows of the books as values: what an operator did, what went wrong, and who was told. Importing opens no database."""

from typing import Literal

import msgspec

IncidentSeverity = Literal["minor", "major", "critical"]


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One action of an operator."""

    number: int = 0
    at: float
    """Seconds since the epoch."""
    by: str
    """The name of a token, or what was claimed (`claimed:NAME`)."""
    action: str
    detail: str = ""
    """What it was given, as JSON; never a secret."""
    outcome: str
    """`done` or `refused`."""
    says: str = ""
    """What was answered."""
    hash: str = ""
    """SHA-256 of this row and the one before."""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One incident."""

    id: int
    opened: float
    """Seconds since the epoch."""
    severity: IncidentSeverity
    title: str
    opened_by: str
    """A person, or `rule NAME`."""
    phase: str = ""
    """The rollout's phase at that time."""
    closed: float | None = None
    closed_by: str = ""
    cause: str = ""

    @property
    def open(self) -> bool:
        """Whether it still stands."""
        return self.closed is None


class SinkReport(msgspec.Struct, kw_only=True):
    """What became of the alerts for one sink, since this supervisor's start."""

    sink: str
    kind: str
    sent: int = 0
    failed: int = 0
    """Given up after every try."""
    shed: int = 0
    """There was no room for them."""
    waiting: int = 0
    problem: str = ""
    """Why the newest try failed; empty when it didn't."""

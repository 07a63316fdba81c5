"""Rows of the books as values: what an operator did, and what went wrong. Importing them opens no database."""

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

"""What the control API says of audit, incidents and snapshots, and how it is asked: bodies as structs."""

from typing import Annotated

import msgspec
from msgspec import Meta

from agt.supervisor.rows import AuditRow, Incident, IncidentSeverity, SinkReport
from agt.supervisor.snapshots import RestoreCheck, SnapshotMeta

TEXT_MAX = 500


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """The newest rows of the audit."""

    rows: tuple[AuditRow, ...]
    """Newest first."""
    head: str
    """The end of the chain, `NUMBER:HASH`; note it elsewhere, and rows that are cut off show."""


class AuditCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk over the chain found."""

    whole: bool
    rows: int
    head: str
    problem: str = ""


class IncidentPage(msgspec.Struct, frozen=True, kw_only=True):
    """The newest incidents, newest first."""

    incidents: tuple[Incident, ...]


class IncidentOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open an incident."""

    title: Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)]
    severity: IncidentSeverity = "minor"
    by: str = ""


class IncidentEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Close an incident."""

    cause: Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)]
    by: str = ""


class SnapshotPage(msgspec.Struct, frozen=True, kw_only=True):
    """The snapshots that are there, newest first."""

    snapshots: tuple[SnapshotMeta, ...]


class SnapshotOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take a snapshot."""

    says: Annotated[str, Meta(max_length=TEXT_MAX)] = ""
    """For what."""
    keep: bool = False
    """Whether retention leaves it."""
    by: str = ""


class AlertOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Acknowledge an alert, or try the sinks."""

    by: str = ""


class AlertPrune(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Forget old alerts."""

    older_than_s: Annotated[float, Meta(ge=0, le=1e10)]
    """Those that were resolved so many seconds ago; open ones never."""
    by: str = ""


class AlertsPruned(msgspec.Struct, frozen=True, kw_only=True):
    """What became of old alerts."""

    pruned: int


class SinkPage(msgspec.Struct, frozen=True, kw_only=True):
    """What became of alerts at each sink."""

    sinks: tuple[SinkReport, ...]


__all__ = (
    "AlertOrder",
    "AlertPrune",
    "AlertsPruned",
    "AuditCheck",
    "AuditPage",
    "AuditRow",
    "Incident",
    "IncidentEnd",
    "IncidentOrder",
    "IncidentPage",
    "RestoreCheck",
    "SinkPage",
    "SinkReport",
    "SnapshotMeta",
    "SnapshotOrder",
    "SnapshotPage",
)

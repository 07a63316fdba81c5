"""Snapshots of what a migration stands on: taken whole, checked before anybody relies on one, restored on purpose."""

from agt.supervisor.snapshots._folder import (
    KEPT,
    SnapshotDamaged,
    SnapshotFolder,
    SnapshotRefused,
)
from agt.supervisor.snapshots._meta import Part, SnapshotMeta, Trigger
from agt.supervisor.snapshots._proof import (
    RestoreNote,
    RestoreProof,
    Seen,
    read_note,
    write_note,
)
from agt.supervisor.snapshots._verdict import MAX_AGE_S, RestoreCheck, RestoreVerdict, judge_restore

__all__ = (
    "KEPT",
    "MAX_AGE_S",
    "Part",
    "RestoreCheck",
    "RestoreNote",
    "RestoreProof",
    "RestoreVerdict",
    "Seen",
    "SnapshotDamaged",
    "SnapshotFolder",
    "SnapshotMeta",
    "SnapshotRefused",
    "Trigger",
    "judge_restore",
    "read_note",
    "write_note",
)

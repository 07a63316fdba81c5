"""The dry run: would a restore be right now? Four verdicts, judged in one order.

A snapshot from the future of the projection is never restored (somebody has mixed up two systems); an old one is not
restored unless somebody says so; a damaged one can't be.
"""

import enum
from typing import Final

import msgspec

from agt.supervisor.snapshots._meta import SnapshotMeta

MAX_AGE_S: Final = 600.0
"""Older snapshots are no base for going forward; gates take a fresh one first."""


class RestoreVerdict(enum.Enum):
    """What a dry run says."""

    OK = "Ok"
    VERSION_AHEAD = "VersionAhead"
    TOO_OLD = "TooOld"
    CORRUPT = "Corrupt"


class RestoreCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One dry run, kept as evidence."""

    id: str
    at: float
    """When it was judged, in seconds since the epoch."""
    verdict: RestoreVerdict
    age_ms: int
    says: str

    @property
    def ok(self) -> bool:
        """Whether a restore would be right."""
        return self.verdict is RestoreVerdict.OK


def judge_restore(
    meta: SnapshotMeta, *, damage: str, current_version: int, now: float, max_age_s: float = MAX_AGE_S
) -> RestoreCheck:
    """Return what a dry run of a snapshot says.

    Args:
        meta: What the snapshot says of itself.
        damage: What is wrong with its parts; empty when their checksums agree.
        current_version: The projection's version now.
        now: Seconds since the epoch.
        max_age_s: Older is too old.
    """
    age_s = max(0.0, now - meta.at)
    if meta.projection_version > current_version:
        verdict = RestoreVerdict.VERSION_AHEAD
        says = f"holds version {meta.projection_version}, the projection is at {current_version}: never restore it"
    elif age_s > max_age_s:
        verdict = RestoreVerdict.TOO_OLD
        says = f"is {age_s:,.0f} s old, at most {max_age_s:,.0f} s are allowed: take a fresh one"
    elif damage:
        verdict, says = RestoreVerdict.CORRUPT, damage
    else:
        verdict, says = RestoreVerdict.OK, f"can be restored, {age_s:,.0f} s old"
    return RestoreCheck(id=meta.id, at=now, verdict=verdict, age_ms=round(age_s * 1000), says=says)

"""After a restore: proven by what follows it, not by having been done. Pure.

    pending -> passed     counts as expected, watermarks advanced, no invalid cursor for 60 s, all sources active
    pending -> failed     counts fell short, or what has to hold did not within ten minutes

A restore's note lies in the run directory until the next supervisor has judged it; what is judged stays there.
"""

from pathlib import Path
from typing import Final, Literal

import msgspec

NOTE: Final = "restore.json"
"""The note's name in a run directory."""
QUIET_S: Final = 60.0
"""For so long no cursor may be invalid."""
WITHIN_S: Final = 600.0
"""What has not come to hold by then has failed."""


class RestoreNote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a restore left to be proven, and what came of it."""

    snapshot: str
    at: float
    """When it was restored, in seconds since the epoch."""
    by: str
    counts: dict[str, int]
    """Rows of each kind that were restored: no fewer may be there."""
    verdict: Literal["pending", "passed", "failed"] = "pending"
    says: str = ""
    judged: float | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen after a restore."""

    counts: dict[str, int]
    """Rows of each kind now."""
    watermark: int | None = None
    """Sum of all committed watermarks; None where nobody says."""
    invalid_cursors: int | None = None
    """How many there ever were; None where nobody counts."""
    sources: tuple[str, ...] | None = None
    """Sources that are not active; None where nobody says."""


class RestoreProof:
    """Judges one restore from what is seen, look by look."""

    def __init__(self, note: RestoreNote, *, asks_daemon: bool, now: float, quiet_s: float = QUIET_S) -> None:
        """Begin.

        Args:
            note: What was restored.
            asks_daemon: Whether somebody can say watermarks, cursors and sources; otherwise only counts are looked at.
            now: Seconds of a monotonic clock.
            quiet_s: How long no cursor may be invalid.
        """
        self._note, self._asks, self._quiet_s = note, asks_daemon, quiet_s
        self._began = self._quiet_since = now
        self._first: int | None = None
        self._invalid: int | None = None

    def look(self, seen: Seen, *, now: float) -> tuple[Literal["pending", "passed", "failed"], str]:
        """Return how it stands and why."""
        for name, expected in sorted(self._note.counts.items()):
            if seen.counts.get(name, 0) < expected:
                return "failed", f"{seen.counts.get(name, 0):,} rows of {name} where {expected:,} were restored"
        if now - self._began > WITHIN_S + self._quiet_s:
            return "failed", self._missing(seen, now) or "it took too long"
        missing = self._missing(seen, now)
        return ("pending", missing) if missing else ("passed", self._proven(now))

    def _missing(self, seen: Seen, now: float) -> str:
        if self._asks:
            if seen.watermark is None or seen.sources is None:
                return "nobody says how cursors and sources stand"
            if self._first is None or seen.watermark < self._first:
                self._first = seen.watermark
            if self._invalid is not None and (seen.invalid_cursors or 0) > self._invalid:
                self._quiet_since = now
            self._invalid = seen.invalid_cursors
            if seen.sources:
                return f"not active: {', '.join(seen.sources[:5])}"
            if seen.watermark <= self._first:
                return "no watermark has advanced"
        left_s = self._quiet_s - (now - self._quiet_since)
        return f"{left_s:.0f} s more without an invalid cursor" if left_s > 0 else ""

    def _proven(self, now: float) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in sorted(self._note.counts.items()))
        more = ", watermarks advance, all sources active" if self._asks else ""
        return f"at least {counts}{more}, quiet for {now - self._quiet_since:.0f} s"


def read_note(run: Path) -> RestoreNote | None:
    """Return a run directory's note; None when there is none that can be read."""
    try:
        return msgspec.json.decode((run / NOTE).read_bytes(), type=RestoreNote)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write_note(run: Path, note: RestoreNote) -> None:
    """Put a note into a run directory, whole or not at all.

    Raises:
        OSError: when the disk refuses.
    """
    fresh = run / f"{NOTE}.tmp"
    fresh.write_bytes(msgspec.json.encode(note))
    fresh.chmod(0o600)
    fresh.replace(run / NOTE)

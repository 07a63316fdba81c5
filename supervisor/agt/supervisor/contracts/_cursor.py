"""A cursor into a source: what was fetched, what was committed, and how to recover when the source refuses it.

Neither watermark ever goes back, and nothing is committed that wasn't fetched. A restart goes on from the committed
one, so what lies between the two is fetched again: the reader's dedup memory has to cover the safe rewind and two
minutes.
"""

import enum
from dataclasses import dataclass
from typing import Final

FIRST: Final = 0
"""Before the first event."""


class Recovery(enum.Enum):
    """What to do about an invalid cursor."""

    RETRY_COMMITTED = "retry_from_committed"
    FULL_RESYNC = "full_resync"
    """Read everything again, and warn."""


@dataclass(frozen=True, slots=True)
class CursorLimits:
    """The contract's numbers."""

    checkpoint_s: float = 30.0
    checkpoint_events: int = 500
    rewind_s: float = 600.0
    rewind_events: int = 10_000
    """A rewind goes back by time and by events no further than either."""
    invalid_in_a_row: int = 3
    invalid_within_s: float = 60.0
    dedup_margin_s: float = 120.0

    @property
    def dedup_memory_s(self) -> float:
        """How long a reader has to remember what it has seen."""
        return self.rewind_s + self.dedup_margin_s


@dataclass(frozen=True, slots=True)
class Position:
    """Both watermarks, as a checkpoint keeps them."""

    fetched: int = FIRST
    committed: int = FIRST


class Cursor:
    """One reader's place in one source."""

    def __init__(self, position: Position | None = None, *, now: float, limits: CursorLimits | None = None) -> None:
        """Go on from a checkpoint: what was fetched and not committed is fetched again.

        Raises:
            ValueError: for a checkpoint that has committed more than it fetched, or a negative one.
        """
        start = position or Position()
        if not 0 <= start.committed <= start.fetched:
            raise ValueError(f"a cursor can't have committed {start.committed} of {start.fetched} fetched")
        self._limits = limits or CursorLimits()
        self._fetched = self._committed = start.committed
        self._saved_at, self._saved = now, start.committed
        self._invalid: list[float] = []

    @property
    def position(self) -> Position:
        """Both watermarks."""
        return Position(self._fetched, self._committed)

    def fetch(self, through: int) -> None:
        """Note that events up to `through` were fetched.

        Raises:
            ValueError: if that would go back.
        """
        if through < self._fetched:
            raise ValueError(f"fetched never goes back: {through} after {self._fetched}")
        self._fetched = through
        self._invalid.clear()

    def commit(self, through: int) -> bool:
        """Note that events up to `through` have taken effect; false when they had already.

        Raises:
            ValueError: if they were never fetched.
        """
        if through > self._fetched:
            raise ValueError(f"nothing is committed that wasn't fetched: {through} of {self._fetched}")
        if through <= self._committed:
            return False
        self._committed = through
        return True

    def checkpoint_due(self, *, now: float) -> bool:
        """Tell whether the position has to be saved: enough time or enough events since the last one."""
        moved = self._committed - self._saved
        late = now - self._saved_at >= self._limits.checkpoint_s
        return moved >= self._limits.checkpoint_events or (late and moved > 0)

    def checkpointed(self, position: Position, *, now: float) -> None:
        """Note that a position is durable."""
        self._saved, self._saved_at = max(self._saved, position.committed), now

    def rewind_to(self, *, oldest: int) -> int:
        """Return how far back a safe rewind may read: `rewind_events`, and not before `oldest`.

        `oldest` is the first event younger than `rewind_s`; the source knows times, the cursor doesn't.
        """
        return max(FIRST, oldest, self._committed - self._limits.rewind_events)

    def invalid(self, *, now: float) -> Recovery:
        """Take note that the source refused the cursor; return what to do.

        Fetching starts again at the committed watermark; after several refusals in a row within a minute, everything
        is read again.
        """
        self._invalid = [at for at in self._invalid if now - at < self._limits.invalid_within_s]
        self._invalid.append(now)
        self._fetched = self._committed
        if len(self._invalid) < self._limits.invalid_in_a_row:
            return Recovery.RETRY_COMMITTED
        self._invalid.clear()
        return Recovery.FULL_RESYNC

    @property
    def invalid_streak(self) -> int:
        """Refusals in a row."""
        return len(self._invalid)

    def resynced(self, through: int, *, now: float) -> None:
        """Start over after everything was read again, up to `through`; the only way that a watermark may fall."""
        self._fetched = self._committed = through
        self._saved, self._saved_at = through, now
        self._invalid.clear()

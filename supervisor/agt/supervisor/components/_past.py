"""What is remembered of a component's failures, so that a supervisor that is killed grants no fresh budget.

Times are seconds since boot: no change of the wall clock moves them, and they mean nothing after the next boot, when
only the number of restarts is kept. When restarts and hold-downs happened is the records' business. Pure.
"""

import msgspec


class Failures(msgspec.Struct, frozen=True, kw_only=True):
    """Where a restart policy stands; times are seconds since boot."""

    failed_at: tuple[float, ...] = ()
    """The failures that may count against the budget, oldest first."""
    in_a_row: int = 0
    """Failures since the last success: the exponent of the delay."""
    ready_at: float | None = None
    """Since when it is ready without a break."""
    held_until: float | None = None
    """When the hold-down ends; None when there is none."""


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """All that outlives the supervisor."""

    boot_id: str = ""
    """The boot that the failures belong to."""
    failures: Failures = Failures()
    running: bool = False
    """Whether it was meant to run and did, when this was written: found dead, it died with nobody watching."""
    why: str = ""
    """How it failed last."""
    restarts: int = 0
    """Starts after a failure, of all supervisors."""

    def since_boot(self, boot_id: str) -> "Past":
        """Return what still counts in this boot: after another one nothing runs, and no failure does."""
        if self.boot_id == boot_id:
            return self
        return msgspec.structs.replace(self, boot_id=boot_id, failures=Failures(), running=False, why="")

"""Failed authentication: counted each, answered as fast as a budget allows, told to the audit in bundles.

The budget is one for all peers: on loopback they look the same. It limits only the failing; a valid token is looked at
first, so nobody can lock others out by failing.
"""

from typing import Final

from agt.supervisor.access._buckets import Bucket

PER_S: Final = 1.0
BURST: Final = 10.0
TELL_EVERY_S: Final = 10.0
"""The audit gets at most one row in such a time, with the number of failures since the last."""


class Failures:
    """How often authentication has failed."""

    def __init__(self, *, per_s: float = PER_S, burst: float = BURST, tell_every_s: float = TELL_EVERY_S) -> None:
        self.total = 0
        self._untold, self._told_at = 0, float("-inf")
        self._tell_every_s = tell_every_s
        self._bucket = Bucket(per_s, burst, burst, 0.0)

    def add(self, *, now: float) -> tuple[float, int]:
        """Count one; return the seconds that the peer has to wait (0 for none), and how many are to be told now."""
        self.total += 1
        self._untold += 1
        wait_s = self._bucket.take(now)
        if now - self._told_at < self._tell_every_s:
            return wait_s, 0
        self._told_at, untold, self._untold = now, self._untold, 0
        return wait_s, untold

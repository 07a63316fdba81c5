"""Budgets of requests: a bucket of tokens a caller, pure, with a bounded number of callers.

The bucket is the usual one (refilled at a rate, up to a burst). A caller that isn't remembered starts with a full
bucket, so forgetting the longest unused of them can only be generous.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

CALLERS_MAX: Final = 256


@dataclass(slots=True)
class Bucket:
    """What one caller has left."""

    per_s: float
    burst: float
    left: float
    at: float

    def take(self, now: float) -> float:
        """Take one; return 0, or the seconds until there is one."""
        self.left = min(self.burst, self.left + max(0.0, now - self.at) * self.per_s)
        self.at = max(self.at, now)
        if self.left >= 1.0:
            self.left -= 1.0
            return 0.0
        return (1.0 - self.left) / self.per_s


class Budgets:
    """A bucket for each caller."""

    def __init__(self, *, per_s: float, burst: float, callers_max: int = CALLERS_MAX) -> None:
        assert per_s > 0
        assert burst >= 1
        self.per_s, self.burst, self._callers_max = per_s, burst, callers_max
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, caller: str, *, now: float) -> float:
        """Take one request off a caller's budget; return 0, or the seconds to wait before the next."""
        bucket = self._buckets.pop(caller, None) or Bucket(self.per_s, self.burst, self.burst, now)
        self._buckets[caller] = bucket
        while len(self._buckets) > self._callers_max:
            self._buckets.popitem(last=False)
        return bucket.take(now)

"""Latency quantiles from histogram buckets, with what is still in flight counted as slow now.

A message that has been in flight for 0.9 s will be slower than 0.9 s, whatever happens to it. Waiting for its
answer would hide a stalled path for as long as it stays stalled, so it enters the histogram above the largest
limit that it has passed.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise


def with_in_flight(latency: Mapping[float, float], older_than: Mapping[float, float]) -> dict[float, float]:
    """Return the cumulative histogram with the messages in flight put in, each just above its limit.

    Args:
        latency: Cumulative count by upper bound in seconds, `inf` included (an absent `inf` means none slower).
        older_than: How many are in flight for longer than each limit, in seconds.
    """
    total = max(latency.values(), default=0.0)
    bounds = sorted({*latency, *older_than, math.inf})
    limits = sorted(older_than)
    slow = older_than[limits[0]] if limits else 0.0
    result: dict[float, float] = {}
    for bound in bounds:
        finished = _cumulative(latency, bound, total)
        # What has passed a limit below this bound, and not yet the next limit, lies below the bound.
        passed = [limit for limit in limits if limit >= bound]
        still = older_than[passed[0]] if passed else 0.0
        result[bound] = finished + max(0.0, slow - still)
    return result


def quantile(histogram: Mapping[float, float], share: float) -> float | None:
    """Return the latency in seconds that `share` of the messages stay below, or None without any.

    Linear within a bucket, as Prometheus does it; beyond the last finite bound it is that bound.
    """
    bounds = sorted(histogram)
    if not bounds or histogram[bounds[-1]] <= 0:
        return None
    rank = share * histogram[bounds[-1]]
    for low, high in pairwise([0.0, *bounds]):
        if histogram[high] >= rank:
            return low if math.isinf(high) else _within(histogram, low, high, rank)
    raise AssertionError("a cumulative histogram reaches its own total")


def slower_than(histogram: Mapping[float, float], limit_s: float) -> float:
    """Return how many messages were slower than the limit, which is rounded up to a bound of the histogram."""
    bounds: Sequence[float] = sorted(histogram)
    if not bounds:
        return 0.0
    at = next((bound for bound in bounds if bound >= limit_s), bounds[-1])
    return histogram[bounds[-1]] - histogram[at]


def _within(histogram: Mapping[float, float], low: float, high: float, rank: float) -> float:
    below = histogram.get(low, 0.0)
    inside = histogram[high] - below
    return high if inside <= 0 else low + (high - low) * (rank - below) / inside


def _cumulative(latency: Mapping[float, float], bound: float, total: float) -> float:
    if bound in latency:
        return latency[bound]
    below = [count for limit, count in latency.items() if limit < bound]
    return total if math.isinf(bound) else max(below, default=0.0)

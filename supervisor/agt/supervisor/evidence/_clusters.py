"""Failure rates from counts by groups of devices, with a variance that doesn't believe in independent messages.

Messages of one device fail together: a flaky bulb fails all day. Whoever counts messages as independent trials takes
one bad device in the cohort for proof. Devices are what was assigned at random, so they, gathered into groups by a hash
that has nothing to do with their position, are what is independent here, and how much the groups differ among each
other says how uncertain the rate is.

Source: the ratio estimator and its cluster-robust variance, W. Cochran, "Sampling Techniques" (1977), section 9.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cluster:
    """One group of devices on one runtime."""

    ended: float
    """Messages whose outcome is known, and those in flight for too long."""
    bad: float
    """Of these, those that failed or were too slow."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A failure rate with its uncertainty."""

    value: float
    """Bad / ended, from 0 to 1."""
    variance: float
    """Of `value`, between groups."""
    ended: float
    bad: float
    clusters: int
    """Groups that had any traffic."""


def rate_of(clusters: Iterable[Cluster]) -> Rate:
    """Return the rate over all groups; one without traffic says nothing and counts for nothing."""
    used = [cluster for cluster in clusters if cluster.ended > 0]
    ended = math.fsum(cluster.ended for cluster in used)
    bad = math.fsum(cluster.bad for cluster in used)
    if not used:
        return Rate(0.0, math.inf, 0.0, 0.0, 0)
    value, count = bad / ended, len(used)
    if count == 1:
        return Rate(value, math.inf, ended, bad, 1)
    spread = math.fsum((cluster.bad - value * cluster.ended) ** 2 for cluster in used)
    return Rate(value, count / (count - 1) * spread / ended**2, ended, bad, count)

"""Whether the candidate fails more often than control: shown worse, shown not worse, or not decided yet."""

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agt.supervisor.evidence._boundary import Boundary
from agt.supervisor.evidence._clusters import Cluster, Rate, rate_of

MIN_CLUSTERS: Final = 6
"""Groups that each runtime needs: with fewer, how much they differ among each other is anybody's guess."""
MIN_BAD: Final = 5
"""Failures of the candidate that it takes to call it worse: fewer are too rare for any normal approximation."""
_GROWTH_MAX: Final = 1e6
"""A test that needs a million times what it has is not going to be decided."""


class Shown(enum.Enum):
    """What the counts show."""

    WORSE = "shown worse"
    NOT_WORSE = "shown not worse"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of two failure rates, candidate minus control, and what it shows."""

    shown: Shown
    difference: float
    low: float
    """Whatever is below this is ruled out (at the rule's alpha); -inf when nothing is."""
    high: float
    """Whatever is above this is ruled out (at the gate's alpha); inf when nothing is."""
    candidate: Rate
    control: Rate
    missing: int | None
    """About how many more messages of the candidate it takes to show that it is not worse; None when that can't be
    foreseen."""


def compare_rates(
    candidate: Iterable[Cluster], control: Iterable[Cluster], *, margin: float, worse: Boundary, not_worse: Boundary
) -> Comparison:
    """Compare the two runtimes over the same time.

    Args:
        candidate: Counts of the candidate, by group.
        control: Counts of control, by group.
        margin: The declared effect: a difference of rates from which the candidate counts as worse.
        worse: What `shown worse` has to cross: then the difference is above zero.
        not_worse: What `shown not worse` has to cross: then the difference is below the margin.
    """
    ours, theirs = rate_of(candidate), rate_of(control)
    difference = ours.value - theirs.value
    if min(ours.clusters, theirs.clusters) < MIN_CLUSTERS:
        return Comparison(Shown.UNDECIDED, difference, -math.inf, math.inf, ours, theirs, None)
    variances = _floored(ours, theirs)
    variance, freedom = sum(variances), _freedom(variances, ours, theirs)
    error, information = math.sqrt(variance), 1 / variance
    low = difference - error * worse.standard_errors(information, freedom=freedom)
    high = difference + error * not_worse.standard_errors(information, freedom=freedom)
    is_worse = low > 0 and ours.bad >= MIN_BAD
    shown = Shown.WORSE if is_worse else Shown.NOT_WORSE if high < margin else Shown.UNDECIDED
    missing = None
    if shown is Shown.UNDECIDED:
        missing = _missing(difference, information, freedom, margin, not_worse, ours)
    return Comparison(shown, difference, low, high, ours, theirs, missing)


def _floored(ours: Rate, theirs: Rate) -> tuple[float, float]:
    """Return both variances, never below those of independent messages: no failures yet is no certainty."""
    pooled = (ours.bad + theirs.bad + 1) / (ours.ended + theirs.ended + 2)
    alone = pooled * (1 - pooled)
    return max(ours.variance, alone / ours.ended), max(theirs.variance, alone / theirs.ended)


def _freedom(variances: tuple[float, float], ours: Rate, theirs: Rate) -> float:
    """Return the degrees of freedom of the sum of two variances (B. Welch, Biometrika 34, 1947)."""
    own, other = variances
    return (own + other) ** 2 / (own**2 / (ours.clusters - 1) + other**2 / (theirs.clusters - 1))


def _missing(
    difference: float, information: float, freedom: float, margin: float, boundary: Boundary, ours: Rate
) -> int | None:
    """Return how many more messages would do if the difference stays what it is: information grows with them."""

    def decided(growth: float) -> bool:
        grown = information * growth
        return difference + boundary.standard_errors(grown, freedom=freedom) / math.sqrt(grown) < margin

    if difference >= margin or not decided(_GROWTH_MAX):
        return None
    low, high = 1.0, 2.0
    while not decided(high):
        low, high = high, high * 2
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (low, middle) if decided(middle) else (middle, high)
    return math.ceil(ours.ended * (high - 1))

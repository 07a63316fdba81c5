"""Is it noise? An anytime-valid test on paired comparisons: it may be looked at after every message.

Each mirrored message that the *floor* was asked about too gives one number: +1 when only the runtime that is tried out
differs from what was carried, -1 when only the second control does (noise, by definition), 0 when both or neither do.
Were the candidate like control, the mean of these, the *excess*, would be 0: that is the hypothesis, and no rate of
noise has to be known for it. Without a floor the numbers are 0 and 1, and the mean is held against a declared rate.

The test is a bet (Ville 1939; Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
2024). Against "the mean is at most m" a fixed stake `s` multiplies a capital by `1 + s (z - m)` with each number z.
If the hypothesis is true the capital is a supermartingale, whatever the messages depend on, and by Ville's inequality
it ever reaches `1 / alpha` with a probability of at most alpha: so one may look as often as one likes, and stop when
one likes. Averaging over a fixed table of stakes keeps that, and does nearly as well as the best of them. Since z has
three values the capital depends on three counts, so nothing is kept of the past but these, and routers' counts add up.

`DIFFERS`: the capital against "the excess is at most 0" reached 1/alpha. `EQUAL`: that against "the excess is at least
`margin`" did. Undecided: neither has.
"""

import enum
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Final, NamedTuple

ALPHA: Final = 0.05
"""The chance of ever calling noise a difference, and of ever calling a difference of `MARGIN` or more equal."""
MARGIN: Final = 0.005
"""An excess below this is as good as none: 0.5 % of the messages."""
MORE_MAX: Final = 1_000_000_000
"""Samples beyond which no forecast goes."""

_STAKES: Final = tuple(0.999 * 2.0 ** (-step / 2) for step in range(24))
"""Shares of the largest stake that could never lose everything: a factor of the root of 2 apart, down to 1/3000."""
_LOG_STAKES: Final = math.log(len(_STAKES))
_UNBOUNDED_STAKE: Final = 1000.0
"""Stands for the largest stake where none is too large."""
_BOUND_STEPS: Final = 16


class ShadowVerdict(enum.StrEnum):
    """What can be said of the runtime that is tried out."""

    EQUAL = "equal"
    """Equal within noise, as far as `MARGIN`."""
    DIFFERS = "differs"
    """It differs more often than control does from itself."""
    UNDECIDED = "undecided"
    """Not enough yet."""


class PairCounts(NamedTuple):
    """What the test goes by."""

    only_tried: int
    """Messages on which only the runtime that is tried out differed."""
    only_floor: int
    """Messages on which only the second control differed; 0 without a floor."""
    total: int
    """All messages that both were asked about."""
    paired: bool = True
    """Whether there is a floor; without one, `declared` stands in its place."""

    @property
    def excess(self) -> float:
        """How much more often the tried runtime differs, as a share of the messages; 0 without any."""
        return (self.only_tried - self.only_floor) / self.total if self.total else 0.0


class Judged(NamedTuple):
    """A verdict and its numbers."""

    verdict: ShadowVerdict
    excess: float
    """Differences above the floor, as a share of the messages; may be negative."""
    low: float
    high: float
    """Between these the true excess lies, at every look with confidence 1 - 2 alpha."""
    more: int | None
    """About how many more samples decide, if the two are equal; 0 when it is decided, None when it can't be said."""


def judge_pairs(counts: PairCounts, *, alpha: float = ALPHA, margin: float = MARGIN, declared: float = 0.0) -> Judged:
    """Say how the counts stand.

    Args:
        counts: the counts so far.
        alpha: the chance of error that this verdict may spend, each way.
        margin: what is as good as equal, a share of the messages.
        declared: the rate of noise that is assumed where there is no floor.
    """
    assumed = 0.0 if counts.paired else declared
    needed = -math.log(alpha)
    low, high = _bounds(counts, needed, assumed)
    verdict = verdict_of(counts, alpha=alpha, margin=margin, declared=declared)
    more: int | None = 0
    if verdict is ShadowVerdict.UNDECIDED:
        more = _more(counts, needed, assumed + margin, assumed)
    return Judged(verdict, counts.excess - assumed, low, high, more)


def verdict_of(
    counts: PairCounts, *, alpha: float = ALPHA, margin: float = MARGIN, declared: float = 0.0
) -> ShadowVerdict:
    """Say only the verdict, which costs far less than `judge_pairs`; arguments as there."""
    assumed = 0.0 if counts.paired else declared
    needed = -math.log(alpha)
    if _against_at_most(counts, assumed) >= needed:
        return ShadowVerdict.DIFFERS
    if _against_at_least(counts, assumed + margin) >= needed:
        return ShadowVerdict.EQUAL
    return ShadowVerdict.UNDECIDED


def _against_at_most(counts: PairCounts, mean: float) -> float:
    """Return the logarithm of the capital against "the mean is at most this"."""
    lowest = -1.0 if counts.paired else 0.0
    return _capital(counts.only_tried, counts.only_floor, counts.total, mean, lowest)


def _against_at_least(counts: PairCounts, mean: float) -> float:
    """Return the logarithm of the capital against "the mean is at least this": the same bet on the mirror image."""
    return _capital(counts.only_floor, counts.only_tried, counts.total, -mean, -1.0)


def _capital(ups: int, downs: int, total: int, mean: float, lowest: float) -> float:
    rest = total - ups - downs
    logs = [ups * up + downs * down + rest * level for up, down, level in _growths(mean, lowest)]
    best = max(logs)
    return best + math.log(math.fsum(math.exp(value - best) for value in logs)) - _LOG_STAKES


@lru_cache(maxsize=256)
def _growths(mean: float, lowest: float) -> tuple[tuple[float, float, float], ...]:
    """Return what each stake's capital grows by, as logarithms, with +1, -1 and 0."""
    room = mean - lowest
    most = min(1.0 / room, _UNBOUNDED_STAKE) if room > 0 else _UNBOUNDED_STAKE
    stakes = [share * most for share in _STAKES]
    # What can't come (-1 without a floor) is never multiplied by anything but 0.
    return tuple(
        (math.log1p(stake * (1.0 - mean)), _log_or_zero(-stake * (1.0 + mean)), _log_or_zero(-stake * mean))
        for stake in stakes
    )


def _log_or_zero(gain: float) -> float:
    return math.log1p(gain) if gain > -1.0 else 0.0


def _bounds(counts: PairCounts, needed: float, assumed: float) -> tuple[float, float]:
    """Return the least and the greatest excess that the bets have not ruled out."""
    lowest = -1.0 if counts.paired else 0.0
    if not counts.total:
        return lowest - assumed, 1.0 - assumed
    middle = counts.excess
    low = _edge(lowest, middle, lambda mean: _against_at_most(counts, mean) >= needed)
    high = _edge(1.0, middle, lambda mean: _against_at_least(counts, mean) >= needed)
    return low - assumed, high - assumed


def _edge(outer: float, inner: float, ruled_out: Callable[[float], bool]) -> float:
    """Return where ruled out ends, between a far end and the middle; the outer side of the edge, to be safe."""
    if not ruled_out(outer * 0.999999):
        return outer
    for _ in range(_BOUND_STEPS):
        between = (outer + inner) / 2
        if ruled_out(between):
            outer = between
        else:
            inner = between
    return outer


def _more(counts: PairCounts, needed: float, limit: float, assumed: float) -> int | None:
    """Forecast how many more samples show equality, if the excess is 0 and noise stays as it was."""
    seen = counts.only_tried + counts.only_floor
    noise = (seen + 0.5) / (counts.total + 1)
    rates = (noise / 2, noise / 2) if counts.paired else (min(noise, assumed), 0.0)

    def decided(more: int) -> bool:
        ups, downs = counts.only_tried + rates[0] * more, counts.only_floor + rates[1] * more
        forecast = PairCounts(round(ups), round(downs), counts.total + more, counts.paired)
        return _against_at_least(forecast, limit) >= needed

    few, many = 0, 1
    while not decided(many):
        few, many = many, many * 2
        if many > MORE_MAX:
            return None
    while many - few > max(1, few // 100):
        middle = (few + many) // 2
        few, many = (few, middle) if decided(middle) else (middle, many)
    return many

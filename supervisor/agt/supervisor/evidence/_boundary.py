"""How far a running difference may stray by chance, over all looks together.

A test that is valid at one look is not valid at a thousand: somebody who looks each minute sees a "significant"
difference sooner or later, though there is none. The boundary here is crossed with probability at most `alpha` *ever*,
so a rollout may be judged at every check, and be stopped or prolonged at will.

Source: the one-sided normal mixture of S. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform, nonparametric,
nonasymptotic confidence sequences", Annals of Statistics 49 (2021); used with an estimated variance as in
I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy, A. Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences", Annals of Statistics 52 (2024). The variance of few groups is itself uncertain: the normal
quantile is replaced by Student's with the same tail (M. Abramowitz, I. Stegun, "Handbook", 26.7.5).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

_NORMAL: Final = NormalDist()
_LEAST_TAIL: Final = 1e-300
"""Below this a tail probability has no quantile in floats."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """A one-sided boundary for one test.

    Information is 1 / variance of the estimated difference: it grows with the samples, and the boundary is a
    function of it alone, so that quiet hours neither cost nor earn anything.
    """

    alpha: float
    """Probability of ever crossing it by chance."""
    tightest_at: float
    """The information at which the boundary is meant to be tightest: what the declared effect takes."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            ValueError: for an alpha outside 0 to 0.5, or no information.
        """
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha has to lie between 0 and 0.5, not {self.alpha}")
        if not (math.isfinite(self.tightest_at) and self.tightest_at > 0):
            raise ValueError(f"information has to be above zero, not {self.tightest_at}")

    @classmethod
    def for_effect(cls, effect: float, *, alpha: float, power: float = 0.8) -> "Boundary":
        """Return the boundary that is tightest where `effect` would be found with this power.

        Raises:
            ValueError: for an effect that is not above zero, or a power or alpha that is no probability.
        """
        if not effect > 0:
            raise ValueError(f"an effect has to be above zero, not {effect}")
        if not 0.5 <= power < 1:
            raise ValueError(f"power has to lie between 0.5 and 1, not {power}")
        boundary = cls(alpha=alpha, tightest_at=1.0)
        looks = boundary.standard_errors(1.0)
        return cls(alpha=alpha, tightest_at=((looks + _NORMAL.inv_cdf(power)) / effect) ** 2)

    def standard_errors(self, information: float, *, freedom: float = math.inf) -> float:
        """Return how many standard errors from the truth an estimate may lie, at any time.

        Args:
            information: 1 / variance of the estimate.
            freedom: Degrees of freedom of that variance.
        """
        mixing = self.tightest_at / _best_ratio(self.alpha)
        total = information + mixing
        odds = math.sqrt(total / mixing) / (2 * self.alpha)
        normal = math.sqrt(2 * total * math.log1p(odds) / information)
        return student(normal, freedom)


def student(normal: float, freedom: float) -> float:
    """Return Student's quantile with the tail of a normal one, by the Cornish-Fisher expansion.

    Good to 2 % for five degrees of freedom and more at the quantiles of tests; with fewer it is cut off there, so
    callers need at least five.
    """
    if math.isinf(freedom):
        return normal
    z, n = normal, max(freedom, 5.0)
    first = z * (z**2 + 1) / 4
    second = z * (5 * z**4 + 16 * z**2 + 3) / 96
    third = z * (3 * z**6 + 19 * z**4 + 17 * z**2 - 15) / 384
    fourth = z * (79 * z**8 + 776 * z**6 + 1482 * z**4 - 1920 * z**2 - 945) / 92160
    return z + first / n + second / n**2 + third / n**3 + fourth / n**4


def _best_ratio(alpha: float) -> float:
    """Return information / mixing where the boundary is tightest in standard errors (close to optimal)."""
    level = -2 * math.log(max(2 * alpha, _LEAST_TAIL))
    return level + math.log1p(level) if level > 0 else 1.0

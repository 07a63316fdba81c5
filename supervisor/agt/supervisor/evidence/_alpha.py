"""A plan's alpha, split in advance.

The declared alpha is the probability that the statistical rules *ever* send back a candidate that is no worse, over the
whole plan. Each phase in which the candidate carries traffic has an equal share; a phase that is entered again (after
a rollback and a recorded cause) gets half of what its last visit had, so that trying again and again still adds up to
the share. Within a visit, the tests of a phase share equally.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AlphaShare:
    """What one test may spend in one visit of a phase."""

    alpha: float
    plan_alpha: float
    phases: int
    """Phases in which the candidate carries traffic."""
    visit: int
    """1 for the first."""
    tests: int


def split_alpha(plan_alpha: float, *, phases: int, tests: int, visit: int = 1) -> AlphaShare:
    """Return the share of one test: alpha / phases / 2^visit / tests.

    The halves of all visits add up to one, so however often a phase is entered, it spends no more than its share.

    Raises:
        ValueError: for an alpha that is no probability below one half, or counts below one.
    """
    if not 0 < plan_alpha < 0.5:
        raise ValueError(f"alpha has to lie between 0 and 0.5, not {plan_alpha}")
    if min(phases, tests, visit) < 1:
        raise ValueError("phases, tests and visits are counted from one")
    return AlphaShare(plan_alpha / phases / 2**visit / tests, plan_alpha, phases, visit, tests)

"""Verdicts, from best to worst, each with a reason that says what was seen and what is missing.

Folding takes the worst, so one failed gate outweighs any number of passed ones. An empty fold is `PENDING`: no
data never passes.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from agt.supervisor.view import VerdictName


class Verdict(enum.IntEnum):
    """How a condition stands; the order is the order of severity."""

    PASSED = 0
    PENDING = 1
    """Not decided yet: time or samples are missing."""
    INCONCLUSIVE = 2
    """Can't be decided as things are: nothing measures it."""
    ERROR = 3
    """Couldn't be looked at: a router doesn't answer, a store is closed."""
    FAILED = 4

    @property
    def word(self) -> VerdictName:
        """The word that the view and the journal use."""
        return _WORDS[self]


_WORDS: dict[Verdict, VerdictName] = {
    Verdict.PASSED: "passed",
    Verdict.PENDING: "pending",
    Verdict.INCONCLUSIVE: "inconclusive",
    Verdict.ERROR: "error",
    Verdict.FAILED: "failed",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with what it rests on."""

    verdict: Verdict
    reason: str
    """What was seen, and what is missing; never empty."""
    value: float | None = None
    samples: int = 0

    def __post_init__(self) -> None:
        assert self.reason, "a verdict without a reason helps nobody"


def worst(judgements: Iterable[Judgement], *, empty: str) -> Judgement:
    """Return the worst of them (the first of equals), or `PENDING` with the reason `empty` when there are none."""
    found = list(judgements)
    if not found:
        return Judgement(Verdict.PENDING, empty)
    return max(found, key=lambda judgement: judgement.verdict)

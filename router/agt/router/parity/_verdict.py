"""How a comparison ends, in the words that gates use."""

import enum
from collections.abc import Iterable

import msgspec


class Verdict(enum.StrEnum):
    """From best to worst; only `PASSED` lets anything go on."""

    PASSED = "passed"
    PENDING = "pending"
    """Not decided yet: more takes or samples are to come."""
    INCONCLUSIVE = "inconclusive"
    """Can't be decided as things are: nothing to compare, or what differs never keeps still."""
    ERROR = "error"
    """Couldn't be looked at: a side doesn't answer, or answers nonsense."""
    FAILED = "failed"

    @property
    def severity(self) -> int:
        """0 for passed, and rising."""
        return list(Verdict).index(self)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of several, with what was seen."""

    name: str
    verdict: Verdict
    says: str
    """What was seen, and what was allowed; never empty."""


def worst_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of some verdicts; without any nothing was shown, which is inconclusive."""
    return max(verdicts, key=lambda one: one.severity, default=Verdict.INCONCLUSIVE)

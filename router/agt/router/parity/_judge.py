"""From what the takes showed to a verdict with a reason. Pure."""

from agt.router.parity._compare import Comparison
from agt.router.parity._projection import Projection
from agt.router.parity._settling import Settling
from agt.router.parity._verdict import Verdict

KINDS = {
    "missing": "missing on the candidate",
    "extra": "only on the candidate",
    "differs": "differing",
    "duplicate": "doubled on one side",
    "order": "in another order",
}
"""Kinds of difference, for people."""


def judge(projection: Projection, settling: Settling, last: Comparison) -> tuple[Verdict, str]:
    """Return how a projection stands after its last take, and why."""
    if last.empty and not projection.allow_empty:
        return Verdict.INCONCLUSIVE, "both listings are empty, which shows nothing (allow_empty takes it for equal)"
    verdict = settling.verdict
    if verdict is Verdict.PASSED:
        return verdict, _equal(projection, settling, last)
    if verdict is Verdict.FAILED:
        return verdict, f"{summary(last)}, of which {len(settling.settled)} stood for {_lasted(projection)}"
    if verdict is Verdict.INCONCLUSIVE:
        return (
            verdict,
            f"differences come and go: never a clean take in {settling.takes}, and none lasted; {summary(last)}",
        )
    return (
        verdict,
        f"{summary(last)} in take {settling.takes}; they count once they have stood for {_lasted(projection)}",
    )


def summary(comparison: Comparison) -> str:
    """Return the differences by kind, in words."""
    total = sum(comparison.counts.values())
    kinds = ", ".join(f"{count} {KINDS[kind]}" for kind, count in comparison.counts.items())
    return f"{total} difference{'s' * (total != 1)} ({kinds})" if total else "no difference"


def _equal(projection: Projection, settling: Settling, last: Comparison) -> str:
    fields = f"in {', '.join(projection.fields)}" if projection.fields else "in every field"
    says = (
        f"{last.compared} row{'s' * (last.compared != 1)} equal {fields}"
        if last.compared
        else "both listings are empty"
    )
    if settling.transient:
        says += f"; {settling.transient} passing difference{'s' * (settling.transient != 1)} in earlier takes"
    return f"{says}; {last.ignored} ignored by rule" if last.ignored else says


def _lasted(projection: Projection) -> str:
    takes = f"{projection.takes} take{'s' * (projection.takes != 1)} in a row"
    return f"{takes} and {projection.settle_s:g} s" if projection.settle_s else takes

"""Readings of mirrored messages: counts, the share that went wrong, and what is left above the noise.

A share of differences is a number only once it has been decided: equal within noise, or not. Until then it says how
many more messages that takes, so that a gate waits and never passes on luck. A window's counts are those of
`agt_shadow_*` on all routers together.
"""

from typing import Final

from agt.router.shadow import PairCounts, ShadowVerdict, judge_pairs
from agt.supervisor.measure._reading import Reading
from agt.supervisor.measure._sample import ShadowCounters

RATE_SAMPLES_MIN: Final = 1000
"""That less than 1 in 1,000 fails can't be shown on fewer comparisons; two failures show more on any number."""
NOTHING: Final = "nothing compared yet"


def read_shadow(metric: str, counts: ShadowCounters) -> Reading:
    """Return a metric of mirrored messages in a window."""
    compared = round(counts.compared)
    if compared == 0:
        return Reading(None, why=_without_twin(round(counts.decided)) if counts.decided else NOTHING)
    if metric == "shadow_compared":
        return Reading(counts.compared, samples=compared)
    if metric == "shadow_differences":
        return Reading(counts.differences, samples=compared)
    if metric == "shadow_error_rate":
        if compared < RATE_SAMPLES_MIN and counts.errors <= 1:
            return Reading(None, compared, why=f"{compared:,} of {RATE_SAMPLES_MIN:,} comparisons")
        return Reading(counts.errors / counts.compared, samples=compared)
    assert metric == "shadow_difference", f"an unknown metric passed the plan check: {metric}"
    return _difference(counts)


def _without_twin(decided: int) -> str:
    """Say why nothing will ever be compared: a message that nobody takes is only counted."""
    return f"{NOTHING}: {decided:,} messages had no twin to go to (see `agt shadow` and docs/guides/shadow.md)"


def _difference(counts: ShadowCounters) -> Reading:
    paired = round(counts.paired)
    if paired:
        pairs = PairCounts(round(counts.only_tried), round(counts.only_floor), paired)
    else:
        pairs = PairCounts(round(counts.differences), 0, round(counts.compared), paired=False)
    judged = judge_pairs(pairs)
    if judged.verdict is ShadowVerdict.UNDECIDED:
        more = "" if judged.more is None else f", about {judged.more:,} more if they are equal"
        return Reading(None, pairs.total, why=f"{pairs.total:,} comparisons decide nothing yet{more}")
    return Reading(max(0.0, judged.excess), samples=pairs.total)

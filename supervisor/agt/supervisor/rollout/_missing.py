"""What is missing until a condition can be decided, in words: so many more samples, and how long that takes. Pure."""

import math

from agt.supervisor.rollout._durations import format_duration

_EXACT_BELOW = 100
"""So few are said exactly; of more, two digits are plenty for an estimate."""


def missing_in_words(have: int, wanted: int, *, elapsed_s: float, window_s: float) -> str:
    """Return what is still missing, at the rate that there was; empty when nothing is.

    Args:
        have: How many there are.
        wanted: How many it takes.
        elapsed_s: How long that took.
        window_s: How far back is looked: what is older counts no more. Infinite where all counts.
    """
    more = wanted - have
    if more <= 0:
        return ""
    samples = f"about {_rounded(more):,} more samples" if more > 1 else "1 more sample"
    if have <= 0 or elapsed_s <= 0:
        return samples
    rate = have / elapsed_s
    if wanted / rate > window_s:
        return f"{samples}, but {format_duration(window_s)} bring only about {_rounded(int(rate * window_s)):,}"
    return f"{samples}, {format_duration(more / rate)}"


def _rounded(count: int) -> int:
    if count < _EXACT_BELOW:
        return count
    unit: int = 10 ** (int(math.log10(count)) - 1)
    return -(-count // unit) * unit

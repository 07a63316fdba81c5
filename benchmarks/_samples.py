"""What a measurement is, and how many of them become one figure."""

from collections.abc import Sequence
from statistics import median

import msgspec


class Percentiles(msgspec.Struct, frozen=True):
    """Round trips in microseconds."""

    p50: float
    p99: float


class Figures(msgspec.Struct, frozen=True):
    """What one side reached in one round."""

    rtt_us: Percentiles
    per_s: dict[str, int]
    """Messages a second by how many were in flight."""
    cpu_us: dict[str, float]
    """Processor time a message, both ends together, in microseconds; holds on a busy machine too."""


def percentiles_us(latencies_s: Sequence[float]) -> Percentiles:
    """Return the percentiles of round trips given in seconds."""
    ordered = sorted(latencies_s)
    return Percentiles(
        p50=round(ordered[len(ordered) // 2] * 1e6, 1), p99=round(ordered[len(ordered) * 99 // 100] * 1e6, 1)
    )


def median_of(rounds: Sequence[Figures]) -> Figures:
    """Fold rounds into one, figure by figure."""
    return Figures(
        rtt_us=Percentiles(
            p50=median(figures.rtt_us.p50 for figures in rounds), p99=median(figures.rtt_us.p99 for figures in rounds)
        ),
        per_s={window: round(median(figures.per_s[window] for figures in rounds)) for window in rounds[0].per_s},
        cpu_us={window: round(median(figures.cpu_us[window] for figures in rounds), 2) for window in rounds[0].cpu_us},
    )

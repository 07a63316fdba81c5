"""What links count by themselves, added to the runtime's metrics as it grows."""

from copy import copy

import msgspec

from agt.transport._link import Link
from agt.transport._metrics import TransportMetrics

FOLDED_COUNTERS = (
    "observed_missing",
    "resends",
    "ack_timeouts",
    "duplicates_dropped",
    "decode_errors",
    "heartbeats",
    "tag_failures",
)
"""What a link may count, itself or as `counters`; a session adds the growth to its runtime's metrics."""


class Growth:
    """The counters of one link, and how much of them the metrics have already.

    Fold when `counters != folded`: a cheap question where the counters are a struct, always true where not.
    """

    __slots__ = ("_metrics", "_seen", "_written_metrics", "counters", "folded")

    def __init__(self, link: Link, metrics: TransportMetrics, written_metrics: TransportMetrics) -> None:
        self._metrics, self._written_metrics = metrics, written_metrics
        self.counters: object = getattr(link, "counters", link)
        """What the link counts."""
        self.folded: object = None
        """What it had counted at the last `fold`, where that can be told at a glance."""
        self._seen: dict[str, int] = {}

    def count_in(self, metrics: TransportMetrics, written_metrics: TransportMetrics) -> None:
        """Add to these from now on."""
        self._metrics, self._written_metrics = metrics, written_metrics

    def fold(self) -> None:
        """Add what has been counted since the last time."""
        counters, seen = self.counters, self.folded
        for name in FOLDED_COUNTERS:
            value: int = getattr(counters, name, 0)
            growth = value - (self._seen.get(name, 0) if seen is None else getattr(seen, name, 0))
            if growth:
                metrics = self._written_metrics if name == "observed_missing" else self._metrics
                setattr(metrics, name, getattr(metrics, name) + growth)
                if seen is None:
                    self._seen[name] = value
        if isinstance(counters, msgspec.Struct):
            self.folded = copy(counters)

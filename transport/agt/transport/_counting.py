"""What links count by themselves, added to the runtime's metrics as it grows."""

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
    """The counters of one link, and how much of them the metrics have already."""

    __slots__ = ("_metrics", "_seen", "_source", "_written_metrics")

    def __init__(self, link: Link, metrics: TransportMetrics, written_metrics: TransportMetrics) -> None:
        self._metrics, self._written_metrics = metrics, written_metrics
        self._source: object = getattr(link, "counters", link)
        self._seen = {name: 0 for name in FOLDED_COUNTERS if hasattr(self._source, name)}

    def fold(self) -> None:
        """Add what has been counted since the last time."""
        for name, seen in self._seen.items():
            value: int = getattr(self._source, name)
            if value != seen:
                metrics = self._written_metrics if name == "observed_missing" else self._metrics
                setattr(metrics, name, getattr(metrics, name) + value - seen)
                self._seen[name] = value

"""From counters to the numbers that gates, rules and objectives name.

A reading never guesses: it has a value, or it says why there is none. What is in flight for longer than the
latency limit counts as failed and as slow now, so that a stalled runtime can't look healthy by saying nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum
from typing import Final

from agt.supervisor.measure._quantiles import quantile, slower_than, with_in_flight
from agt.supervisor.measure._reading import Reading
from agt.supervisor.measure._sample import RuntimeCounters
from agt.supervisor.measure._shadow import read_shadow
from agt.supervisor.measure._timeline import Timeline, Window

QUANTILES: Final = {"p50_seconds": 0.5, "p95_seconds": 0.95, "p99_seconds": 0.99}
OF_TRAFFIC: Final = frozenset(
    {
        *QUANTILES,
        "decode_error_ratio",
        "failure_ratio",
        "packet_loss",
        "queue_full_ratio",
        "samples",
        "success_ratio",
    }
)
"""What routers count of messages."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What can be said at one instant about both runtimes."""

    timeline: Timeline
    now: float
    control: str
    """The control runtime's name; whatever else is asked about counts by acknowledgements."""
    latency_limit_s: float
    """In flight for longer than this counts as slow now."""
    control_observed: bool = True
    """Whether control's replies are matched passively; without it control has neither success nor latency."""
    signals: Mapping[str, Reading] = field(default_factory=dict)
    """Numbers that no router counts, such as open incidents; they hold at this instant."""
    happenings: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """When what is counted by windows has happened, such as hold-downs: seconds since the epoch, by metric."""
    past: bool = False
    """Whether `now` lies in the past: then what is in flight at this moment says nothing about it."""

    def read(self, metric: str, runtime: str, *, start: float) -> Reading:
        """Return the metric of a runtime over what was counted since `start` (seconds since the epoch)."""
        if metric == "in_flight_slow" and self.timeline.answering:
            return Reading(float(self.stuck(runtime)), samples=1)
        if metric in self.signals:
            return self.signals[metric]
        if metric in self.happenings:
            count = sum(start <= at <= self.now for at in self.happenings[metric])
            return Reading(float(count), samples=1)
        window = self.timeline.window(start=start, end=self.now)
        if window is None or not (metric in OF_TRAFFIC or metric.startswith("shadow_")):
            return Reading(None, why="nothing measured yet" if window is None else "nobody counts it here")
        if metric.startswith("shadow_"):
            return read_shadow(metric, window.shadow)
        return self._of_traffic(metric, runtime, window)

    def stuck(self, runtime: str, window: Window | None = None) -> int:
        """Return how many messages have been in flight for longer than the latency limit.

        In a window that is shorter than the limit there are none: whatever is that old was sent before it began.
        """
        older = self._older(runtime, window)
        limits = [limit for limit in older if limit >= self.latency_limit_s] or sorted(older)[-1:]
        return round(older[min(limits)]) if limits else 0

    def slow_share(self, runtime: str, *, start: float) -> float | None:
        """Return the share of messages that failed, or were or are slower than the limit; None without any."""
        window = self.timeline.window(start=start, end=self.now)
        if window is None:
            return None
        counters, stuck = window.of(runtime), self.stuck(runtime, window)
        failed = _failed(counters, observed=runtime == self.control)
        histogram = with_in_flight(counters.latency, self._older(runtime, window))
        total = max(histogram.values(), default=0.0) + failed
        return (slower_than(histogram, self.latency_limit_s) + failed) / total if total + stuck > 0 else None

    def groups(self, runtime: str, *, start: float) -> tuple[tuple[float, float], ...]:
        """Return (ended, bad) of each group of devices since `start`; nothing where no router keeps groups."""
        window = self.timeline.window(start=start, end=self.now)
        if window is None:
            return ()
        counters = window.of(runtime)
        return tuple(zip(counters.group_ended, counters.group_bad, strict=True))

    def at(self, now: float) -> "Readings":
        """Return what could be said at an earlier moment."""
        return replace(self, now=now, past=True)

    def _older(self, runtime: str, window: Window | None) -> dict[float, float]:
        older = {} if self.past else self.timeline.gauges(runtime).older_than
        if window is None:
            return older
        return {limit: count for limit, count in older.items() if limit <= window.seconds}

    def _of_traffic(self, metric: str, runtime: str, window: Window) -> Reading:
        counters, observed, stuck = window.of(runtime), runtime == self.control, self.stuck(runtime, window)
        if observed and not self.control_observed and metric != "samples":
            return Reading(None, why=f"{runtime} is not observed")
        good, bad = _delivered(counters, observed=observed), _failed(counters, observed=observed)
        ended = round(good + bad)
        samples = ended + stuck
        if metric == "samples":
            written = round(counters.written) if observed and not self.control_observed else 0
            return Reading(float(max(ended, written)), samples=max(ended, written), stuck=stuck)
        if metric == "success_ratio":
            return _ratio(good, good + bad + stuck, samples, stuck)
        if metric == "failure_ratio":
            part, whole = fsum(counters.group_bad), fsum(counters.group_ended)
            return _ratio(part, whole, round(whole), stuck)
        if metric in QUANTILES:
            histogram = with_in_flight(counters.latency, self._older(runtime, window))
            value = quantile(histogram, QUANTILES[metric])
            return Reading(value, round(max(histogram.values(), default=0.0)), stuck, "" if value else "no messages")
        part, whole = _errors_of(metric, counters)
        return _ratio(part, whole, samples, stuck)


def _errors_of(metric: str, counters: RuntimeCounters) -> tuple[float, float]:
    """Return how many went wrong in the way that the metric counts, and of how many."""
    if metric == "packet_loss":
        return counters.retransmits, counters.sent + counters.retransmits
    if metric == "decode_error_ratio":
        return counters.decode_errors, counters.sent + counters.decode_errors
    assert metric == "queue_full_ratio", f"an unknown metric passed the plan check: {metric}"
    return counters.queue_full, counters.accepted + counters.queue_full


def _delivered(counters: RuntimeCounters, *, observed: bool) -> float:
    return counters.observed_replies if observed else counters.delivered


def _failed(counters: RuntimeCounters, *, observed: bool) -> float:
    return counters.observed_missing if observed else counters.not_delivered + counters.indeterminate


def _ratio(part: float, whole: float, samples: int, stuck: int) -> Reading:
    if whole <= 0:
        return Reading(None, samples, stuck, "no messages")
    return Reading(part / whole, samples, stuck)

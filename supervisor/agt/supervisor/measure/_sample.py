"""What one router says at one instant: cumulative counters by runtime, and gauges.

`read_sample` picks the metrics that the engine knows from a scraped page; whatever else is on it is ignored. The
structs are stored as they are, so that windows survive a restart of the supervisor.
"""

import math
from collections.abc import Iterable
from typing import Final

import msgspec

from agt.supervisor.measure._exposition import ExpositionError, Sample
from agt.supervisor.measure._groups import GROUP_METRICS, SLOW_DEFAULT_S, GroupCounts

_COUNTERS: Final = {
    "tcp_comm_packet_sent_total": "sent",
    "tcp_comm_retry_attempts_total": "retransmits",
    "tcp_comm_decode_errors_total": "decode_errors",
    "tcp_comm_queue_full_total": "queue_full",
    "agt_observed_replies_total": "observed_replies",
    "agt_observed_missing_total": "observed_missing",
}
_SHADOW: Final = {
    "agt_shadow_compared_total": "compared",
    "agt_shadow_differences_total": "differences",
    "agt_shadow_errors_total": "errors",
    "agt_shadow_paired_total": "paired",
    "agt_shadow_only_tried_total": "only_tried",
    "agt_shadow_only_floor_total": "only_floor",
    "agt_shadow_decided_total": "decided",
}
_LEDGER: Final = ("accepted", "delivered", "written", "not_delivered", "indeterminate")


class RuntimeCounters(msgspec.Struct, frozen=True, kw_only=True):
    """Cumulative counts of one runtime; differences of two are a window."""

    accepted: float = 0.0
    delivered: float = 0.0
    written: float = 0.0
    not_delivered: float = 0.0
    indeterminate: float = 0.0
    sent: float = 0.0
    """Packets sent, whatever became of them."""
    retransmits: float = 0.0
    decode_errors: float = 0.0
    queue_full: float = 0.0
    observed_replies: float = 0.0
    observed_missing: float = 0.0
    latency: dict[float, float] = {}
    """Histogram: cumulative count by upper bound in seconds, `inf` included."""
    group_ended: tuple[float, ...] = ()
    """By group of devices: messages whose end is known; empty when the router keeps no groups."""
    group_bad: tuple[float, ...] = ()
    """By group of devices: of these, those that failed or were slower than the latency limit."""


class RuntimeGauges(msgspec.Struct, frozen=True, kw_only=True):
    """What one runtime has at this instant."""

    devices: float = 0.0
    in_flight: float = 0.0
    older_than: dict[float, float] = {}
    """Messages in flight for longer than each limit, in seconds."""


class ShadowCounters(msgspec.Struct, frozen=True, kw_only=True):
    """Cumulative counts of mirrored messages; differences of two are a window."""

    compared: float = 0.0
    differences: float = 0.0
    errors: float = 0.0
    """Ended well where they were carried and not where they were mirrored."""
    paired: float = 0.0
    """Compared with a second control too."""
    only_tried: float = 0.0
    """Of these, how many only the tried runtime differed on."""
    only_floor: float = 0.0
    """Of these, how many only the second control differed on: noise."""
    decided: float = 0.0
    """Had no twin to go to, so that nothing was compared."""


class RouterSample(msgspec.Struct, frozen=True, kw_only=True):
    """One router at one instant."""

    router: str
    """Instance id; a new one means that the process was started anew and counts from zero."""
    at: float
    """Seconds since the epoch, by the supervisor's clock."""
    counters: dict[str, RuntimeCounters] = {}
    """By runtime."""
    gauges: dict[str, RuntimeGauges] = {}
    shadow: ShadowCounters = ShadowCounters()
    loop_lag_s: float = 0.0
    """How late the router's own event loop was, at worst, in the last seconds."""


def read_sample(samples: Iterable[Sample], *, router: str, at: float, slow_s: float = SLOW_DEFAULT_S) -> RouterSample:
    """Pick what the engine knows from a page; counters of unknown runtimes are kept, unknown metrics are not.

    Args:
        samples: The page.
        router: The instance's id.
        at: Seconds since the epoch.
        slow_s: Slower than this, in seconds, is bad in the counts by group; routers count for a few such limits.

    Raises:
        ExpositionError: when a sample lacks the bound that it is about.
    """
    groups: dict[str, GroupCounts] = {}
    counts: dict[str, dict[str, float]] = {}
    latency: dict[str, dict[float, float]] = {}
    gauges: dict[str, dict[str, float]] = {}
    older: dict[str, dict[float, float]] = {}
    single = dict.fromkeys((*_SHADOW, "agt_loop_lag_seconds"), 0.0)
    for sample in samples:
        runtime = sample.labels.get("transport", "")
        key = _COUNTERS.get(sample.name)
        if sample.name == "agt_ledger_messages_total" and sample.labels.get("outcome") in _LEDGER:
            key = sample.labels["outcome"]
        if key is not None:
            own = counts.setdefault(runtime, {})
            own[key] = own.get(key, 0.0) + sample.value
        elif sample.name == "tcp_comm_packet_latency_seconds_bucket":
            buckets = latency.setdefault(runtime, {})
            bound = _bound(sample, "le")
            buckets[bound] = buckets.get(bound, 0.0) + sample.value
        elif sample.name == "agt_in_flight_older_than":
            limits = older.setdefault(runtime, {})
            limit = _bound(sample, "seconds")
            limits[limit] = limits.get(limit, 0.0) + sample.value
        elif sample.name in GROUP_METRICS:
            groups.setdefault(runtime, GroupCounts(slow_s)).add(sample)
        elif sample.name in ("agt_in_flight", "agt_devices"):
            gauges.setdefault(runtime, {})[sample.name] = sample.value
        elif sample.name in single:
            single[sample.name] += sample.value
    return RouterSample(
        router=router,
        at=at,
        counters={
            runtime: RuntimeCounters(
                **counts.get(runtime, {}),
                latency=latency.get(runtime, {}),
                group_ended=groups[runtime].ended if runtime in groups else (),
                group_bad=groups[runtime].bad if runtime in groups else (),
            )
            for runtime in sorted({*counts, *latency, *groups})
        },
        gauges={
            runtime: RuntimeGauges(
                devices=gauges.get(runtime, {}).get("agt_devices", 0.0),
                in_flight=gauges.get(runtime, {}).get("agt_in_flight", 0.0),
                older_than=older.get(runtime, {}),
            )
            for runtime in sorted({*gauges, *older})
        },
        shadow=ShadowCounters(**{key: single[name] for name, key in _SHADOW.items()}),
        loop_lag_s=single["agt_loop_lag_seconds"],
    )


def _bound(sample: Sample, label: str) -> float:
    """Read the number in a label; NaN would be a bound like no other, not even like itself."""
    try:
        bound = float(sample.labels[label])
    except (KeyError, ValueError):
        bound = math.nan
    if math.isnan(bound):
        raise ExpositionError(f"{sample.name} has no number in its label {label!r}")
    return bound

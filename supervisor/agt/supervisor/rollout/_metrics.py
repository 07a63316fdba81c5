"""The metrics that gates, rules and objectives may name, with what is known about each.

One table, so that `plan check` can refuse what can't be measured, and the formatting is the same in gates, alerts
and the journal.
"""

from dataclasses import dataclass
from typing import Final, Literal

from agt.supervisor.resources import RESOURCES

Kind = Literal["ratio", "seconds", "count", "times", "bytes"]


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is."""

    kind: Kind
    says: str
    per_runtime: bool = True
    """Whether control has it too (only where its replies are observed)."""


METRICS: Final[dict[str, Metric]] = {
    "success_ratio": Metric("ratio", "delivered of all that ended or is slower than the latency limit"),
    "p50_seconds": Metric("seconds", "median latency"),
    "p95_seconds": Metric("seconds", "latency that 95 % stay below"),
    "p99_seconds": Metric("seconds", "latency that 99 % stay below"),
    "failure_ratio": Metric("ratio", "failed or slower than the latency limit, of all that ended"),
    "packet_loss": Metric("ratio", "retransmits of all packets sent"),
    "decode_error_ratio": Metric("ratio", "undecodable packets of all packets sent"),
    "queue_full_ratio": Metric("ratio", "refused by a full queue of all messages"),
    "samples": Metric("count", "messages that ended"),
    "in_flight_slow": Metric("count", "messages in flight for longer than the latency limit"),
    "error_budget_left": Metric(
        "ratio", "1 - errors made / errors allowed, of the worst success objective", per_runtime=False
    ),
    "burn_rate": Metric(
        "times", "how many times faster than allowed a budget is spent, in a long and a short window", per_runtime=False
    ),
    "latency_windows_breached": Metric("count", "windows in a row whose p95 was over the limit", per_runtime=False),
    "incidents": Metric("count", "open incidents", per_runtime=False),
    "shadow_compared": Metric("count", "shadow comparisons", per_runtime=False),
    "shadow_differences": Metric("count", "shadow comparisons that differed", per_runtime=False),
    "shadow_difference": Metric(
        "ratio", "shadow comparisons that differ above the noise of control, once that is decided", per_runtime=False
    ),
    "shadow_error_rate": Metric(
        "ratio", "mirrored messages that ended well only where they were carried", per_runtime=False
    ),
    "legacy_users": Metric("count", "devices that still use the legacy listener", per_runtime=False),
    "sessions_left_on_control": Metric("count", "live sessions that control still carries", per_runtime=False),
    "cpu_share": Metric("ratio", "share of one core that components use, over the last minute", per_runtime=False),
    "rss_bytes": Metric("bytes", "resident memory of components", per_runtime=False),
    "descriptors": Metric("count", "open file descriptors of components", per_runtime=False),
    "hold_downs": Metric("count", "components held down after too many failures", per_runtime=False),
    "restarts": Metric("count", "components started again after a failure", per_runtime=False),
    "conflicts": Metric("count", "writes of the projection that met another version", per_runtime=False),
    "invalid_cursors": Metric("count", "cursors that a source no longer knew", per_runtime=False),
    "full_resyncs": Metric("count", "sources read again from their beginning", per_runtime=False),
    "sources_not_active": Metric("count", "registered sources that are not active", per_runtime=False),
    "projection_version": Metric("count", "version of the candidate's projection", per_runtime=False),
}


INSTANT: Final = frozenset(
    {
        *RESOURCES,
        "in_flight_slow",
        "incidents",
        "legacy_users",
        "projection_version",
        "sessions_left_on_control",
        "sources_not_active",
    }
)
"""What holds at a moment, and not over a window."""


BASELINE_METRICS: Final = ("p50_seconds", "p95_seconds", "p99_seconds", "success_ratio", *RESOURCES)
"""What is kept of control, to compare with later."""
OF_WINDOWS: Final = ("burn_rate", "latency_windows_breached")
"""What is about the candidate over windows that the condition itself lays."""
DAEMON_COUNTS: Final = ("conflicts", "invalid_cursors", "full_resyncs")
"""What the candidate's daemon counts while it lives; gates see what was added in their window."""
DAEMON_LEVELS: Final = ("sources_not_active", "projection_version")
"""What the candidate's daemon says of now."""
OF_COMPONENTS: Final = ("hold_downs", "restarts")
"""What happens to the plan's own processes, counted over windows."""


def format_value(metric: str, value: float) -> str:
    """Return the value as people read it: `99.95 %`, `239 ms`, `1,204`."""
    kind = METRICS[metric].kind
    if kind == "ratio":
        percent = value * 100
        return f"{percent:.0f} %" if percent == round(percent) else f"{percent:.2f} %"
    if kind == "seconds":
        return f"{value * 1000:,.0f} ms" if value < 10 else f"{value:.1f} s"
    if kind == "bytes":
        return f"{value / (1 << 20):,.1f} MiB"
    return f"{value:.1f}x" if kind == "times" else f"{value:,.0f}"

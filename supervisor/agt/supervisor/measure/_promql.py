"""From what the engine reads to PromQL: which series a Prometheus server is asked for, and what a reading is there.

Two things, both pure. `series_query` and `router_query` ask for the cumulative counters and gauges that a scrape would
give, so that windows, restarts and quantiles are computed by the same code whichever way the numbers came. And
`expression` writes a gate's metric as an operator would ask for it, for dashboards, alert rules and a second opinion.
"""

from collections.abc import Callable
from typing import Final

from agt.supervisor.measure._groups import SLOW_DEFAULT_S

ROUTER: Final = "agt_router_info"
"""Names a router: its `router` label is what the router calls itself."""
CARRIED: Final = "agt_route_carried_seconds"
SERIES: Final = (
    "agt_devices",
    "agt_group_ended_total",
    "agt_group_failed_total",
    "agt_group_slow_total",
    "agt_in_flight",
    "agt_in_flight_older_than",
    "agt_ledger_messages_total",
    "agt_loop_lag_seconds",
    "agt_observed_missing_total",
    "agt_observed_replies_total",
    CARRIED,
    "agt_shadow_compared_total",
    "agt_shadow_decided_total",
    "agt_shadow_differences_total",
    "agt_shadow_errors_total",
    "agt_shadow_only_floor_total",
    "agt_shadow_only_tried_total",
    "agt_shadow_paired_total",
    "tcp_comm_decode_errors_total",
    "tcp_comm_packet_latency_seconds_bucket",
    "tcp_comm_packet_sent_total",
    "tcp_comm_queue_full_total",
    "tcp_comm_retry_attempts_total",
)
"""Every series that a reading rests on."""
_QUANTILES: Final = {"p50_seconds": "0.5", "p95_seconds": "0.95", "p99_seconds": "0.99"}
_RATIOS: Final = {
    "packet_loss": ("tcp_comm_retry_attempts_total", "tcp_comm_packet_sent_total"),
    "decode_error_ratio": ("tcp_comm_decode_errors_total", "tcp_comm_packet_sent_total"),
    "shadow_error_rate": ("agt_shadow_errors_total", "agt_shadow_compared_total"),
}
_LEDGER: Final = "agt_ledger_messages_total"
_ACCEPTED: Final = 'outcome="accepted"'
_SLOW: Final = f'seconds="{SLOW_DEFAULT_S:g}"'
_ENDED: Final = 'outcome=~"delivered|not_delivered|indeterminate"'


def quoted(value: str) -> str:
    """Return a label's value as PromQL writes it."""
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'"{escaped}"'


def selector(name: str, *matchers: str) -> str:
    """Return a series selector: a name and what its labels have to match."""
    given = ", ".join(matcher for matcher in matchers if matcher)
    return f"{name}{{{given}}}" if given else name


def router_query(matchers: str = "") -> str:
    """Return the query for the routers there are, with how many seconds ago each was scraped, by the server's clock."""
    return f"time() - timestamp({selector(ROUTER, matchers)})"


def series_query(matchers: str = "") -> str:
    """Return the query for everything that readings rest on, as it is now."""
    return selector("", f'__name__=~"{"|".join(SERIES)}"', matchers)


def expression(metric: str, runtime: str, window: str, *, matchers: str = "", observed: bool = False) -> str:
    """Return a metric of one runtime over a window as one PromQL expression.

    It counts what has ended; the engine's own reading also counts what is in flight for too long.

    Args:
        metric: As plans name it.
        runtime: Value of the label `transport`.
        window: A range, `5m`.
        matchers: Further matchers, `job="agt"`.
        observed: Whether the runtime is an observed control, which has replies and no outcomes.

    Raises:
        KeyError: for a metric that no router exports.
    """

    def increase(name: str, *more: str) -> str:
        own = "" if name.startswith("agt_shadow_") else f"transport={quoted(runtime)}"
        return f"sum(increase({selector(name, own, *more, matchers)}[{window}]))"

    if metric in _QUANTILES:
        name = "tcp_comm_packet_latency_seconds_bucket"
        buckets = selector(name, f"transport={quoted(runtime)}", matchers)
        return f"histogram_quantile({_QUANTILES[metric]}, sum by (le) (increase({buckets}[{window}])))"
    if metric in _RATIOS:
        part, whole = (increase(name) for name in _RATIOS[metric])
        own_share = "" if metric == "shadow_error_rate" else f" + {part}"
        return f"{part} / ({whole}{own_share})"
    if metric == "queue_full_ratio":
        full = increase("tcp_comm_queue_full_total")
        return f"{full} / ({increase(_LEDGER, _ACCEPTED)} + {full})"
    if metric == "failure_ratio":
        bad = f"{increase('agt_group_failed_total')} + {increase('agt_group_slow_total', _SLOW)}"
        return f"({bad}) / {increase('agt_group_ended_total')}"
    good, ended = _outcomes(increase, observed=observed)
    return {"success_ratio": f"{good} / ({ended})", "samples": ended}[metric]


def _outcomes(increase: Callable[..., str], *, observed: bool) -> tuple[str, str]:
    if observed:
        good = increase("agt_observed_replies_total")
        return good, f"{good} + {increase('agt_observed_missing_total')}"
    return increase(_LEDGER, 'outcome="delivered"'), increase(_LEDGER, _ENDED)

"""Write docs/reference/metrics-reference.md from what our parts export; `--check` says whether it is current.

The exporters are the reference: names, types, labels and help texts are what a scrape gives, of parts that have one of
everything. Labels whose values are known beforehand are listed with them.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from agt.router import Router
from agt.router._mode import ModeReport
from agt.router._mode_status import ModeStatus
from agt.router._status import LedgerStatus, MovesStatus, RouterStatus, RuntimeStatus
from agt.router.metrics import RouterCollector
from agt.router.shadow import FieldReport, ShadowReport, ShadowVerdict, TriedReport
from agt.supervisor.control._metrics import render_metrics
from agt.supervisor.view import BudgetView, PhaseView, ProcessView, View
from agt.transport import MetricGroups
from agt.transport.metrics import TransportCollector

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "metrics-reference.md"
INTRODUCTION = """\
# Metrics

<!-- written by scripts/metrics_reference.py; edit the exporters instead -->

How a Prometheus server gets at them, what to watch and what alerts there are is in
[monitoring](../guides/monitoring-guide.md). There is no label for each device.
"""
TRANSPORT = """
## Transport

What `agt.transport.metrics.TransportCollector` exports (`pip install agt-migrate[metrics]`); how to register it is in
[embedding](../guides/embedding.md#measure). The names `tcp_comm_*` are those of document 004's dashboards. The label
`transport` is the runtime's name, as given to `TransportMetrics`. With `MetricGroups` in its place devices are put into
32 groups by a hash of their names, and `group` says which; comparisons of runtimes rest on these. The same numbers are
plain attributes of `TransportMetrics`.
"""
ROUTER = """
## Router

What `agt.router.metrics.RouterCollector` exports, at `/metrics` of the router's socket, beside its transports' own.
"""
SUPERVISOR = """
## Supervisor

What the control API's socket answers at `/metrics`.
"""
HEAD = """
| name | type | labels | meaning |
|---|---|---|---|
"""
HINTS = """
## What to look at

| question | expression |
|---|---|
| share delivered | `sum by (transport) (rate(tcp_comm_packet_sent_total{outcome="delivered"}[5m])) \
/ sum by (transport) (rate(tcp_comm_packet_sent_total[5m]))` |
| how much of that is durable | `rate(agt_messages_delivered_total{ack_level="durable"}[5m])` |
| slow now, before any answer | `agt_in_flight_older_than{seconds="5"}` |
| 99th percentile | `histogram_quantile(0.99, rate(tcp_comm_packet_latency_seconds_bucket[5m]))` |
| somebody in between | `increase(agt_tag_failures_total[1h])` |
| who isn't let in, and why | `rate(agt_refused_connections_total[5m])` |
"""
_OPEN: Final = frozenset(
    {"component", "field", "generation", "le", "objective", "phase", "plan", "router", "runtime", "transport", "window"}
)
"""Labels whose values are somebody's own."""


def page() -> str:
    """Return the whole page."""
    transport = TransportCollector(MetricGroups("reliable", count=1)).collect()
    parts = ((TRANSPORT, transport), (ROUTER, router_families()), (SUPERVISOR, supervisor_families()))
    return INTRODUCTION + "".join(says + HEAD + _rows(families) for says, families in parts) + HINTS


def router_families() -> Iterator[Metric]:
    """What a router exports that has one of everything."""
    status = RouterStatus(
        router="r",
        generation=1,
        settled_generation=1,
        percentage=0.0,
        killed=False,
        carried_s={"1": 1.0},
        runtimes={"reliable": RuntimeStatus()},
        ledger={"reliable": LedgerStatus()},
        moves=MovesStatus(routed_ms=1.0, settled_ms=1.0),
        mode=ModeStatus(measured=ModeReport(latency_s=0.01, bandwidth=1e9)),
    )
    field = FieldReport(field="state", verdict=None, place=1, differences=0, floor_differences=0, ignored=0, excess=0.0)
    tried = TriedReport(runtime="reliable", verdict=ShadowVerdict.EQUAL, says="", fields=(field,))
    shadow = ShadowReport(runtimes=(tried,), shed={"full": 0})
    whole = SimpleNamespace(status=lambda: status, shadow_report=lambda: shadow)
    return RouterCollector(cast("Router", whole)).collect()


def supervisor_families() -> Iterable[Metric]:
    """What a supervisor exports that has one of everything."""
    view = View(
        version=1,
        at=0.0,
        plan="cync-tcp",
        status="running",
        phases=(PhaseView(name="canary-10", state="active", percent=10.0, soak_s=1.0),),
        budgets=(BudgetView(objective="success", left=1.0, burn={"1h": 0.0}),),
        processes=(
            ProcessView(name="gateway", stage="gateway", state="ready", cpu_share=0.0, rss_bytes=0, descriptors=0),
        ),
    )
    return text_string_to_metric_families(render_metrics(view, 0))


def _rows(families: Iterable[Metric]) -> str:
    return "\n".join(sorted(_row(family) for family in families)) + "\n"


def _row(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return f"| `{name}` | {family.type} | {_labels(family)} | {family.documentation} |"


def _labels(family: Metric) -> str:
    """Return the labels and, but for those whose values are somebody's own, their values."""
    values: dict[str, list[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            values.setdefault(label, []).append(value)
    known = {label: "" if label in _OPEN else ": " + ", ".join(dict.fromkeys(found)) for label, found in values.items()}
    return "; ".join(f"`{label}`{says}" for label, says in known.items())


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    if arguments != ["--check"]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    print(f"{PAGE} is not what the metrics say; run python scripts/metrics_reference.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

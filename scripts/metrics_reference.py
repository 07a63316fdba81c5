"""Write docs/reference/metrics.md from the collector; `--check` says whether it is current.

The collector is the reference: names, types, labels and help texts are what a scrape gives. Labels whose values are
known beforehand are listed with them.
"""

import sys
from pathlib import Path

from prometheus_client.core import Metric

from agt.transport import MetricGroups
from agt.transport.metrics import TransportCollector

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"
INTRODUCTION = """\
# Metrics of the transport

<!-- written by scripts/metrics_reference.py; edit agt.transport.metrics instead -->

What `agt.transport.metrics.TransportCollector` exports (`pip install agt-migrate[metrics]`); how to register it is in
[embedding](../guides/embedding.md#measure). The names `tcp_comm_*` are those of document 004's dashboards. The label
`transport` is the runtime's name, as given to `TransportMetrics`; there is no label for each device. With
`MetricGroups` in its place devices are put into 32 groups by a hash of their names, and `group` says which; comparisons
of runtimes rest on these. The same numbers are plain attributes of `TransportMetrics`.

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


def page() -> str:
    """Return the whole page."""
    rows = sorted(_row(family) for family in TransportCollector(MetricGroups("reliable", count=1)).collect())
    return INTRODUCTION + "\n".join(rows) + "\n" + HINTS


def _row(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return f"| `{name}` | {family.type} | {_labels(family)} | {family.documentation} |"


def _labels(family: Metric) -> str:
    """Return the labels and, but for the runtime's and a histogram's, their values."""
    values: dict[str, list[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            values.setdefault(label, []).append(value)
    known = {label: "" if label in {"transport", "le"} else ": " + ", ".join(found) for label, found in values.items()}
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

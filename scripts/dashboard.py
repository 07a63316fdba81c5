"""Write deploy/grafana/agt.json, document 004's dashboard in six rows; `--check` says whether it is current.

A dashboard is forty times the same thing, so it is written here as what differs (a title, a unit, expressions) and the
JSON is made of it. It asks for its data source and its job when it is imported.
"""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).parents[1] / "deploy" / "grafana" / "agt.json"
ROWS_HIGH = 8
WIDE = 24


class Panel(NamedTuple):
    """One chart: what it is called, its unit in Grafana's words, and its series as legend and expression."""

    title: str
    unit: str
    series: dict[str, str]
    kind: str = "timeseries"
    says: str = ""


JOB = 'job="$job"'


def rate(name: str, *matchers: str, by: str = "transport") -> str:
    """The rate of a counter, added over the routers."""
    return f"sum by ({by}) (rate({name}{{{', '.join([*matchers, JOB])}}}[$__rate_interval]))"


def level(name: str, *matchers: str, by: str = "transport") -> str:
    """A gauge, added over the routers."""
    return f"sum by ({by}) ({name}{{{', '.join([*matchers, JOB])}}})"


SENT, DELIVERED, KNOWN = "tcp_comm_packet_sent_total", 'outcome="delivered"', 'outcome!="written"'
BUCKETS = f"sum by (transport, le) (rate(tcp_comm_packet_latency_seconds_bucket{{{JOB}}}[$__rate_interval]))"
FULL = rate("tcp_comm_queue_full_total")
TRANSPORT = "{{transport}}"
SUCCESS_SAYS = "Delivered of all whose end is known; what legacy only writes has no end."

ROWS: dict[str, tuple[Panel, ...]] = {
    "Traffic and success": (
        Panel("Messages", "mps", {f"{TRANSPORT} {{{{outcome}}}}": rate(SENT, by="transport, outcome")}),
        Panel(
            "Success", "percentunit", {TRANSPORT: f"{rate(SENT, DELIVERED)} / {rate(SENT, KNOWN)}"}, says=SUCCESS_SAYS
        ),
        Panel("Error budget left", "percentunit", {"{{objective}}": f"agt_error_budget_left{{{JOB}}}"}, "gauge"),
    ),
    "Latency": (
        Panel(
            "Latency",
            "s",
            {
                f"{TRANSPORT} p{name}": f"histogram_quantile({q}, {BUCKETS})"
                for name, q in (("50", 0.5), ("95", 0.95), ("99", 0.99))
            },
        ),
        Panel(
            "On their way for long",
            "none",
            {f"{TRANSPORT} > {{{{seconds}}}} s": level("agt_in_flight_older_than", by="transport, seconds")},
        ),
    ),
    "Errors and retries": (
        Panel("Retries", "ops", {TRANSPORT: rate("tcp_comm_retry_attempts_total")}),
        Panel(
            "Confirmations",
            "ops",
            {
                f"{TRANSPORT} received": rate("tcp_comm_ack_received_total"),
                f"{TRANSPORT} late": rate("tcp_comm_ack_timeout_total"),
                f"{TRANSPORT} given up": rate("tcp_comm_message_abandoned_total"),
            },
        ),
        Panel("Undecodable", "ops", {TRANSPORT: rate("tcp_comm_decode_errors_total")}),
    ),
    "Queues": (
        Panel(
            "Waiting",
            "none",
            {
                f"{TRANSPORT} to send": level("tcp_comm_send_queue_size"),
                f"{TRANSPORT} received": level("tcp_comm_recv_queue_size"),
            },
        ),
        Panel("Queue full", "percentunit", {TRANSPORT: f"{FULL} / ({rate('agt_messages_accepted_total')} + {FULL})"}),
        Panel("In flight", "none", {TRANSPORT: level("agt_in_flight")}),
    ),
    "Connections and duplicates": (
        Panel("Connections", "none", {TRANSPORT: level("tcp_comm_connection_state")}),
        Panel(
            "Reconnections and heartbeats",
            "ops",
            {
                f"{TRANSPORT} reconnections": rate("tcp_comm_reconnection_total"),
                f"{TRANSPORT} heartbeats": rate("tcp_comm_heartbeat_total"),
            },
        ),
        Panel(
            "Duplicates dropped",
            "ops",
            {
                f"{TRANSPORT} by sequence": rate("tcp_comm_idempotent_drop_total"),
                f"{TRANSPORT} by id": rate("tcp_comm_dedup_cache_hits_total"),
                f"{TRANSPORT} forgotten": rate("tcp_comm_dedup_cache_evictions_total"),
            },
        ),
        Panel("Ids remembered", "none", {TRANSPORT: level("tcp_comm_dedup_cache_size")}),
    ),
    "Rollout": (
        Panel("Share of the candidate", "percent", {"{{plan}}": f"agt_rollout_percentage{{{JOB}}}"}),
        Panel("Devices", "none", {TRANSPORT: level("agt_devices")}),
        Panel("Status", "none", {"{{status}}": f"agt_rollout_status{{{JOB}}} == 1"}, "stat"),
        Panel("Budgets burn", "none", {"{{objective}} {{window}}": f"agt_error_budget_burn{{{JOB}}}"}),
        Panel("Kill switch", "bool_on_off", {"kill switch": f"max(agt_kill_switch{{{JOB}}})"}, "stat"),
        Panel("Open alerts", "none", {"{{severity}}": f"agt_alerts_open{{{JOB}}}"}, "stat"),
    ),
}


def dashboard() -> dict[str, Any]:
    """Return the whole dashboard."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in ROWS.items():
        panels.append(_placed({"type": "row", "title": title, "collapsed": False}, len(panels), 0, top, WIDE, 1))
        wide = WIDE // len(row)
        for place, panel in enumerate(row):
            panels.append(_placed(_chart(panel), len(panels), place * wide, top + 1, wide, ROWS_HIGH))
        top += 1 + ROWS_HIGH
    return {
        "title": "agt",
        "uid": "agt-migration",
        "tags": ["agt"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source(), _job()]},
        "panels": panels,
    }


def _placed(panel: dict[str, Any], number: int, x: int, y: int, w: int, h: int) -> dict[str, Any]:
    return {"id": number + 1, **panel, "gridPos": {"x": x, "y": y, "w": w, "h": h}}


def _chart(panel: Panel) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    targets = [
        {"refId": chr(ord("A") + place), "datasource": source, "expr": expr, "legendFormat": legend}
        for place, (legend, expr) in enumerate(panel.series.items())
    ]
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": targets,
    }


def _source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}


def _job() -> dict[str, Any]:
    return {
        "name": "job",
        "type": "query",
        "label": "Job",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": "label_values(agt_router_info, job)",
        "refresh": 1,
    }


def main(arguments: list[str]) -> int:
    """Write the file, or compare it."""
    text = json.dumps(dashboard(), indent=2) + "\n"
    if arguments != ["--check"]:
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_text(text, encoding="utf-8")
        return 0
    if FILE.exists() and FILE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{FILE} is not what its script says; run python scripts/dashboard.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

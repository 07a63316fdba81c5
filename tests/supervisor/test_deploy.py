"""What `deploy/` hands to Prometheus and Grafana: rules that fire when they should, on metrics that exist."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
REFERENCE = (ROOT / "docs" / "reference" / "metrics-reference.md").read_text(encoding="utf-8")
EXPORTED = set(re.findall(r"^\| `(\w+)` \|", REFERENCE, re.MULTILINE))
NAME = re.compile(r"(?<![\w:])(?:agt|tcp_comm)_\w+")
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool: apt-get install prometheus"
)
ROWS = [
    "Traffic and success",
    "Latency",
    "Errors and retries",
    "Queues",
    "Connections and duplicates",
    "Rollout",
]


def panels() -> list[dict[str, object]]:
    """Every panel of the dashboard, rows included."""
    found: list[dict[str, object]] = json.loads((DEPLOY / "grafana" / "agt.json").read_text())["panels"]
    return found


def unknown(text: str) -> set[str]:
    """Names of ours in an expression that nothing exports."""
    names = {name.removesuffix("_bucket") for name in NAME.findall(text)}
    return names - EXPORTED


@needs_promtool
def test_rules_and_configuration_are_what_prometheus_reads() -> None:
    """`promtool check` has nothing to say of either."""
    for what, file in (("rules", RULES), ("config", DEPLOY / "prometheus" / "prometheus.yml")):
        command = ["promtool", "check", what, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_every_alert_fires_when_it_should_and_not_before() -> None:
    """`promtool test rules`: thresholds, windows and patience, alert by alert."""
    command = ["promtool", "test", "rules", str(RULES.with_name("alerts_test.yml"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_that_fires_it_and_one_that_does_not() -> None:
    """A rule that nobody has seen fire is a hope."""
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    tests = RULES.with_name("alerts_test.yml").read_text()
    fired = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts", tests))
    silent = set(re.findall(r"alertname: (\w+)}", tests))
    assert len(alerts) >= 7
    assert set(alerts) == fired
    assert set(alerts) <= silent


def test_every_metric_of_the_rules_is_exported() -> None:
    """An alert on a name that nobody exports never fires."""
    expressions = "\n".join(line for line in RULES.read_text().splitlines() if "summary" not in line)
    assert NAME.search(expressions)
    assert unknown(expressions) == set()


def test_dashboard_has_document_004s_rows_and_is_what_its_script_says() -> None:
    """Six rows, in the order in which somebody looks for trouble."""
    assert [panel["title"] for panel in panels() if panel["type"] == "row"] == ROWS
    command = [sys.executable, str(ROOT / "scripts" / "dashboard.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_every_metric_of_the_dashboard_is_exported() -> None:
    """An empty chart looks like a calm system; and none of document 004's names is left out."""
    expressions = json.dumps([panel.get("targets") for panel in panels()])
    assert unknown(expressions) == set()
    of_004 = {name for name in EXPORTED if name.startswith("tcp_comm_")}
    assert of_004 - {name.removesuffix("_bucket") for name in NAME.findall(expressions)} == set()


def test_panels_lie_side_by_side() -> None:
    """No two panels cover each other."""
    cells: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        assert isinstance(at, dict)
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells
        cells |= own

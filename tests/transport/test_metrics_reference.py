"""The page of metrics says what a scrape gives."""

import re
import subprocess
import sys
from pathlib import Path

import prometheus_client

from agt.transport import TransportMetrics
from agt.transport.metrics import TransportCollector

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "metrics-reference.md"


def test_the_page_of_metrics_is_what_the_collector_says_now() -> None:
    """Made by a script, so that there is one place where a metric is described."""
    command = [sys.executable, str(ROOT / "scripts" / "metrics_reference.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_expressions_of_the_page_name_metrics_that_are_scraped() -> None:
    """A hint that matches nothing is worse than none."""
    registry = prometheus_client.CollectorRegistry()
    registry.register(TransportCollector(TransportMetrics("reliable")))
    scraped = prometheus_client.generate_latest(registry).decode()
    named = re.findall(r"(?:tcp_comm|agt)_\w+", PAGE.read_text(encoding="utf-8").split("## What to look at")[1])
    assert named
    assert [name for name in named if f"\n{name}{{" not in scraped] == []

"""Events of the demo's devices between real processes: whoever is killed, none is lost and none is applied twice."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from agt.chaos.demo._files import DemoFiles
from agt.chaos.demo._talk import NoAnswer, ask

PART = Path(__file__).parents[1] / "support" / "events_process.py"


@pytest.fixture
def parts(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    """Source, gateway and daemon as processes, checkpointing often."""
    monkeypatch.setenv("AGT_DEMO_EVENTS_CHECKPOINT_S", "0.3")
    started: dict[str, subprocess.Popen[bytes]] = {}
    yield started
    for process in started.values():
        process.kill()
        process.wait()


def start(parts: dict[str, "subprocess.Popen[bytes]"], run: Path, name: str) -> None:
    """Start a part, killing the one that runs."""
    if name in parts:
        parts[name].kill()
        parts[name].wait()
    parts[name] = subprocess.Popen([sys.executable, str(PART), name, str(run)])


def asked(run: Path, operation: str) -> dict[str, Any]:
    """Ask the daemon; nothing while it isn't there."""
    try:
        return anyio.run(lambda: ask(DemoFiles(run).listings_socket, {"op": operation}, timeout_s=3.0))
    except NoAnswer:
        return {}


def logged(run: Path) -> list[list[Any]]:
    """Return the events as the source wrote them down."""
    lines = DemoFiles(run).event_log("lines").read_bytes().splitlines()
    return [json.loads(line) for line in lines]


def agrees(run: Path) -> bool:
    """Whether every event is applied, and the projection is what the log adds up to."""
    events, status, rows = logged(run), asked(run, "status"), asked(run, "events").get("rows", {})
    if status.get("committed", {}).get("lines") != len(events):
        return False
    newest = {device: [value, number] for _, _, device, value, number in events}
    counts = Counter(device for _, _, device, _, _ in events)
    assert status["applied"] == status["state_version"] == len(events)
    assert [event[0] for event in events] == list(range(1, len(events) + 1))
    assert {key.partition("/")[2]: row["events"] for key, row in rows.items()} == dict(counts)
    assert {key.partition("/")[2]: [row["value"], row["number"]] for key, row in rows.items()} == newest
    return True


def moved_past(run: Path, events: int) -> bool:
    """Whether more than so many are applied."""
    return bool(asked(run, "status").get("applied", 0) > events)


def rounds(parts: dict[str, "subprocess.Popen[bytes]"], run: Path, eventually: Any, order: list[str]) -> None:
    """Kill one after the other, each while events flow; end the source and compare."""
    for name in ("source", "gateway", "daemon"):
        start(parts, run, name)
    seen = 0
    for name in order:
        eventually(partial(moved_past, run, seen))
        seen = asked(run, "status")["applied"] + 20
        start(parts, run, name)
    eventually(partial(moved_past, run, seen))
    start_quiet(parts, run)
    eventually(lambda: agrees(run))


def start_quiet(parts: dict[str, "subprocess.Popen[bytes]"], run: Path) -> None:
    """Start the source anew so that it serves its log and reports nothing more."""
    parts["source"].kill()
    parts["source"].wait()
    parts["source"] = subprocess.Popen([sys.executable, str(PART), "source", str(run), "quiet"])


def test_kills_of_gateway_daemon_and_source_lose_and_double_no_event(parts, run: Path, eventually) -> None:
    """The daemon goes on from its checkpoint, the gateway from the daemon's cursors, the source from its log."""
    rounds(parts, run, eventually, ["daemon", "gateway", "source"])
    eventually(lambda: asked(run, "status").get("sources") == {"lines": "active"})


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_hundred_kills_lose_and_double_no_event(parts, run: Path, eventually) -> None:
    """As above, again and again."""
    rounds(parts, run, eventually, ["daemon", "gateway", "source", "daemon", "daemon", "gateway"] * 17)

"""`kill -9` of the supervisor in mid-phase, beside a real gateway and a real fleet: the migration doesn't notice."""

import os
import signal
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from agt.supervisor._request import request

PLAN = """
schema = 1
name = "midphase"
checks_every = "250ms"
[runtimes]
control = "legacy"
candidate = "reliable"
[[component]]
name = "fleet"
stage = "sources"
command = ["{python}", "-m", "agt.chaos.demo.fleet"]
environment = { AGT_DEMO_DEVICES = "6", AGT_DEMO_RATE = "60", AGT_DEMO_SEED = "1" }
[[component]]
name = "gateway"
stage = "gateway"
command = ["{python}", "-m", "agt.chaos.demo.gateway"]
[[phase]]
name = "half"
route = { percent = 50 }
soak = "1h"
[[phase.gate]]
metric = "samples"
at_least = 1
"""


@pytest.fixture
def demo_plan(run: Path) -> Path:
    """A plan whose only phase outlasts the test, with the demo's fleet and gateway."""
    path = run / "plan.toml"
    path.write_text(PLAN)
    return path


def test_a_supervisor_killed_in_mid_phase_goes_on_in_it(up, demo_plan: Path, run: Path, eventually) -> None:
    """Same phase and generation, soak as the gateway carried it meanwhile, devices served, nothing doubled."""
    first = up(demo_plan)
    eventually(lambda: first.all_ready and _shown_s(first) > 0.5)
    before, pids = first.control.view(), first.pids
    carried_s, sent = _carried_s(run, before.selector_generation), _sent(run)
    first.end(signal.SIGKILL)
    eventually(lambda: _carried_s(run, before.selector_generation) > carried_s + 1.5 and _sent(run) > sent + 20)
    away_s = _carried_s(run, before.selector_generation)
    second = up(demo_plan)
    eventually(lambda: second.all_ready and _shown_s(second) >= away_s)
    after = second.control.view()
    assert after.phases[0].carried_s <= _carried_s(run, before.selector_generation)
    assert (after.phase, after.status, after.selector_generation) == ("half", "running", before.selector_generation)
    assert second.pids == pids
    assert [process.restarts for process in after.processes] == [0, 0]
    assert _processes(run) == {"agt.chaos.demo.fleet": 1, "agt.chaos.demo.gateway": 1, "agt.supervisor.cli": 1}
    assert second.end(signal.SIGTERM)[0] == 0
    assert not _processes(run)


def _shown_s(supervisor) -> float:
    return supervisor.control.view().phases[0].carried_s


def _carried_s(run: Path, generation: int) -> float:
    """Return what the router itself says that it carried."""
    _, body = request(run / "gateway.sock", "GET", "/status", timeout_s=2.0)
    carried: float = msgspec.json.decode(body)["carried_s"][str(generation)]
    return carried


def _sent(run: Path) -> int:
    return (run / "sources.jsonl").read_bytes().count(b"\n")


def _processes(run: Path) -> Counter[str]:
    """Count the modules that run for a run directory."""
    found: Counter[str] = Counter()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0")
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        ours = str(run) in words or f"AGT_RUN_DIR={run}\0".encode() in environment
        if ours and "-m" in words:
            found[words[words.index("-m") + 1]] += 1
    return found

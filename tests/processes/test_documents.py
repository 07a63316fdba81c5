"""The plans of documents 001 and 004, carried to their ends by real processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PLANS = Path(__file__).parents[2] / "plans"


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("plan", "last"), [("agtmux-v5.toml", "full-cutover"), ("cync-tcp.toml", "removal")])
def test_a_document_comes_to_its_end_and_loses_nothing(run: Path, plan: str, last: str) -> None:
    """All phases are left forwards, every gate is passed and says on what, no command is lost or doubled."""
    command = [sys.executable, "-m", "agt.chaos.demo", "--plan", str(PLANS / plan), "--headless", "--duration", "120s"]
    done = subprocess.run(
        [*command, "--json", "--keep", str(run / "demo")], capture_output=True, text=True, timeout=290, check=False
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert (done.returncode, report["final_phase"]) == (0, last), (done.stderr, report["phases"][-1:])
    gates = [gate for phase in report["phases"] for gate in phase["gates"]]
    assert {phase["verdict"] for phase in report["phases"]} == {"passed"}
    assert {gate["verdict"] for gate in gates} == {"passed"}
    assert all(gate["reason"] and gate["window"] for gate in gates)
    lost = [(one["lost"], one["duplicated"], one["out_of_order"]) for one in report["messages"].values()]
    assert lost == [(0, 0, 0), (0, 0, 0)]
    assert report["messages"]["candidate"]["sent"] > 500

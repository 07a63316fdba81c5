"""The demo without a screen: a whole migration with the real supervisor, fleet, gateway and daemon."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PHASES = (
    "dark-launch", "canary-10", "canary-25", "canary-50", "canary-75", "canary-90",
    "cutover", "validation", "deprecation", "removal",
)  # fmt: skip
SHARES = {"canary-10": 10, "canary-25": 25, "canary-50": 50, "canary-75": 75, "canary-90": 90}


def demo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `agt demo` as a user would."""
    command = [sys.executable, "-m", "agt.chaos.demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.timeout(110)
def test_a_whole_migration_loses_doubles_and_misorders_nothing(tmp_path: Path) -> None:
    """Every phase is passed on evidence, the shares are as planned, and the logs agree with the ledger."""
    done = demo("--headless", "--duration", "22s", "--seed", "7", "--json", "--keep", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["final_phase"] == "removal"
    assert [phase["name"] for phase in report["phases"]] == list(PHASES)
    assert {phase["verdict"] for phase in report["phases"]} == {"passed"}
    assert all(gate["verdict"] == "passed" for phase in report["phases"] for gate in phase["gates"])
    candidate = report["messages"]["candidate"]
    assert candidate["sent"] > 1000
    assert (candidate["lost"], candidate["duplicated"], candidate["out_of_order"]) == (0, 0, 0)
    assert report["ledger_agrees"]
    for phase in report["phases"]:
        if phase["name"] in SHARES:
            assert abs(100 * phase["share"] - SHARES[phase["name"]]) <= 12, phase


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give --headless or --serve"),
        (("--headless", "--fault", "stal:candidate@canary-50"), "unknown kind 'stal'"),
        (("--headless", "--fault", "stall:candidate@canary-51"), "the plan has no phase 'canary-51'"),
        (("--headless", "--duration", "soon"), "'soon' is no duration"),
        (("--headless", "--duration", "2s"), "too short for 10 phases"),
        (("--headless", "--devices", "0"), "0 devices can't be simulated"),
    ],
)
def test_wrong_usage_gets_one_clear_message_and_starts_nothing(arguments: tuple[str, ...], says: str) -> None:
    """Exit status 2, and what to write instead."""
    done = demo(*arguments)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr

"""The demo without a screen: a whole migration with the real supervisor, fleet, gateway and daemon."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PHASES = (
    "dark-launch", "canary-10", "canary-25", "canary-50", "canary-75", "canary-90",
    "cutover", "validation", "deprecation", "removal",
)  # fmt: skip
SHARES = {"canary-10": 10, "canary-25": 25, "canary-50": 50, "canary-75": 75, "canary-90": 90}


COMMAND = (sys.executable, "-m", "agt.chaos.demo")
ENDS_WITHIN_S = 140
"""Far more than any run here takes, and than it gives itself: what is slow says so in its report."""


def demo(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `agt demo` as a user would."""
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=False)


@pytest.mark.timeout(ENDS_WITHIN_S + 10)
def test_a_whole_migration_loses_doubles_and_misorders_nothing(run: Path) -> None:
    """Every phase is passed on evidence, the shares are as planned, and the logs agree with the ledger."""
    done = demo("--headless", "--duration", "10s", "--seed", "7", "--json", "--keep", str(run / "demo"))
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    # What was promised of each message comes first: it holds however busy the machine is.
    candidate = report["messages"]["candidate"]
    assert (candidate["lost"], candidate["duplicated"], candidate["out_of_order"]) == (0, 0, 0)
    assert report["ledger_agrees"], done.stderr
    # A run that was held or taken back says here by which gate or rule.
    assert report["final_phase"] == "removal", (done.stderr, report["phases"][-1:], report["rollbacks"])
    assert done.returncode == 0, done.stderr
    assert [phase["name"] for phase in report["phases"]] == list(PHASES)
    assert {phase["verdict"] for phase in report["phases"]} == {"passed"}
    assert all(gate["verdict"] == "passed" for phase in report["phases"] for gate in phase["gates"])
    assert candidate["sent"] > 1000
    for phase in report["phases"]:
        if phase["name"] in SHARES:
            assert abs(100 * phase["share"] - SHARES[phase["name"]]) <= 12, phase


@pytest.mark.parametrize("sign", ["supervisor.log", "selector.toml"])
def test_a_run_that_is_told_to_end_leaves_nothing_behind(
    run: Path, eventually: Callable[[Callable[[], object]], None], sign: str
) -> None:
    """Ctrl-C while the supervisor starts, or once it works: one line, exit status 1, no process left."""
    folder = run / "demo"
    command = [*COMMAND, "--headless", "--duration", "60s", "--keep", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            eventually(lambda: process.poll() is not None or (folder / sign).exists())
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (1, "", "agt demo: the run was ended early\n")
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if works_in(pid, folder)]


def works_in(process: Path, folder: Path) -> bool:
    """Whether a process was started for a run directory."""
    told = {f"AGT_RUN_DIR={folder}".encode(), bytes(folder)}
    try:
        words = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
    except OSError:
        return False  # Another's, or gone in the meantime.
    return not told.isdisjoint(words.split(b"\0"))


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

"""Two thousand worlds over the native wire: safety while things go wrong, liveness once they stop.

`make soak` lives through a hundred thousand (`scripts/soak.py`).
"""

import subprocess
import sys

import pytest

from agt.chaos.sim import run_seed

SEEDS = 2000
CHUNK = 50


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_every_promise_holds_in_every_world(first: int) -> None:
    """At most once, in order, delivered means processed, every send ends; and a healed world delivers."""
    delivered = 0
    for seed in range(first, first + CHUNK):
        report = run_seed(seed)
        assert not report.broken, "\n" + report.summary()
        delivered += report.outcomes.get("delivered", 0)
    assert delivered > CHUNK, "worlds in which nothing arrives prove nothing"


@pytest.mark.parametrize("seed", [3, 29, 262])
def test_the_same_seed_gives_the_same_trace_byte_by_byte(seed: int) -> None:
    """Nothing but the seed decides, within one process and across hash seeds."""
    here = "\n".join(run_seed(seed).trace)
    assert here == "\n".join(run_seed(seed).trace)
    command = [sys.executable, "-m", "agt.chaos.sim", "--seed", str(seed), "--trace"]
    elsewhere = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "12345"})
    assert elsewhere.stdout.startswith(here + "\n")
    assert f"seed {seed}: all promises held" in elsewhere.stdout


def test_worlds_differ_in_kind_not_only_in_luck() -> None:
    """The profiles of a hundred seeds use every fault, and each leaves some out."""
    profiles = [run_seed(seed).profile for seed in range(100)]
    for fault in ("drop", "duplicate", "reorder", "damage", "cut", "crash_per_s", "partition_per_s", "zombie"):
        rates = [getattr(profile, fault) for profile in profiles]
        assert any(rates), f"{fault} never happens"
        assert not all(rates), f"{fault} always happens"


def test_all_outcomes_are_reached() -> None:
    """The worlds are hard enough that sends end in every way there is."""
    seen: set[str] = set()
    for seed in range(60):
        seen |= {word for word, count in run_seed(seed).outcomes.items() if count}
    assert seen >= {"delivered", "not_delivered", "indeterminate", "withdrawn"}

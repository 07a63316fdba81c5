"""A move of real devices to and fro while frames are dropped, delayed and cut: accounted for to the last command."""

import json
import subprocess
import sys

import anyio
import pytest

from agt.chaos.scale import MoveWork, move_devices


def test_a_hundred_devices_go_to_the_candidate_and_back(run) -> None:
    """A quarter each of `sequence`, `ack`, `half-close` and `none`; every connection is cut on the way."""
    work = MoveWork(devices=100, gateways=1, rate=100.0, seed=7, steps=(60.0, 100.0, 0.0), between_s=0.4, storms=True)
    figures = anyio.run(move_devices, work, run, lambda _: None)
    assert figures.problems == ()
    sequence = figures.barriers["sequence"].counts
    assert (sequence.lost, sequence.duplicated, sequence.out_of_order) == (0, 0, 0)
    assert sequence.delivered > 0
    assert sum(one.moved for one in figures.moves) > 100
    assert figures.struck["latency"] > 0


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [7, 8])
def test_a_thousand_devices_go_to_the_candidate_and_back(seed: int) -> None:
    """As an operator would try it: exit status 0, nothing lost, doubled or misordered on `sequence`."""
    command = [sys.executable, "-m", "agt.supervisor.cli", "chaos", "move", "--seed", str(seed), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    figures = json.loads(done.stdout)
    counts = figures["barriers"]["sequence"]["counts"]
    assert (counts["lost"], counts["duplicated"], counts["out_of_order"]) == (0, 0, 0)
    assert counts["delivered"] > 1000
    assert figures["struck"]["reset"] > 10

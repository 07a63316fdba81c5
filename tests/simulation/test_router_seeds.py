"""Router worlds: moves, kills, crashes at every durable step; what sources were told against what devices did.

`make soak` lives through thousands of them, and through every case of the script (tests marked `soak`).
"""

import subprocess
import sys
from collections.abc import Callable

import pytest

from agt.chaos.sim import run_seeds
from agt.chaos.sim._profile import with_overrides
from agt.chaos.sim.moves import router_profile_of, run_router_seed
from agt.chaos.sim.moves._script import DIRECTIONS, WIRES, Case, Direction, cases_at, run_case
from agt.transport import Barrier

SEEDS = 12
SOAK_SEEDS = 4000
SOAK_CHUNK = 250
COMMANDS_BOUNDARIES = range(51)

FOUND: dict[int, dict[str, str]] = {
    98: {},  # A kill said that nothing was in doubt, and there was no attachment to go back to before a deadline.
    473: {},  # A legacy connection that was cut counted as silent, and what it still delivered came last.
}
"""Seeds that broke a promise, and what was set in their profiles."""


def test_every_promise_holds_in_every_router_world() -> None:
    """What a barrier promises, one owner, doubts named and said before, a ledger that agrees, and all settles."""
    told: set[str] = set()
    for seed in range(SEEDS):
        report = run_router_seed(seed)
        assert not report.broken, "\n" + report.summary()
        told |= set(report.outcomes)
    assert told >= {"delivered", "written", "not_delivered", "untold"}


@pytest.mark.parametrize("seed", FOUND)
def test_what_a_router_world_once_found_stays_mended(seed: int) -> None:
    """Every seed that found a bug becomes a test."""
    report = run_router_seed(seed, with_overrides(router_profile_of(seed), FOUND[seed]))
    assert not report.broken, "\n" + report.summary()


def test_the_same_router_seed_gives_the_same_trace_byte_by_byte() -> None:
    """Nothing but the seed decides, also in another process with another hash seed."""
    here = "\n".join(run_router_seed(7).trace)
    command = [sys.executable, "-m", "agt.chaos.sim", "--world", "router", "--seed", "7", "--trace"]
    elsewhere = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "12345"})
    assert elsewhere.stdout.startswith(here + "\n")
    assert "replay: agt chaos sim --world router --seed 7 --trace" in elsewhere.stdout


def test_router_worlds_differ_in_kind() -> None:
    """The profiles use every fault and every barrier, and each leaves some out."""
    profiles = [router_profile_of(seed) for seed in range(200)]
    for fault in ("drop", "cut", "reorder", "crash_per_s", "crash_at_write", "full_per_s", "corrupt_per_s", "kills"):
        rates = [getattr(profile, fault) for profile in profiles]
        assert any(rates), f"{fault} never happens"
        assert not all(rates), f"{fault} always happens"
    assert {(profile.wire, profile.barrier) for profile in profiles} == {(wire, one.value) for wire, one in WIRES}


@pytest.mark.parametrize(("wire", "barrier"), WIRES)
def test_a_gateway_that_dies_within_a_move_leaves_one_owner(wire: str, barrier: Barrier) -> None:
    """A slice of all cases: another boundary for each direction, each with a crash in the middle of a step."""
    for place, direction in enumerate(DIRECTIONS):
        for fate in ("torn", "after"):
            ran = run_case(Case(wire, barrier, direction, 7 + 17 * place, 2 + place, fate))
            assert not ran.broken, "\n".join((ran.broken, *ran.trace))


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(("wire", "barrier"), WIRES)
def test_every_case_of_the_script_holds(
    wire: str, barrier: Barrier, direction: Direction, figure: Callable[[str, float], None]
) -> None:
    """Every boundary of fifty commands, every durable step of the move there, before, within and after."""
    cases = 0
    for boundary in COMMANDS_BOUNDARIES:
        for case in cases_at(wire, barrier, direction, boundary):
            ran = run_case(case)
            assert not ran.broken, "\n".join((case.name, ran.broken, *ran.trace))
            cases += 1
    figure("cases of a move and a crash", cases)


@pytest.mark.soak
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("first", range(0, SOAK_SEEDS, SOAK_CHUNK))
def test_thousands_of_router_worlds_hold(first: int, figure: Callable[[str, float], None]) -> None:
    """More of the same, shrunk where they break."""
    run = run_seeds(first, SOAK_CHUNK, kind="router")
    assert not run.tally.broken, "\n".join(f"{one.promise}\n  {one.replay}" for one in run.tally.broken)
    figure("router worlds", run.tally.seeds)
    figure("events of router worlds", run.tally.events)

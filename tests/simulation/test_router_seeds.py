"""Router worlds: moves, kills, crashes at every durable step; what sources were told against what devices did.

`make soak` lives through thousands of them, and through every case of the script (tests marked `soak`).
"""

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from agt.chaos.sim import run_seeds
from agt.chaos.sim._book import BrokenPromise
from agt.chaos.sim._profile import with_overrides
from agt.chaos.sim.moves import router_profile_of, run_router_seed
from agt.chaos.sim.moves._book import Book, Entry, Wrote
from agt.chaos.sim.moves._script import DIRECTIONS, WIRES, Case, Direction, cases_at, run_case
from agt.transport import Barrier

SEEDS = 12
SOAK_SEEDS = 4000
SOAK_CHUNK = 250
COMMANDS_BOUNDARIES = range(51)


def _without(*faults: str, **fields: str) -> dict[str, str]:
    """Switch faults off, and set fields of a profile."""
    return dict.fromkeys(faults, "0") | fields


FOUND: dict[int, dict[str, str]] = {
    98: {},  # A kill said that nothing was in doubt, and there was no attachment to go back to before a deadline.
    473: {},  # A legacy connection that was cut counted as silent, and what it still delivered came last.
    # Three commands of a slow cync device take ten seconds, one at a time, and the world gave them eight.
    1419: _without("full_per_s", "slice", "report", "jitter_s", messages="10"),
    3632: _without("kills", "full_per_s", "stall_per_s", "damage", "reorder", "slice", "jitter_s", changes="1"),
    3790: _without("device_crash_per_s", "cut", "slice", "report"),
    # A state was sent again though one behind it must not be, which may have arrived: the older state stayed.
    1813: _without("crash_at_write", "crash_per_s", "corrupt_per_s", "damage", "duplicate"),
    1982: _without("half_open", "reaction_s", "jitter_s"),
    1688: _without("device_crash_per_s", "slice", "reaction_s", changes="4"),
    2424: _without(
        *("stall_per_s", "damage", "drop", "half_open", "slice", "reaction_s", "jitter_s", "latency_s"), devices="1"
    ),
    3024: _without("damage", "duplicate", "half_open"),
    3: _without(  # What its path had given up, out of retries, was sent again behind later ones.
        *("drop", "duplicate", "reorder", "damage", "half_open", "slice", "stall_per_s", "device_crash_per_s"),
        *("crash_per_s", "crash_at_write", "full_per_s", "corrupt_per_s", "redial", "kills", "report", "jitter_s"),
        wire="lines",
        barrier="ack",
        reaction_s="0.3",
        devices="3",
        changes="14",
        cut="0.4",
        legacy_lag_s="1.5",
    ),
    6946: _without("crash_at_write", "duplicate", "reaction_s", "legacy_lag_s"),  # Given up as the drain ended by it.
    711: {},  # The legacy network dropped what a move had taken back from the candidate, and that counted as overtaken.
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


@pytest.mark.parametrize(("order", "overtaken"), [((1, 2), False), ((2, 1), True)])
def test_a_loss_on_a_legacy_socket_is_told_from_an_overtaking(order: tuple[int, int], *, overtaken: bool) -> None:
    """What was written there before the later one was lost by the network, also where it had left before."""
    now = 0.0
    book = Book(lambda: now, barrier=Barrier.SEQUENCE, in_place=False)
    for number in (1, 2):
        book.sent(Entry("lamp-0", number, 1, 0.0, 30.0, resends=True))
    book.entries["lamp-0", 1].wrote.append(Wrote(0.5, "native", 1))
    for at, number in enumerate(order, start=1):
        book.entries["lamp-0", number].wrote.append(Wrote(float(at), "legacy", 1))
    now = 3.0
    book.reached("lamp-0", 2, "legacy", 1, acts=True)
    with pytest.raises(BrokenPromise, match="overtaken") if overtaken else nullcontext():
        book.reached("lamp-0", 1, "legacy", 1, acts=False)


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

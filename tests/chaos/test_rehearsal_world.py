"""Rehearsal: a ladder whole in virtual time, each reason to go back, and nothing without traffic.

The ladder has document 004's service levels, rules and pace; `test_rehearsed_plans` takes the documents' own plans.
"""

import json

import msgspec
import pytest
from typer.testing import CliRunner

from agt.chaos.rehearsal import LADDER, Rehearsal, World, load_causes, strike
from agt.chaos.rehearsal.cli import app
from agt.supervisor.rollout import Status, load_plan

CHECK_S = 60


@pytest.fixture(scope="module")
def rollout() -> tuple[World, dict[str, World]]:
    """The ladder carried out soundly: the world at its end, and as it was half-way through each phase."""
    world, halves = World(load_plan(LADDER)), {}
    while world.state.status is not Status.COMPLETE:
        assert world.elapsed_s < 100 * 86_400, world.state
        world.tick(world.stride_s())
        applied = world.state.applied_at
        half_s = world.plan.soak_s(world.plan.phases[world.state.phase]) / 2
        if world.phase not in halves and applied is not None and world.wall - applied > half_s:
            halves[world.phase] = world.fork()
    return world, halves


def test_a_plan_comes_to_its_end_in_virtual_time(rollout):
    """Every phase is entered in turn and left no earlier than its soak allows; one decision has one number."""
    world = rollout[0]
    turns = world.journal
    assert [one.kind for one in turns] == ["started", *["advanced"] * 4, "completed"]
    for phase, entered, left in zip(world.plan.phases, turns, turns[1:], strict=False):
        assert left.at_s - entered.at_s >= world.plan.soak_s(phase), phase.name
    assert [one.number for one in world.journal] == list(range(1, len(world.journal) + 1))


def test_without_traffic_the_first_gate_stays_shut():
    """Time alone is no evidence: the plan stays in its first phase, its gates pending with reasons."""
    told = Rehearsal(load_plan(LADDER), rate=0).run()
    assert (told.phase, told.complete) == ("dark-launch", False)
    assert {gate["verdict"] for gate in told.gates if gate["name"] != "fresh-snapshot"} == {"pending"}
    assert all(gate["reason"] for gate in told.gates)


@pytest.mark.parametrize(
    ("cause", "phase", "rule", "back_to"),
    [
        ("candidate-stalls", "canary-10", "slo-violated", 0),
        ("candidate-fails", "canary-10", "slo-violated", 0),
        ("candidate-slow", "canary-50", "slo-violated", 0),
        ("candidate-garbles", "canary-50", "slo-violated", 0),
        ("candidate-fails", "canary-90", "slo-violated-late", 50),
        ("candidate-stalls", "cutover", "slo-violated-late", 90),
        ("candidate-all-slow", "cutover", "slo-violated-late", 90),
    ],
)
def test_each_reason_to_go_back_is_answered_within_minutes(rollout, cause, phase, rule, back_to):
    """Three violated checks in a row go back, weeks into a phase as well as on its first day."""
    world = rollout[1][phase].fork()
    struck = strike(world, load_causes()[cause])
    assert struck.by == rule, struck
    assert struck.after_s is not None
    assert 3 * CHECK_S <= struck.after_s <= 4 * CHECK_S
    assert struck.percent == back_to
    assert world.state.status is Status.ROLLED_BACK


@pytest.mark.parametrize("phase", ["canary-10", "cutover"])
def test_a_slow_leak_is_answered_by_the_long_window(rollout, phase):
    """Errors three times as frequent as allowed are no emergency; the window says so once they weigh enough."""
    world = rollout[1][phase].fork()
    leak = _changed(load_causes()["candidate-fails"], fails=0.003, lasts=5)
    assert strike(world, leak).reaction == ""
    assert world.state.status is Status.RUNNING


def test_a_blip_of_one_check_is_no_reason_to_go_back(rollout):
    """A candidate that fails for a single check has violated one of the three that it takes."""
    world = rollout[1]["canary-50"].fork()
    assert strike(world, _changed(load_causes()["candidate-fails"], fails=0.33, lasts=1)).reaction == ""
    for _ in range(5):
        world.tick()
    assert (world.state.status, world.state.breaches) == (Status.RUNNING, {})


def test_the_command_tells_a_script_what_happened():
    """`agt rehearse --json` names the rule and the time it took; status 0 when a fault was answered."""
    run = CliRunner().invoke(app, [str(LADDER), "--fault", "candidate-stalls", "--json"])
    told = json.loads(run.stdout)
    assert run.exit_code == 0
    assert told["struck"][0]["by"] == "slo-violated"
    assert told["struck"][0]["phase"] == "canary-10"
    assert told["longest_gap_s"] == 0


def test_the_command_says_what_is_wrong_with_its_words():
    """An unknown fault or phase is refused with what there is; a plan that can't be read too."""
    run = CliRunner().invoke(app, [str(LADDER), "--fault", "gremlins"])
    assert (run.exit_code, "--faults lists" in run.output) == (2, True)
    run = CliRunner().invoke(app, [str(LADDER), "--fault", "candidate-stalls@nowhere"])
    assert (run.exit_code, "has no phase" in run.output) == (2, True)
    assert CliRunner().invoke(app, ["nowhere.toml"]).exit_code == 1


def _changed(cause, *, fails: float, lasts: int):

    replace = msgspec.structs.replace
    return replace(cause, lasts=lasts, candidate=replace(cause.candidate, fails=fails))

"""The documents' own plans in virtual time: whole, without traffic, and with each reason to go back. For the soak."""

from pathlib import Path

import pytest

from agt.chaos.rehearsal import Cause, Injection, Rehearsal, World, load_causes, strike
from agt.supervisor.rollout import Status, load_plan

PLANS = Path(__file__).parents[2] / "plans"
pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def cync() -> tuple[World, dict[str, World]]:
    """Document 004 carried out soundly: the world at its end, and as it was half-way through each phase."""
    world, halves = World(load_plan(PLANS / "cync-tcp.toml")), {}
    while world.state.status is not Status.COMPLETE:
        assert world.elapsed_s < 120 * 86_400, world.state
        world.tick(world.stride_s())
        applied = world.state.applied_at
        half_s = world.plan.soak_s(world.plan.phases[world.state.phase]) / 2
        if world.phase not in halves and applied is not None and world.wall - applied > half_s:
            halves[world.phase] = world.fork()
    return world, halves


def test_document_004_comes_to_its_end(cync):
    """Ten phases in turn, each left no earlier than its soak allows."""
    world = cync[0]
    turns = [one for one in world.journal if one.kind in ("started", "advanced", "completed")]
    assert [one.kind for one in turns] == ["started", *["advanced"] * 9, "completed"]
    for phase, entered, left in zip(world.plan.phases, turns, turns[1:], strict=False):
        assert left.at_s - entered.at_s >= world.plan.soak_s(phase), phase.name


@pytest.mark.parametrize("plan", ["agtmux-v5.toml", "cync-tcp.toml", "demo.toml"])
def test_without_traffic_no_plan_gets_past_its_first_gate(plan):
    """Time alone is no evidence, in any plan that comes with the project."""
    told = Rehearsal(load_plan(PLANS / plan), rate=0).run()
    assert not told.complete
    assert not [one for one in told.decisions if one.kind == "advanced"]


@pytest.mark.parametrize("cause", ["candidate-stalls", "candidate-fails", "candidate-slow"])
@pytest.mark.parametrize(
    ("phase", "back_to"),
    [
        ("canary-10", {0}), ("canary-25", {0}), ("canary-50", {0}), ("canary-75", {0, 50}), ("canary-90", {0, 75}),
        ("cutover", {90}), ("validation", {90}), ("deprecation", {90}), ("removal", {90}),
    ],
)  # fmt: skip
def test_each_phase_goes_back_within_minutes(cync, cause, phase, back_to):
    """At most four checks of a minute, to the step that the document names, or to control when shown worse."""
    struck = strike(cync[1][phase].fork(), load_causes()[cause])
    assert struck.reaction in ("rolled-back", "stepped-back")
    assert struck.after_s is not None
    assert struck.after_s <= 4 * 60
    assert struck.percent in back_to


@pytest.mark.parametrize("cause", ["network-down", "gateway-restarted", "control-stalls", "clock-set-back"])
def test_what_is_nobodys_fault_holds_and_the_plan_goes_on(cause):
    """A fault that isn't the candidate's is named, and the plan comes to its end by itself."""
    plan = load_plan(PLANS / "cync-tcp.toml")
    told = Rehearsal(plan, injections=[Injection(load_causes()[cause], "canary-50")]).run()
    assert told.complete, told.reason
    assert told.struck[0].reaction in ("fault-seen", "clock-set")
    assert told.longest_gap_s <= 10 * 60


AGTMUX = {
    "hold-down-again": (Cause(name="h", says="two hold-downs", blame="candidate", happens="hold_downs", lasts=2), 3),
    "escalate-open": (Cause(name="e", says="an alert stands", blame="candidate", alert="escalate", lasts=12), 7),
    "full-resync": (Cause(name="f", says="a full resync", blame="candidate", happens="full_resyncs", lasts=3), 2),
}
"""Rows of document 001's rollback table by the rule that has to speak, and the minutes that it may take."""


@pytest.mark.parametrize("rule", sorted(AGTMUX))
def test_document_001_goes_back_for_each_row_of_its_table(rule):
    """In the gradual default: the rule that is named speaks within its time, and nothing advances."""
    cause, minutes = AGTMUX[rule]
    world = World(load_plan(PLANS / "agtmux-v5.toml"))
    while world.phase != "gradual-default" or world.state.applied_at is None:
        assert world.elapsed_s < 60 * 86_400, world.state
        world.tick(world.stride_s())
    struck = strike(world, cause)
    world.tick()
    world.tick()
    spoke = [one for one in world.journal if rule in (one.by, one.says.partition(":")[0])]
    assert spoke, (struck, world.journal[-3:])
    assert spoke[0].at_s - struck.at_s <= minutes * 60
    assert world.state.status in (Status.ROLLED_BACK, Status.HELD)

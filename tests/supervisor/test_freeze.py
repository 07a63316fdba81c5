"""The freeze: nothing goes forward while it lasts, whoever asks, and going back works as ever."""

import datetime

import pytest

from agt.supervisor.actions import Action, Refused
from agt.supervisor.rollout import PlanInvalid, Status, parse_plan
from agt.supervisor.rollout._effects import Kill, SetRoute, is_forward
from agt.supervisor.rollout._freeze import FREEZE
from agt.supervisor.rollout._operator import operate

FORWARD = (
    Action(action="advance", reason="now", version=9),
    Action(action="resume", version=9),
    Action(action="set", percentage=99.0, version=9),
    Action(action="component", name="x", on=True, version=9),
    Action(action="override", device="a", side="candidate", by="mia", reason="x", version=9),
    Action(action="override", device="a", version=9),
    Action(action="mode", name="internet", by="mia", version=9),
)
BACK = (
    Action(action="hold"),
    Action(action="rollback"),
    Action(action="rollback", to="shadow"),
    Action(action="set", percentage=1.0),
    Action(action="component", name="x", on=False),
    Action(action="override", device="a", side="control", by="mia", reason="x"),
    Action(action="kill-switch-on"),
)


def asked(bench, action: Action):
    """What an operator's action does now."""
    return operate(bench.plan, bench.state, bench.observe(), action, now=bench.now)


def freeze(bench, **fields) -> None:
    """Freeze it."""
    bench.take(asked(bench, Action(action="freeze", by="mia", reason="release", **fields)))


def test_frozen_rollout_stays_where_it_is_until_it_is_ended(bench):
    """Every gate is passed and the soak carried, and still it does not advance; afterwards it does at once."""
    bench.until("half")
    freeze(bench)
    bench.new.good = 50.0
    for _ in range(30):
        assert not any(is_forward(effect) for effect in bench.tick().effects)
    assert bench.plan.phases[bench.state.phase].name == "half"
    assert bench.state.status is Status.RUNNING
    bench.take(asked(bench, Action(action="unfreeze", by="mia", version=9)))
    bench.tick()
    assert bench.plan.phases[bench.state.phase].name == "most"


def test_freeze_ends_by_itself_when_its_time_has_passed(bench):
    """And so does its alert."""
    bench.until("half")
    freeze(bench, expires_at=bench.now + 5)
    for _ in range(5):
        last = bench.tick()
    assert (last.kind, bench.state.freeze) == ("unfrozen", None)
    assert [effect.source for effect in last.effects] == [FREEZE]


@pytest.mark.parametrize("action", FORWARD, ids=lambda action: f"{action.action}-{action.side}")
def test_operator_does_not_get_forward_either(bench, action):
    """With the reason, who froze it, and what to do; held or running."""
    bench.until("half")
    if action.action == "resume":
        bench.take(asked(bench, Action(action="hold")))
    asked(bench, action)
    freeze(bench)
    with pytest.raises(Refused, match=r"frozen by mia until somebody ends it: release; .*agt unfreeze") as caught:
        asked(bench, action)
    assert caught.value.code == "refused"


@pytest.mark.parametrize("action", BACK, ids=lambda action: f"{action.action}-{action.to}")
def test_going_back_does_what_it_does_without_a_freeze(bench, make_bench, action):
    """The same status and effects, freeze or none."""
    bench.until("half")
    plain = asked(bench, action)
    freeze(bench)
    cold = asked(bench, action)
    assert (cold.state.status, cold.state.percent) == (plain.state.status, plain.state.percent)
    assert [type(one) for one in cold.effects] == [type(one) for one in plain.effects]


def test_rules_go_back_while_it_is_frozen(bench):
    """A sick candidate goes to control, frozen or not."""
    bench.until("half")
    freeze(bench)
    bench.new.good, bench.new.bad = 25, 25
    for _ in range(5):
        bench.tick()
    assert (bench.state.status, bench.state.percent) == (Status.ROLLED_BACK, 0)


def test_route_that_was_cut_off_is_not_written_while_it_is_frozen(bench):
    """A forward route waits for the end of the freeze; one that goes back, or a kill, is written."""
    bench.until("half")
    bench.generation -= 1
    assert [type(effect) for effect in bench.tick().effects] == [SetRoute]
    bench.generation -= 1
    freeze(bench)
    assert not [effect for effect in bench.tick().effects if isinstance(effect, SetRoute)]
    bench.take(asked(bench, Action(action="rollback")))
    bench.generation -= 1
    assert [type(effect) for effect in bench.tick().effects] == [SetRoute]
    bench.take(asked(bench, Action(action="kill-switch-on")))
    bench.killed = False
    assert [type(effect) for effect in bench.tick().effects] == [Kill]


@pytest.mark.parametrize(
    ("start", "end", "at", "cold"),
    [
        ("2026-12-20", "2026-12-24", "2026-12-19T22:59:59+00:00", False),
        ("2026-12-20", "2026-12-24", "2026-12-19T23:00:00+00:00", True),
        ("2026-12-20", "2026-12-24", "2026-12-24T22:59:59+00:00", True),
        ("2026-12-20", "2026-12-24", "2026-12-24T23:00:00+00:00", False),
        ("2026-12-20T18:00", "2026-12-24T06:00", "2026-12-24T04:59:59+00:00", True),
        ("2026-12-20T18:00", "2026-12-24T06:00", "2026-12-24T05:00:01+00:00", False),
    ],
)
def test_days_of_the_plan_are_by_the_calendar_of_its_zone(make_bench, plan_text, start, end, at, cold):
    """The last day is frozen whole, a last time ends it; a squeeze changes nothing."""
    span = f'[[freeze]]\nstart = "{start}"\nend = "{end}"\nzone = "Europe/Berlin"\nreason = "holidays"\n'
    bench = make_bench(plan_text + span)
    bench.now = datetime.datetime.fromisoformat(at).timestamp()
    for _ in range(3):
        bench.tick(0.0)
    assert (bench.state.generation == 0) is cold
    assert ("frozen by the plan until 2026-12-24" in bench.state.reason) is cold


def test_plan_check_finds_days_that_are_none(plan_text):
    """Each with its key path."""
    spans = "".join(
        f'[[freeze]]\nreason = "x"\n{keys}\n'
        for keys in (
            'start = "soon"\nend = "2026-12-24"',
            'start = "2026-12-25"\nend = "2026-12-24"',
            'start = "2026-12-20"\nend = "2026-12-24"\nzone = "Europe/Nowhere"',
        )
    )
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(plan_text + spans)
    assert [problem.path for problem in caught.value.problems] == ["freeze[0]", "freeze[1].end", "freeze[2].zone"]


@pytest.mark.parametrize(
    ("action", "says"),
    [
        (Action(action="freeze", by="mia"), "needs a reason"),
        (Action(action="freeze", reason="x", expires_at=1.0), "ended already"),
        (Action(action="unfreeze"), "it is not frozen"),
    ],
)
def test_freeze_that_makes_no_sense_is_refused(bench, action, says):
    """In words."""
    with pytest.raises(Refused, match=says):
        asked(bench, action)

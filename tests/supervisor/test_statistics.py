"""Statistical conditions in a plan: what gates and rules make of counts by groups of devices."""

from dataclasses import replace

import pytest

from agt.supervisor.measure import RouterSample, RuntimeCounters, parse_exposition, read_sample
from agt.supervisor.rollout import PlanInvalid, Status, Verdict, parse_plan
from agt.supervisor.rollout._engine import step
from agt.supervisor.rollout._gates import gate_name, judge
from agt.supervisor.rollout._plan_file import Gate, When
from agt.supervisor.rollout._step import look_of

GATE = Gate(metric="failure_ratio", against="control", not_worse_by=0.01)
RULE = When(metric="failure_ratio", against="control", worse_by=0.0)
TABLES = """
[[rule]]
name = "shown-worse"
when = { metric = "failure_ratio", against = "control", worse_by = 0.0 }
then = "rollback"
phases = ["half"]
"""


def counted(bench, *, bad: float, ended: float = 400.0, groups: int = 32):
    """What a check sees when every group of the candidate fails this often, and control one time in a thousand."""
    seen = bench.observe()
    old = bench.timeline.window(start=bench.state.since)
    assert old is not None
    for at, share in ((bench.state.since, 0.0), (bench.now, 1.0)):
        rates = {bench.plan.control: 0.001, bench.plan.candidate: bad}
        counters = {
            name: RuntimeCounters(
                group_ended=tuple(share * ended for _ in range(groups)),
                group_bad=tuple(share * ended * rate * (0.5 + number % 2) for number in range(groups)),
            )
            for name, rate in rates.items()
        }
        bench.timeline.add("groups.sock", RouterSample(router="g", at=at, counters=counters))
    return replace(seen, readings=replace(seen.readings, timeline=bench.timeline))


@pytest.fixture
def half(make_bench, plan_text):
    """A bench in the phase at 50 %, with a statistical rule."""
    bench = make_bench(plan_text + TABLES)
    bench.until("half")
    bench.tick()
    bench.tick()
    return bench


@pytest.mark.parametrize(
    ("bad", "gate", "violated"),
    [(0.001, Verdict.PASSED, False), (0.008, Verdict.PENDING, False), (0.05, Verdict.FAILED, True)],
)
def test_what_the_traffic_shows_passes_fails_or_is_pending(half, bad, gate, violated) -> None:
    """Shown not worse, undecided with what is missing, shown worse; the rule only for the last."""
    ended = 400.0 if bad != 0.008 else 40.0
    look = look_of(half.plan, half.state, counted(half, bad=bad, ended=ended), now=half.now)
    judged = judge(GATE, look)
    assert judged.verdict is gate, judged
    assert judged.samples == round(32 * ended)
    assert "against 0.10 %" in judged.reason
    if gate is Verdict.PENDING:
        assert "more samples" in judged.reason
    assert (judge(RULE, look).verdict is Verdict.PASSED) is violated


def test_few_devices_show_nothing_and_never_pass(half) -> None:
    """A statistical gate asks for groups; without them there is only waiting, or the literal rules."""
    look = look_of(half.plan, half.state, counted(half, bad=0.9, groups=3), now=half.now)
    for condition in (GATE, RULE):
        judged = judge(condition, look)
        assert judged.verdict is Verdict.PENDING
        assert "3 groups of devices, 6 are needed" in judged.reason
    none = look_of(half.plan, half.state, half.observe(), now=half.now)
    assert judge(GATE, none).verdict is Verdict.PENDING


def test_an_equal_candidate_goes_on(half) -> None:
    """Nothing is shown against it, so no rule speaks."""
    assert step(half.plan, half.state, counted(half, bad=0.001), now=half.now).state.status is Status.RUNNING


def test_the_engine_goes_back_at_the_first_look_that_shows_it(half) -> None:
    """With a reason that has both ratios and the difference."""
    done = step(half.plan, half.state, counted(half, bad=0.05), now=half.now)
    assert done.state.status is Status.ROLLED_BACK
    assert "shown-worse: shown worse: 5 % against 0.10 %" in done.says


def test_each_visit_of_a_phase_has_less_to_spend(half) -> None:
    """So a phase that is tried again and again doesn't get by on luck."""
    assert half.state.visits == {"half": 1}
    seen = counted(half, bad=0.0128, ended=120.0)
    look = look_of(half.plan, half.state, seen, now=half.now)
    assert judge(RULE, look).verdict is Verdict.PASSED
    assert judge(RULE, replace(look, visit=40)).verdict is Verdict.PENDING


def test_a_page_of_metrics_becomes_counts_by_group() -> None:
    """Of the limits that a router counts for, the one that fits the plan's."""
    page = "\n".join(
        f'agt_group_{name}_total{{transport="v5",group="{group}"{more}}} {value}'
        for group in (0, 2)
        for name, more, value in (
            ("ended", "", 100),
            ("failed", "", 1),
            ("slow", ',seconds="0.8"', 7),
            ("slow", ',seconds="1.5"', 3),
        )
    )
    for slow_s, bad in ((0.5, 8.0), (0.8, 8.0), (1.0, 4.0), (9.0, 4.0)):
        sample = read_sample(parse_exposition(page + "\n"), router="r", at=1.0, slow_s=slow_s)
        assert sample.counters["v5"].group_ended == (100.0, 0.0, 100.0)
        assert sample.counters["v5"].group_bad == (bad, 0.0, bad)


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ('metric = "failure_ratio"\nat_most = 0.1', "only failure_ratio against control can be not_worse_by"),
        ('metric = "failure_ratio"\nagainst = "control"\nworse_by = 0.1', "needs not_worse_by and nothing else"),
        ('metric = "success_ratio"\nagainst = "control"\nnot_worse_by = 0.1', "only failure_ratio against control"),
        ('metric = "failure_ratio"\nagainst = "control"\nnot_worse_by = 0.1\nratio = 2.0', "and nothing else"),
        ('metric = "failure_ratio"\nagainst = "control"\nnot_worse_by = 0.0', "phase[1].gate[0].not_worse_by"),
    ],
)
def test_a_senseless_comparison_is_refused_with_its_path(plan_text, gate, says) -> None:
    """One clear problem each."""
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(plan_text.replace('objective = "all"', gate, 1))
    assert says in str(caught.value)
    assert gate_name(GATE) == "shown not worse by 1 %"

"""Burn rates in two windows, and latency windows that share no samples: pure numbers, and what rules do with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.contracts import LatencyLimits, LatencyWindow, WindowVerdict
from agt.supervisor.measure import Readings, RouterSample, RuntimeCounters, Timeline
from agt.supervisor.rollout import PlanInvalid, Status, Verdict, parse_plan
from agt.supervisor.rollout._budgets import burn, burn_reading, burn_shown
from agt.supervisor.rollout._gates import judge
from agt.supervisor.rollout._latency_windows import windows_breached
from agt.supervisor.rollout._plan_file import When
from agt.supervisor.rollout._step import look_of

TEXT = """
schema = 1
name = "budgets"
checks_every = "1m"
[runtimes]
control = "old"
candidate = "new"
[[objective]]
name = "success"
metric = "success_ratio"
at_least = 0.999
[[objective]]
name = "p99"
metric = "p99_seconds"
at_most = 0.8
[[phase]]
name = "all"
route = { percent = 100 }
soak = "3d"
"""
PLAN = parse_plan(TEXT)
MINUTE = 60.0
FAST = When(metric="burn_rate", window="1h", above=14.4)


def readings(*minutes: tuple[int, int, float]) -> Readings:
    """What is known after so many minutes: each with messages delivered, failed, and their latency in seconds."""
    timeline, good, bad, latency = Timeline(), 0.0, 0.0, dict.fromkeys((0.1, 0.4, 0.8, 1.5, 5.0, float("inf")), 0.0)
    for number in range(len(minutes) + 1):
        if number:
            delivered, failed, took_s = minutes[number - 1]
            good, bad = good + delivered, bad + failed
            latency = {bound: count + delivered * (took_s <= bound) for bound, count in latency.items()}
        counters = RuntimeCounters(delivered=good, not_delivered=bad, accepted=good + bad, latency=dict(latency))
        sample = RouterSample(router="r", at=number * MINUTE, counters={"new": counters})
        timeline.add("gateway.sock", sample)
    return Readings(timeline=timeline, now=len(minutes) * MINUTE, control="old", latency_limit_s=0.8)


def test_burn_rate_needs_both_windows():
    """An hour that is bad on the whole burns only while the last five minutes do: what is over is no reason to page."""
    bad, well = (95, 5, 0.05), (100, 0, 0.05)
    going_on = burn_reading(FAST, PLAN, readings(*[bad] * 60), since=0.0)
    over = burn_reading(FAST, PLAN, readings(*[bad] * 50, *[well] * 10), since=0.0)
    begun = burn_reading(FAST, PLAN, readings(*[well] * 57, *[bad] * 3), since=0.0)
    assert going_on.value == pytest.approx(50.0)
    assert over.value == 0.0
    assert begun.value == pytest.approx(2.5)  # 0.25 % of the hour, though the last five minutes burn 30 times.


def test_burn_rate_of_a_latency_budget_counts_what_is_slow():
    """1 % may be slower than the p99's limit; 5 % are."""
    found = burn(
        PLAN.objectives[1], PLAN, readings(*[(95, 0, 0.05), (5, 0, 1.2)] * 30), since=0.0, long_s=3600, short_s=300
    )
    assert found == pytest.approx(5.0, rel=0.3)


def test_burn_rate_says_nothing_on_a_handful_of_messages():
    """One of three lost is no page; the condition says how many it has."""
    reading = burn_reading(FAST, PLAN, readings((2, 1, 0.05)), since=0.0)
    assert (reading.value, reading.why) == (None, "3 of 50 samples")
    assert burn_reading(FAST, PLAN, readings(), since=0.0).why == "no messages in both windows"


def test_burn_rate_looks_back_no_further_than_the_candidate_carries():
    """What was counted before belongs to another route."""
    bad, well = (50, 50, 0.05), (100, 0, 0.05)
    known = readings(*[bad] * 30, *[well] * 10)
    assert burn_reading(FAST, PLAN, known, since=30 * MINUTE).value == 0.0
    assert burn_shown(PLAN.objectives[0], PLAN, known, since=None) == {}
    assert set(burn_shown(PLAN.objectives[0], PLAN, known, since=0.0)) == {"1h", "6h", "3d"}


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.just(0.05)), max_size=20))
def test_burn_is_never_faster_than_either_window(minutes):
    """The slower of the two counts, whatever happened."""
    known, success = readings(*minutes), PLAN.objectives[0]
    both = burn(success, PLAN, known, since=0.0, long_s=600, short_s=120)
    alone = [burn(success, PLAN, known, since=0.0, long_s=seconds, short_s=seconds) for seconds in (600, 120)]
    assert both == (None if None in alone else min(alone))


WINDOWS = When(metric="latency_windows_breached", window="10m", limit_seconds=0.4, above=3)


def windows(*latencies: float, each: int = 30) -> Readings:
    """Ten-minute windows, one after the other, with one latency each."""
    return readings(*[(each, 0, latency) for latency in latencies for _ in range(10)])


@pytest.mark.parametrize(
    ("latencies", "breached"),
    [
        ((0.1,), 0),
        ((1.2,), 1),
        ((1.2, 1.2, 1.2), 3),
        ((1.2, 1.2, 1.2, 1.2), 4),
        ((1.2, 1.2, 0.1), 0),
        ((1.2, 0.1, 1.2, 1.2), 2),
    ],
)
def test_breached_windows_are_counted_in_a_row(latencies, breached):
    """A window within the limit ends the streak; the newest complete one counts first."""
    assert windows_breached(WINDOWS, PLAN, windows(*latencies), since=0.0).value == breached


def test_window_that_runs_counts_for_nothing():
    """Nine more bad minutes are no second window, so evaluations never overlap."""
    known = readings(*[(30, 0, 1.2)] * 19)
    assert windows_breached(WINDOWS, PLAN, known, since=0.0).value == 1


def test_window_with_few_samples_neither_breaks_nor_prolongs():
    """As the contract says: it says nothing."""
    sparse = readings(*[(30, 0, 1.2)] * 10, *[(1, 0, 0.1)] * 10, *[(30, 0, 1.2)] * 10)
    assert windows_breached(WINDOWS, PLAN, sparse, since=0.0).value == 2
    nothing = windows_breached(WINDOWS, PLAN, readings(*[(1, 0, 1.2)] * 20), since=0.0)
    assert (nothing.value, nothing.why) == (None, "no window of 10m with 200 samples yet")


@given(st.lists(st.sampled_from([(30, 0.05), (30, 1.2), (1, 1.2)]), min_size=1, max_size=6))
def test_rolling_windows_agree_with_the_contract(ten_minutes):
    """From histograms the same verdicts as `LatencyWindow` gives with every sample at hand."""
    contract = LatencyWindow(LatencyLimits(limit_s=0.4), now=0.0)
    verdict = None
    for number, (each, latency) in enumerate(ten_minutes, start=1):
        for _ in range(each * 10):
            contract.add(latency)
        verdict = contract.evaluate(now=number * 600.0)
    known = readings(*[(each, 0, latency) for each, latency in ten_minutes for _ in range(10)])
    found = windows_breached(WINDOWS, PLAN, known, since=0.0)
    assert (found.value or 0) == contract.breaches
    if verdict is WindowVerdict.ROLL_BACK:
        assert found.value > WINDOWS.above


def test_rules_on_windows_speak_and_gates_wait(bench):
    """A fast burn rolls back though no objective's own rule is there; before there is data nothing passes."""
    text = TEXT.replace("1m", "1s").replace('soak = "3d"', 'soak = "1h"\nbaseline = true')
    when = "{ metric = 'burn_rate', window = '60s', above = 14.4 }"
    bench.plan = parse_plan(f"{text}[[rule]]\nname = 'fast-burn'\nthen = 'rollback'\nwhen = {when}\n")
    look = look_of(bench.plan, bench.state, bench.observe(), now=bench.now)
    assert judge(When(metric="burn_rate", window="60s", at_most=1.0), look).verdict is Verdict.PENDING
    assert judge(WINDOWS, look).verdict is Verdict.PENDING
    bench.until("all")
    bench.new.good, bench.new.bad = 90, 10
    for _ in range(10):
        bench.tick()
    assert bench.state.status is Status.ROLLED_BACK
    assert bench.state.reason.startswith("fast-burn: 66.7x of > 14.4x")


@pytest.mark.parametrize(
    ("when", "path"),
    [
        ("metric = 'burn_rate', above = 1", "rule[0].when.window"),
        ("metric = 'burn_rate', window = '1h', above = 1, budget = 'sucess'", "rule[0].when.budget"),
        ("metric = 'burn_rate', window = '1h', above = 1, limit_seconds = 1.0", "rule[0].when.limit_seconds"),
        ("metric = 'samples', above = 1, short_window = '5m'", "rule[0].when.short_window"),
        ("metric = 'latency_windows_breached', window = '1m', above = 1, runtime = 'control'", "rule[0].when.runtime"),
        ("metric = 'burn_rate', window = '1h', short_window = 'soon', above = 1", "rule[0].when.short_window"),
    ],
)
def test_plan_check_names_a_window_that_makes_no_sense(when, path):
    """Each with its key path."""
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(f"{TEXT}[[rule]]\nname = 'r'\nthen = 'hold'\nwhen = {{ {when} }}\n")
    assert [problem.path for problem in caught.value.problems] == [path]

"""No data never passes: whatever a gate asks for, with nothing measured it waits, and says what for."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.supervisor.measure import Readings, RouterSample, RuntimeCounters, RuntimeGauges, Timeline
from agt.supervisor.rollout import PlanInvalid, parse_plan
from agt.supervisor.rollout._gates import Look, judge_gate
from agt.supervisor.rollout._metrics import METRICS
from agt.supervisor.rollout._missing import missing_in_words
from agt.supervisor.rollout._plan_check import NUMBERS
from agt.supervisor.rollout._plan_file import Gate
from agt.supervisor.rollout._verdict import Verdict

PLAN = """
schema = 1
name = "nothing"
checks_every = "1s"
[runtimes]
control = "old"
candidate = "new"
[runtime_status]
source = "unix:daemon.sock?send=status"
[[component]]
name = "daemon"
stage = "daemon"
command = ["daemon"]
readiness = { by = "notify" }
[[check]]
name = "suite-passes"
command = ["true"]
[[objective]]
name = "success"
metric = "success_ratio"
at_least = 0.99
[[objective]]
name = "p99"
metric = "p99_seconds"
at_most = 0.8
[[phase]]
name = "shadow"
soak = "1d"
[[phase.gate]]
metric = "samples"
at_least = 1
[[phase]]
name = "half"
route = { percent = 50 }
soak = "1d"
GATE
"""
NOTHING = parse_plan(PLAN.replace("GATE", ""))
_ZERO_IS_DATA = ("samples", "in_flight_slow")
"""What a router that answers says of no traffic at all: none, which is a count."""

BASELINE = 'against = "baseline"\nratio = 2.0'
CONTROL = 'against = "control"\nplus_percent = 20'
UNOBSERVED = "schema = 1\nlegacy_observed = false"

numbers = st.floats(-10, 10_000, allow_nan=False).map(lambda value: round(value, 3))
windows = st.sampled_from(["", "5s", "1h"])
by_number = st.builds(
    lambda metric, key, value, runtime, window, samples: Gate(
        metric=metric, runtime=runtime, window=window, samples=samples, **{key: value}
    ),
    st.sampled_from(sorted(set(METRICS) - {"failure_ratio", "burn_rate", "latency_windows_breached"})),
    st.sampled_from(NUMBERS),
    numbers,
    st.sampled_from(["candidate", "control"]),
    windows,
    st.integers(0, 100),
)
by_comparison = st.builds(
    lambda metric, against, key, value: Gate(metric=metric, against=against, **{key: value}),
    st.sampled_from([name for name, metric in METRICS.items() if metric.per_runtime and name != "failure_ratio"]),
    st.sampled_from(["control", "baseline"]),
    st.sampled_from(["ratio", "plus_percent"]),
    st.floats(0.1, 100),
)
by_statistics = st.floats(0.001, 1).map(
    lambda margin: Gate(metric="failure_ratio", against="control", not_worse_by=margin)
)
by_objective = st.sampled_from(["all", "any", "success", "p99"]).map(lambda name: Gate(objective=name))
by_name = st.sampled_from([Gate(check="suite-passes"), Gate(sign_off="operations")])
in_a_row = st.builds(
    lambda metric, key, value, times: Gate(metric=metric, window="5s", consecutive=times, **{key: value}),
    st.sampled_from(["success_ratio", "p99_seconds", "packet_loss", "hold_downs", "conflicts"]),
    st.sampled_from(NUMBERS),
    numbers,
    st.integers(2, 7),
)
gates = st.one_of(by_number, by_comparison, by_statistics, by_objective, by_name, in_a_row)


def readings(timeline: Timeline, *, observed: bool) -> Readings:
    """What is known at 1,000 s."""
    return Readings(timeline=timeline, now=1000.0, control="old", latency_limit_s=0.8, control_observed=observed)


def idle() -> Timeline:
    """A router that has answered ten times and carried nothing."""
    timeline = Timeline()
    for second in range(10):
        gauges = {"old": RuntimeGauges(), "new": RuntimeGauges()}
        counters = {"old": RuntimeCounters(), "new": RuntimeCounters()}
        sample = RouterSample(router="r", at=991.0 + second, counters=counters, gauges=gauges)
        timeline.add("gateway.sock", sample)
    return timeline


@settings(max_examples=200)
@given(gate=gates, since=st.sampled_from([None, 10.0, 999.0, 1000.0]), observed=st.booleans(), answers=st.booleans())
def test_no_gate_passes_on_no_data(gate, since, observed, answers):
    """Nobody answers, or a router that has carried nothing: every kind of gate says what it waits for."""
    timeline = idle() if answers and gate.metric not in _ZERO_IS_DATA else Timeline()
    look = Look(NOTHING, readings(timeline, observed=observed), 1000.0, since, candidate_since=since, phase=1)
    judged = judge_gate(gate, look)
    assert judged.verdict is not Verdict.PASSED, (gate, judged)
    assert judged.reason


@pytest.mark.parametrize(
    ("have", "wanted", "elapsed_s", "window_s", "says"),
    [
        (7_700, 10_000, 8_040.0, math.inf, "about 2,300 more samples, 40m 02s"),
        (9, 10, 90.0, math.inf, "1 more sample, 10s"),
        (0, 10_000, 60.0, math.inf, "about 10,000 more samples"),
        (50, 1_000, 60.0, 600.0, "about 950 more samples, but 10m 00s bring only about 500"),
        (10, 10, 60.0, math.inf, ""),
    ],
)
def test_what_is_missing_is_said_with_the_time_that_it_takes(have, wanted, elapsed_s, window_s, says):
    """At the rate that there was; a window that can't hold so many says so."""
    assert missing_in_words(have, wanted, elapsed_s=elapsed_s, window_s=window_s) == says.replace("10s", "10 s")


def test_gates_say_what_is_missing():
    """A count, a metric and an objective, each in its own words."""
    timeline = Timeline()
    for second in (0.0, 100.0):
        counts = RuntimeCounters(delivered=second, latency={0.1: second, math.inf: second})
        timeline.add("gateway.sock", RouterSample(router="r", at=900.0 + second, counters={"new": counts}))
    look = Look(NOTHING, readings(timeline, observed=True), 1000.0, 900.0, phase=1)
    said = [
        judge_gate(gate, look).reason
        for gate in (
            Gate(metric="samples", at_least=1000),
            Gate(metric="p99_seconds", at_most=0.8, samples=400),
            Gate(metric="success_ratio", at_least=0.9, samples=10_000, window="10m"),
        )
    ]
    assert said == [
        "100 of 1,000; about 900 more samples, 15m 00s",
        "100 of 400 samples, 99 ms of <= 800 ms; about 300 more samples, 5m 00s",
        "100 of 10,000 samples, 100 % of >= 90 %; about 9,900 more samples, but 10m 00s bring only about 600",
    ]


@pytest.mark.parametrize(
    ("gate", "edit", "says"),
    [
        (BASELINE, ("soak", "soak"), ""),
        (BASELINE, ('name = "shadow"', 'name = "shadow"\nroute.percent = 1'), "no earlier phase"),
        (BASELINE, ("schema = 1", UNOBSERVED), "not observed"),
        (CONTROL, ("schema = 1", UNOBSERVED), "not observed"),
        (CONTROL, ("soak", "soak"), ""),
    ],
)
def test_comparison_with_what_nobody_measures_is_refused(gate, edit, says):
    """Where control has no observer, or no earlier phase keeps a baseline, the plan check says so."""
    text = PLAN.replace("GATE", f'[[phase.gate]]\nmetric = "p99_seconds"\n{gate}\n').replace(*edit)
    if not says:
        parse_plan(text)
        return
    with pytest.raises(PlanInvalid, match=says):
        parse_plan(text)


def test_baseline_that_is_never_kept_is_refused():
    """Only a few of control's measures are kept."""
    text = PLAN.replace("GATE", '[[phase.gate]]\nmetric = "packet_loss"\nagainst = "baseline"\nratio = 2.0\n')
    with pytest.raises(PlanInvalid, match="no baseline is kept of packet_loss; it is kept of p50_seconds"):
        parse_plan(text)

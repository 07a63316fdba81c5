"""Verdicts: no data never passes, stuck is failed, and every verdict says why."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.measure import Reading
from agt.supervisor.records import Alert
from agt.supervisor.rollout import Judgement, Verdict
from agt.supervisor.rollout._gates import budget_left, compare, gate_name, judge, judge_gate
from agt.supervisor.rollout._metrics import METRICS, format_value
from agt.supervisor.rollout._plan_file import Gate, When
from agt.supervisor.rollout._step import look_of
from agt.supervisor.rollout._verdict import worst

KEYS = ("at_least", "above", "at_most", "below", "equals")
metrics = st.sampled_from(sorted(METRICS))


def test_verdicts_are_ordered_from_best_to_worst():
    """The fold takes the worst; nothing at all is pending."""
    assert list(Verdict) == sorted(Verdict)
    assert worst([Judgement(one, "x") for one in Verdict], empty="-").verdict is Verdict.FAILED
    assert worst([], empty="nothing yet") == Judgement(Verdict.PENDING, "nothing yet")


@given(metrics, st.sampled_from(KEYS), st.floats(0, 10), st.integers(0, 100))
def test_no_data_never_passes(metric, key, limit, samples):
    """Whatever is asked, a reading without a value isn't passed, and says what it needs."""
    judged = compare(metric, key, limit, Reading(None, why="no messages"), samples=samples)
    assert judged.verdict is not Verdict.PASSED
    assert judged.reason


@given(metrics, st.sampled_from(KEYS), st.floats(0, 10), st.floats(0, 10), st.integers(1, 100))
def test_too_few_samples_never_pass(metric, key, limit, value, samples):
    """A value on fewer samples than asked for is never passed, however good it is."""
    judged = compare(metric, key, limit, Reading(value, samples=samples - 1), samples=samples)
    if metric not in ("samples", "shadow_compared"):
        assert judged.verdict is not Verdict.PASSED


@pytest.mark.parametrize("metric", ["success_ratio", "p99_seconds", "packet_loss", "error_budget_left"])
def test_messages_in_flight_without_a_result_are_failed(metric):
    """Stuck traffic is no missing data: it fails, whatever the wanted number of samples."""
    judged = compare(metric, "at_least", 0.0, Reading(0.0, samples=12, stuck=12), samples=1000)
    assert judged.verdict is Verdict.FAILED
    assert "12 in flight and no results" in judged.reason


@pytest.mark.parametrize(
    ("key", "value", "verdict"),
    [
        ("at_least", 0.99, Verdict.PASSED),
        ("above", 0.99, Verdict.FAILED),
        ("at_most", 0.99, Verdict.PASSED),
        ("below", 0.99, Verdict.FAILED),
        ("equals", 0.99, Verdict.PASSED),
        ("at_least", 0.98, Verdict.FAILED),
        ("at_most", 1.0, Verdict.FAILED),
    ],
)
def test_bounds_mean_what_they_say(key, value, verdict):
    """Each bound at and beside its limit."""
    assert compare("success_ratio", key, 0.99, Reading(value, samples=5), samples=5).verdict is verdict


def test_growing_count_below_its_number_is_pending_and_says_how_far():
    """Samples that are still to come are missing, not wrong."""
    judged = compare("samples", "at_least", 10_000, Reading(7214.0, samples=7214), samples=0)
    assert (judged.verdict, judged.reason) == (Verdict.PENDING, "7,214 of 10,000")


def test_unobserved_control_is_inconclusive():
    """What nobody measures can't be decided by waiting."""
    judged = compare("success_ratio", "at_least", 0.9, Reading(None, why="old is not observed"), samples=0)
    assert judged.verdict is Verdict.INCONCLUSIVE


def test_objectives_are_met_or_violated_by_the_worst(bench):
    """`all` names how many are met; one that is violated makes it failed and is named."""
    bench.until("half")
    for _ in range(3):
        bench.tick()
    good = judge(Gate(objective="all"), _look(bench))
    assert (good.verdict, good.reason[:9]) == (Verdict.PASSED, "all 2 met")
    bench.new.latency_s = 2.0
    bench.tick()
    bad = judge(Gate(objective="all"), _look(bench))
    assert bad.verdict is Verdict.FAILED
    assert bad.reason.startswith("p99: ")


def test_comparison_with_control_uses_its_own_window(bench):
    """The candidate may be so many times as slow as control, or so many percent."""
    bench.until("half")
    for _ in range(3):
        bench.tick()
    gate = Gate(metric="p50_seconds", against="baseline", plus_percent=20.0)
    assert judge(gate, _look(bench)).verdict is Verdict.PASSED
    bench.new.latency_s = 2.0
    bench.tick(3)
    look = _look(bench)
    assert judge(Gate(metric="p99_seconds", against="control", ratio=2.0), look).verdict is Verdict.FAILED
    assert judge(Gate(metric="p99_seconds", against="control", ratio=100.0), look).verdict is Verdict.PASSED
    none = judge(Gate(metric="packet_loss", against="baseline", plus_percent=20.0), look)
    assert (none.verdict, none.reason) == (Verdict.INCONCLUSIVE, "no baseline was kept for this metric")


def test_error_budget_is_what_the_objective_leaves(bench):
    """1 - actual / allowed: half of the allowed errors leave half of the budget."""
    bench.until("half")
    bench.new.good, bench.new.bad = 99.5, 0.5
    for _ in range(4):
        bench.tick()
    left = budget_left(bench.plan.objectives[0], _look(bench))
    assert left == pytest.approx(0.5, abs=0.2)
    assert judge(Gate(metric="error_budget_left", above=0.9), _look(bench)).verdict is Verdict.FAILED


def test_open_alert_fails_a_gate_and_names_itself(bench):
    """An alert at or above the severity fails the gate; a milder one doesn't."""
    bench.until("half")
    warn = Alert(id=1, created=0.0, severity="warn", source="s", message="p95 is high")
    look = _look(bench, alerts=(warn,))
    assert judge(Gate(alerts="degraded"), _look(bench, alerts=())).verdict is Verdict.PASSED
    judged = judge(When(alerts="warn"), look)
    assert (judged.verdict, "p95 is high" in judged.reason) == (Verdict.FAILED, True)


def test_open_incident_fails_a_gate_and_says_how_to_close_it(bench):
    """The reason has the command, with the number where an alert tells it."""
    bench.until("half")
    bench.signals["incidents"] = Reading(1.0, samples=1)
    alert = Alert(id=1, created=0.0, severity="warn", source="incident-7", message="incident 7 (minor): x")
    judged = judge(Gate(metric="incidents", equals=0), _look(bench, alerts=(alert,)))
    assert (judged.verdict, judged.reason) == (Verdict.FAILED, "1 of = 0; agt incident close 7 --cause TEXT")
    assert judge(Gate(metric="incidents", equals=0), _look(bench)).reason.endswith("close N --cause TEXT")


def test_sign_off_names_who_signed(bench):
    """A sign-off is pending until somebody is named."""
    gate = Gate(sign_off="sre")
    assert judge_gate(gate, _look(bench)).verdict is Verdict.PENDING
    assert judge_gate(gate, _look(bench)).reason == "waits for sre: agt sign-off sre --by NAME"
    assert judge_gate(gate, _look(bench, sign_offs={gate_name(gate): "mia"})).reason == "signed off by mia"


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("success_ratio", 0.9995, "99.95 %"),
        ("success_ratio", 1.0, "100 %"),
        ("p99_seconds", 0.239, "239 ms"),
        ("samples", 1204, "1,204"),
    ],
)
def test_values_are_shown_for_people(metric, value, shown):
    """Ratios as percent, short times in milliseconds, counts with separators."""
    assert format_value(metric, value) == shown


def _look(bench, **changes):

    return replace(look_of(bench.plan, bench.state, bench.observe(), now=bench.now), **changes)

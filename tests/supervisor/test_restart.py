"""The restart policy of docs/reference/facts.md, 3, as arithmetic."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.components import RestartPolicy
from agt.supervisor.components._restart import HeldDown, RestartAfter, RestartHistory

STEADY = RestartPolicy(jitter=0.0)


def history(policy: RestartPolicy = STEADY, seed: int = 1) -> RestartHistory:
    """A fresh history with a seeded generator."""
    return RestartHistory(policy, Random(seed))


def delays(past: RestartHistory, count: int, *, every_s: float = 1.0) -> list[float]:
    """The delays after so many failures in a row."""
    decisions = [past.record_failure(index * every_s) for index in range(count)]
    return [decision.delay_s for decision in decisions if isinstance(decision, RestartAfter)]


def test_delays_double_from_one_second_to_thirty() -> None:
    """Without a limit on restarts: 1, 2, 4, 8, 16, 30, 30."""
    assert delays(history(RestartPolicy(jitter=0.0, budget=0)), 7) == [1, 2, 4, 8, 16, 30, 30]


def test_the_fifth_failure_trips_the_hold_down() -> None:
    """Four delays, then five minutes, tripped once."""
    past = history()
    assert delays(past, 4) == [1, 2, 4, 8]
    assert past.record_failure(4.0) == HeldDown(300.0, tripped=True, failures=5)


def test_a_failure_during_hold_down_answers_with_the_time_left() -> None:
    """And changes nothing."""
    past = history()
    delays(past, 5)
    assert past.record_failure(104.0) == HeldDown(200.0, tripped=False, failures=5)
    assert past.hold_down_left_s(104.0) == 200.0
    assert past.record_failure(303.0) == HeldDown(1.0, tripped=False, failures=5)


def test_a_hold_down_that_has_passed_clears_the_history() -> None:
    """The next failure is the first again, to the second."""
    past = history()
    delays(past, 5)
    assert past.hold_down_left_s(304.0) == 0.0
    assert past.record_failure(304.0) == RestartAfter(1.0, failures=1)


def test_failures_older_than_the_window_do_not_count() -> None:
    """Five failures, but never five within ten minutes."""
    past = history()
    assert len(delays(past, 20, every_s=151.0)) == 20
    assert isinstance(history().record_failure(0.0), RestartAfter)


def test_five_failures_at_the_edge_of_the_window_trip() -> None:
    """Exactly ten minutes apart is outside, a moment less is inside."""
    inside, outside = history(), history()
    for at in (0.0, 1.0, 2.0, 3.0):
        inside.record_failure(at)
        outside.record_failure(at)
    assert isinstance(inside.record_failure(599.9), HeldDown)
    assert isinstance(outside.record_failure(600.0), RestartAfter)


def test_ready_for_thirty_seconds_is_a_success_and_clears_the_history() -> None:
    """The delay starts over."""
    past = history()
    delays(past, 4)
    past.record_ready(10.0)
    assert past.record_failure(40.0) == RestartAfter(1.0, failures=1)


def test_ready_then_crash_still_counts_up() -> None:
    """29.9 s of readiness, four times, and the fifth failure trips."""
    past = history()
    now = 0.0
    for expected in (1, 2, 4, 8):
        now += 29.9
        assert past.record_failure(now) == RestartAfter(expected, failures=expected.bit_length())
        past.record_ready(now)
    assert isinstance(past.record_failure(now + 29.9), HeldDown)


def test_readiness_before_a_failure_is_not_carried_over_it() -> None:
    """Thirty seconds since an earlier readiness are no success of the next process."""
    past = history()
    past.record_ready(0.0)
    past.record_failure(5.0)
    assert past.record_failure(60.0) == RestartAfter(2.0, failures=2)


@pytest.mark.parametrize("budget", [1, 2, 7])
def test_the_budget_is_the_failure_that_trips(budget: int) -> None:
    """Any budget: so many minus one restarts."""
    past = history(RestartPolicy(jitter=0.0, budget=budget))
    assert len(delays(past, budget)) == budget - 1
    assert past.hold_down_left_s(budget) > 0


def test_the_failures_that_count_can_be_asked() -> None:
    """What the view shows: pruned by the window."""
    past = history()
    delays(past, 3)
    assert past.failures(3.0) == 3
    assert past.failures(601.5) == 1


@given(st.integers(0, 2**32), st.lists(st.floats(0, 400), min_size=1, max_size=60))
def test_delays_stay_within_their_jitter_and_the_limit(seed: int, gaps: list[float]) -> None:
    """Each is within 20 % of its step, none over 30 s, whatever the failures' times."""
    past = history(RestartPolicy(budget=0), seed)
    now, in_a_row = 0.0, 0
    for gap in gaps:
        now += gap
        decision = past.record_failure(now)
        assert isinstance(decision, RestartAfter)
        in_a_row = decision.failures
        step = min(2.0 ** (in_a_row - 1), 30.0)
        assert 0.8 * step <= decision.delay_s <= min(1.2 * step, 30.0)


Step = tuple[bool, float]


@given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 700)), max_size=80))
def test_no_hold_down_without_five_failures_in_ten_minutes(steps: list[Step]) -> None:
    """Any mix of readiness and failure, against the rule written out naively over the whole past."""
    past = history()
    now, ready_at, held_until = 0.0, None, None
    counted: list[float] = []
    for ready, gap in steps:
        now += gap
        if held_until is not None and now >= held_until:
            counted, held_until = [], None
        if ready:
            if held_until is None:
                past.record_ready(now)
                ready_at = now if ready_at is None else ready_at
            continue
        decision = past.record_failure(now)
        if held_until is not None:
            assert decision == HeldDown(held_until - now, tripped=False, failures=5)
            continue
        if ready_at is not None and now - ready_at >= 30.0:
            counted = []
        ready_at = None
        counted = [at for at in counted if at > now - 600.0] + [now]
        if len(counted) >= 5:
            held_until = now + 300.0
        assert isinstance(decision, HeldDown) == (held_until is not None)

"""What outlives the supervisor: failures, and an operator's order."""

from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.components import RestartPolicy
from agt.supervisor.components._files import ComponentFiles
from agt.supervisor.components._order import Order, read_order, write_order
from agt.supervisor.components._past import Failures, Past
from agt.supervisor.components._restart import HeldDown, RestartHistory

STEADY = RestartPolicy(jitter=0.0)
STEPS = st.lists(
    st.tuples(st.sampled_from(["fail", "ready", "end"]), st.floats(min_value=0.1, max_value=400.0)), max_size=30
)


def act(history: RestartHistory, step: str, now: float) -> object:
    """Tell a history what has happened."""
    if step == "fail":
        return history.record_failure(now)
    return history.record_ready(now) if step == "ready" else history.record_end(now)


@given(STEPS, st.integers(min_value=0, max_value=30))
def test_a_supervisor_that_is_killed_changes_no_decision(steps: list[tuple[str, float]], killed_at: int) -> None:
    """Whatever happened before: the history that is read again decides as the one that was never interrupted."""
    through, interrupted = RestartHistory(STEADY, Random(1)), RestartHistory(STEADY, Random(1))
    now = 0.0
    for number, (step, later_s) in enumerate(steps):
        now += later_s
        if number == killed_at:
            interrupted = RestartHistory(STEADY, Random(1), interrupted.failures_so_far)
        assert act(through, step, now) == act(interrupted, step, now)


def test_the_fifth_failure_trips_over_five_supervisors() -> None:
    """One failure each: a killed supervisor grants no fresh budget."""
    failures, decisions = Failures(), []
    for number in range(5):
        history = RestartHistory(STEADY, Random(1), failures)
        decisions.append(history.record_failure(number * 10.0))
        failures = history.failures_so_far
    assert decisions[-1] == HeldDown(300.0, tripped=True, failures=5)
    assert RestartHistory(STEADY, Random(1), failures).hold_down_left_s(100.0) == 240.0


def test_an_end_that_somebody_wanted_is_no_success() -> None:
    """Ready for a moment and then stopped: the failures before it still count."""
    history = RestartHistory(STEADY, Random(1))
    history.record_failure(0.0)
    history.record_ready(1.0)
    history.record_end(5.0)
    assert history.failures(100.0) == 1


def test_an_operator_who_starts_it_begins_anew() -> None:
    """Held down no longer, and all of the budget is there again."""
    history = RestartHistory(STEADY, Random(1))
    for number in range(5):
        history.record_failure(float(number))
    history.forget()
    assert history.hold_down_left_s(5.0) == 0.0
    assert history.failures_so_far == Failures()


def test_after_another_boot_only_the_number_of_restarts_is_kept() -> None:
    """Seconds since boot mean nothing then, and nothing runs."""
    past = Past(boot_id="a", failures=Failures(failed_at=(1.0,), in_a_row=1), running=True, restarts=7)
    assert past.since_boot("a") is past
    assert past.since_boot("b") == Past(boot_id="b", restarts=7)


def test_a_past_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """Damaged or missing: the component starts with its whole budget."""
    files = ComponentFiles(tmp_path, "gateway")
    assert files.read_past() == Past()
    files.past.write_text('{"restarts": "many"}')
    assert files.read_past() == Past()


def test_an_order_is_read_as_it_was_written_and_can_be_ended(tmp_path: Path) -> None:
    """By whom, why and when."""
    path = tmp_path / "v4.order.json"
    order = Order(state="decommissioned", at=1_763_683_200.0, by="ann", reason="v5 has taken over")
    write_order(path, order)
    assert read_order(path) == order
    assert order.says == "decommissioned by ann on 2025-11-21: v5 has taken over"
    write_order(path, None)
    assert read_order(path) is None


def test_an_order_that_cannot_be_read_still_stops(tmp_path: Path) -> None:
    """A decommissioned component doesn't come back because of a damaged file."""
    path = tmp_path / "v4.order.json"
    path.write_text('{"state": "decomm')
    found = read_order(path)
    assert found is not None
    assert "agt component start" in found.says

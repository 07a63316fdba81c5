"""Whose fault it is: a starved gateway, devices that are slow on both paths, a handful of messages, a real stall."""

import msgspec
import pytest

from agt.supervisor.measure import read_sample
from agt.supervisor.measure._exposition import parse_exposition
from agt.supervisor.rollout import Status
from agt.supervisor.rollout._attribution import LAG_SHARE
from agt.supervisor.rollout._gates import STUCK_ENOUGH
from agt.supervisor.rollout._rules import VIOLATION_SAMPLES


def test_a_starved_gateway_holds_and_the_candidate_is_not_blamed(bench):
    """While the router's own loop is late nothing is counted; it goes on when the loop is well again."""
    bench.until("half")
    bench.tick()
    bench.lag_s, bench.new.good, bench.new.bad = 1.2, 5, 5
    for _ in range(10):
        bench.tick()
    assert bench.state.status is Status.SUSPENDED
    assert bench.state.reason == "gateway.sock is starved: its own loop was 1,200 ms late, so it is not blamed on new"
    bench.lag_s, bench.new.good, bench.new.bad = 0.0, 50, 0
    for _ in range(6):
        bench.tick()
    assert bench.state.status is Status.RUNNING
    assert "rolled-back" not in bench.said


def test_routers_that_nobody_counts_hold_the_rollout(bench):
    """A Prometheus server that is away passes nothing and blames nobody; it goes on a clean window after it is back."""
    bench.until("half")
    bench.tick()
    bench.counted = False
    for _ in range(20):
        bench.tick()
    assert bench.state.status is Status.SUSPENDED
    assert bench.state.reason == "Prometheus can't be reached"
    bench.counted, bench.new.good = True, 50
    for _ in range(6):
        bench.tick()
    assert bench.state.status is Status.RUNNING
    assert "rolled-back" not in bench.said


def test_a_little_lag_excuses_nothing(bench):
    """Below the named fraction of the latency limit a sick candidate is rolled back all the same."""
    bench.until("half")
    bench.lag_s = LAG_SHARE * bench.plan.latency_limit_s
    bench.new.good, bench.new.bad = 25, 25
    for _ in range(4):
        bench.tick()
    assert bench.state.status is Status.ROLLED_BACK


def test_devices_that_answer_late_on_both_paths_hold(bench):
    """Slow answers count against control as they do against the candidate: slow on both is nobody's fault here."""
    bench.until("half")
    bench.tick()
    bench.old.latency_s = bench.new.latency_s = 2.0
    for _ in range(6):
        bench.tick()
    assert bench.state.status is Status.SUSPENDED
    assert "old is sick too" in bench.state.reason


@pytest.mark.parametrize("bad", [1, 4])
def test_a_handful_of_messages_violates_nothing(bench, bad):
    """Below `VIOLATION_SAMPLES` no rule counts, however bad the ratio; the gate doesn't pass either."""
    bench.until("half")
    bench.state = msgspec.structs.replace(bench.state, applied_at=bench.now)
    bench.new.good, bench.new.bad = 5, bad
    for _ in range((VIOLATION_SAMPLES - 1) // (5 + bad)):
        bench.tick()
        assert not bench.state.breaches
    bench.new.good, bench.new.bad = 25, 25
    for _ in range(4):
        bench.tick()
    assert bench.state.status is Status.ROLLED_BACK


def test_a_small_cohort_that_stalls_is_noticed_at_once(bench):
    """A few stuck messages decide, though nothing else has ended."""
    bench.until("half")
    bench.state = msgspec.structs.replace(bench.state, applied_at=bench.now)
    bench.new.good, bench.new.stuck = 0, STUCK_ENOUGH
    for _ in range(3):
        bench.tick()
    assert bench.state.status is Status.ROLLED_BACK


def test_the_lag_is_scraped():
    """The gauge of the metrics page lands in the sample."""
    page = parse_exposition("# TYPE agt_loop_lag_seconds gauge\nagt_loop_lag_seconds 0.75\n")
    assert read_sample(page, router="r", at=1.0).loop_lag_s == 0.75

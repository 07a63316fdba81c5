"""Retry pauses: doubling, bounded, jittered, and starting over."""

import random
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.transport._backoff import Backoff


def test_pauses_double_up_to_the_maximum() -> None:
    """Without jitter the documents' numbers: 0.25, doubling, at most 5 s."""
    backoff = Backoff(random.Random(1), jitter=0)
    assert [backoff.next_pause_s() for _ in range(7)] == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_healthy_starts_over() -> None:
    """One good connection forgives all failures before it."""
    backoff = Backoff(random.Random(1), jitter=0)
    for _ in range(5):
        backoff.next_pause_s()
    assert backoff.failures == 5
    backoff.healthy()
    assert (backoff.failures, backoff.next_pause_s()) == (0, 0.25)


def test_same_seed_gives_same_pauses() -> None:
    """The generator is injected, so a run can be repeated."""
    pauses = [[Backoff(random.Random(7)).next_pause_s() for _ in range(3)] for _ in range(2)]
    assert pauses[0] == pauses[1]


@given(seed=st.integers(), failures=st.integers(min_value=0, max_value=2000))
def test_jitter_only_adds_and_stays_within_its_share(seed: int, failures: int) -> None:
    """No pause is shorter than its step, none longer than the step and its jitter, however long it fails."""
    backoff = Backoff(random.Random(seed), jitter=0.2)
    backoff.failures = failures
    step = backoff.step_s
    assert step <= 5.0
    assert step <= backoff.next_pause_s() <= step * 1.2


def test_jitter_is_wide_enough_to_pull_a_crowd_apart() -> None:
    """Ten thousand that fail together: after ten seconds less than half of them dial within any one second."""
    times = []
    for seed in range(2000):
        backoff, now = Backoff(random.Random(seed)), 0.0
        while now < 30:
            now += backoff.next_pause_s()
            times.append(now)
    late = sorted(at for at in times if 10 <= at < 30)
    most = max(bisect_right(late, at + 1.0) - place for place, at in enumerate(late))
    assert most < 0.45 * 2000


@pytest.mark.parametrize("settings", [{"base_s": 0}, {"base_s": 9, "max_s": 5}, {"factor": 0.5}, {"jitter": -1}])
def test_senseless_settings_are_refused(settings: dict[str, float]) -> None:
    """A pause of zero would be a busy loop; say so at once."""
    with pytest.raises(ValueError, match="backoff needs"):
        Backoff(random.Random(1), **settings)

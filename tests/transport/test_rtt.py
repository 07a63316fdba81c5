"""The round trip estimator against RFC 6298's arithmetic and its own bounds."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.transport._rtt import RoundTrip


def test_first_sample_gives_three_times_the_round_trip() -> None:
    """RFC 6298 2.2: SRTT = R, RTTVAR = R/2, RTO = SRTT + 4 RTTVAR."""
    rtt = RoundTrip(min_s=0.001, max_s=60)
    rtt.sample(0.1)
    assert math.isclose(rtt.timeout_s, 0.3)
    assert rtt.smoothed_s == 0.1


def test_second_sample_follows_the_rfc() -> None:
    """RFC 6298 2.3: the deviation is measured against the mean from before the sample."""
    rtt = RoundTrip(min_s=0.001, max_s=60)
    rtt.sample(0.1)
    rtt.sample(0.2)
    deviation = 0.75 * 0.05 + 0.25 * 0.1
    smoothed = 0.875 * 0.1 + 0.125 * 0.2
    assert math.isclose(rtt.timeout_s, smoothed + 4 * deviation)


def test_timeout_before_any_sample_is_the_initial_one_within_bounds() -> None:
    """Without a measurement the timer is careful, but never outside its bounds."""
    assert RoundTrip().timeout_s == 1.0
    assert RoundTrip(max_s=0.5).timeout_s == 0.5


def test_backing_off_doubles_until_the_bound_and_a_sample_ends_it() -> None:
    """Each silence doubles the wait up to the maximum; one answer brings it back."""
    rtt = RoundTrip(min_s=0.2, max_s=5.0)
    rtt.sample(0.1)
    waits = []
    for _ in range(8):
        waits.append(rtt.timeout_s)
        rtt.backoff()
    assert waits[:3] == pytest.approx([0.3, 0.6, 1.2])
    assert waits[-1] == 5.0
    rtt.sample(0.1)
    assert rtt.timeout_s < 0.3


def test_backing_off_forever_never_overflows() -> None:
    """A dead peer may be asked for days."""
    rtt = RoundTrip()
    for _ in range(10_000):
        rtt.backoff()
    assert rtt.timeout_s == 5.0


@given(st.lists(st.floats(min_value=-1, max_value=1e6), max_size=50))
def test_timeout_stays_within_its_bounds(samples: list[float]) -> None:
    """Whatever is measured, even by a clock that jumps, the timer is neither frantic nor asleep."""
    rtt = RoundTrip(min_s=0.2, max_s=5.0)
    for seconds in samples:
        rtt.sample(seconds)
        assert 0.2 <= rtt.timeout_s <= 5.0
    assert rtt.samples == len(samples)


def test_senseless_bounds_are_refused() -> None:
    """A minimum above the maximum is a mistake of the caller, said at once."""
    with pytest.raises(ValueError, match="min_s"):
        RoundTrip(min_s=2, max_s=1)

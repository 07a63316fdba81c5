"""Document 002's modes as a pure function of measurements: its borders, its average, and what we add to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.router.modes import Mode, ModeDetector, ModeLimits, ModeSample, classify

LIMITS = ModeLimits()
GBIT, MS = 1e9, 1e-3


@pytest.mark.parametrize(
    ("latency_s", "bandwidth", "mode"),
    [
        (5 * MS, 10 * GBIT, Mode.DATACENTER),
        (100 * MS, 10 * GBIT, Mode.INTERNET),
        (5 * MS, 0.2 * GBIT, Mode.INTERNET),
        (23 * MS, 1.4 * GBIT, Mode.HYBRID),
        (10 * MS, 10 * GBIT, Mode.HYBRID),
        (9.999 * MS, 10 * GBIT, Mode.DATACENTER),
        (50 * MS, 10 * GBIT, Mode.HYBRID),
        (50.001 * MS, 10 * GBIT, Mode.INTERNET),
        (5 * MS, 1 * GBIT, Mode.HYBRID),
        (5 * MS, 1.000001 * GBIT, Mode.DATACENTER),
        (5 * MS, 0.999999 * GBIT, Mode.INTERNET),
        (None, None, Mode.UNKNOWN),
        (5 * MS, None, Mode.UNKNOWN),
        (None, 10 * GBIT, Mode.UNKNOWN),
        (51 * MS, None, Mode.INTERNET),
        (None, 0.2 * GBIT, Mode.INTERNET),
    ],
)
def test_the_documents_rule_with_its_strict_borders(
    latency_s: float | None, bandwidth: float | None, mode: Mode
) -> None:
    """Exactly 10 ms, 50 ms and 1 Gbit/s belong to neither side; one figure alone can only say internet."""
    assert classify(latency_s, bandwidth, LIMITS) is mode


def fed(detector: ModeDetector, latencies: list[float], bandwidths: list[float]) -> list[Mode]:
    """Feed measurements one by one; return the mode after each."""
    seen = []
    for place, value in enumerate(latencies):
        detector.take_latency(ModeSample(at=float(place), value=value))
        seen.append(detector.mode)
    for place, value in enumerate(bandwidths):
        detector.take_bandwidth(ModeSample(at=100.0 + place, value=value))
        seen.append(detector.mode)
    return seen


def known(latency_s: float, bandwidth: float) -> ModeDetector:
    """Make a detector with full windows."""
    detector = ModeDetector()
    fed(detector, [latency_s] * 10, [bandwidth] * 10)
    return detector


@pytest.mark.parametrize(
    ("latency_s", "bandwidth", "mode"),
    [(10 * MS, 10 * GBIT, Mode.HYBRID), (50 * MS, 10 * GBIT, Mode.HYBRID), (5 * MS, GBIT, Mode.HYBRID)],
)
def test_ten_measurements_on_a_border_average_to_the_border(latency_s: float, bandwidth: float, mode: Mode) -> None:
    """No rounding of sums takes a network over a border that it stands on."""
    assert known(latency_s, bandwidth).mode is mode


def test_it_is_unknown_until_there_are_enough_of_both() -> None:
    """Three latencies and two bandwidths say nothing; the third bandwidth does."""
    assert fed(ModeDetector(), [5 * MS] * 10, [10 * GBIT] * 3) == [Mode.UNKNOWN] * 12 + [Mode.DATACENTER]


def test_enough_latencies_alone_can_say_internet() -> None:
    """Where no peer answers probes, a long way is still a long way."""
    assert fed(ModeDetector(), [100 * MS] * 3, []) == [Mode.UNKNOWN, Mode.UNKNOWN, Mode.INTERNET]


def test_only_the_last_ten_count() -> None:
    """An average over everything would never forget a bad morning."""
    detector = known(100 * MS, 10 * GBIT)
    fed(detector, [5 * MS] * 10, [])
    report = detector.report()
    assert report.latency_s == pytest.approx(5 * MS)
    assert len(report.latencies) == 10


def test_one_outlier_turns_nothing() -> None:
    """One slow answer in ten moves the average, and not the mode."""
    detector = known(5 * MS, 10 * GBIT)
    fed(detector, [60 * MS], [])
    assert detector.report().latency_s == pytest.approx(10.5 * MS)
    assert detector.mode is Mode.DATACENTER


def test_a_mode_is_left_after_three_measurements_beyond_the_margin() -> None:
    """Past the border by a tenth, three times in a row; what comes of it is shown meanwhile."""
    detector = known(5 * MS, 10 * GBIT)
    seen = fed(detector, [30 * MS] * 5, [])
    # The averages: 7.5, 10, 12.5, 15, 17.5 ms; from 11 ms on the datacenter is left.
    assert seen == [Mode.DATACENTER] * 4 + [Mode.HYBRID]
    assert detector.since == 4.0


def test_an_average_within_the_margin_stays_where_it_is() -> None:
    """10.9 ms would be hybrid for a new router; one that was a datacenter's stays one."""
    detector = known(5 * MS, 10 * GBIT)
    fed(detector, [10.9 * MS] * 20, [])
    assert detector.mode is Mode.DATACENTER
    assert known(10.9 * MS, 10 * GBIT).mode is Mode.HYBRID
    fed(detector, [11.2 * MS] * 20, [])
    assert detector.mode is Mode.HYBRID


@pytest.mark.parametrize(
    ("start", "inside", "outside"),
    [
        ((60 * MS, 10 * GBIT), (46 * MS, 10 * GBIT), (44 * MS, 10 * GBIT)),
        ((20 * MS, 10 * GBIT), (9.2 * MS, 10 * GBIT), (9 * MS, 10 * GBIT)),
        ((20 * MS, 10 * GBIT), (54 * MS, 10 * GBIT), (56 * MS, 10 * GBIT)),
        ((5 * MS, 0.5 * GBIT), (5 * MS, 1.09 * GBIT), (5 * MS, 1.11 * GBIT)),
        ((20 * MS, 2 * GBIT), (20 * MS, 0.92 * GBIT), (20 * MS, 0.9 * GBIT)),
        ((5 * MS, 2 * GBIT), (5 * MS, 0.92 * GBIT), (5 * MS, 0.9 * GBIT)),
    ],
)
def test_every_border_has_its_margin_on_both_sides(
    start: tuple[float, float], inside: tuple[float, float], outside: tuple[float, float]
) -> None:
    """Whichever way a border is crossed, it is crossed late."""
    detector = known(*start)
    before = detector.mode
    fed(detector, [inside[0]] * 20, [inside[1]] * 20)
    assert detector.mode is before
    fed(detector, [outside[0]] * 20, [outside[1]] * 20)
    assert detector.mode is not before


def test_what_is_turning_is_shown_and_given_up_again() -> None:
    """Two measurements beyond, then one back within: nothing has changed, and nothing is left over."""
    detector = ModeDetector(ModeLimits(window=1, enough=1))
    fed(detector, [5 * MS], [10 * GBIT])
    fed(detector, [20 * MS, 20 * MS], [])
    report = detector.report()
    assert (report.turning_to, report.turning_for, report.turning_at) == ("hybrid", 2, 3)
    fed(detector, [5 * MS, 20 * MS], [])
    assert detector.report().turning_for == 1
    assert detector.mode is Mode.DATACENTER


@given(
    latencies=st.lists(st.floats(0, 0.2), max_size=40),
    bandwidths=st.lists(st.floats(1e6, 2e10), max_size=40),
)
def test_a_known_mode_never_becomes_unknown(latencies: list[float], bandwidths: list[float]) -> None:
    """What was measured counts until something else was."""
    seen = fed(ModeDetector(), latencies, bandwidths)
    known_from = next((place for place, mode in enumerate(seen) if mode is not Mode.UNKNOWN), len(seen))
    assert Mode.UNKNOWN not in seen[known_from:]


@given(
    latency_s=st.floats(0, 0.2), bandwidth=st.floats(1e6, 2e10), start=st.floats(0, 0.2), carried=st.floats(1e6, 2e10)
)
def test_a_steady_network_clear_of_every_border_is_what_the_rule_says(
    latency_s: float, bandwidth: float, start: float, carried: float
) -> None:
    """Wherever it came from: hysteresis delays, and never holds for good."""
    detector = known(start, carried)
    fed(detector, [latency_s] * 20, [bandwidth] * 20)
    near = any(border / 1.11 < latency_s < border * 1.11 for border in (10 * MS, 50 * MS))
    if not near and not GBIT / 1.11 < bandwidth < GBIT * 1.11:
        assert detector.mode is classify(latency_s, bandwidth, LIMITS)

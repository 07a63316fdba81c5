"""The anytime-valid comparison: its arithmetic against known values, and what must hold whatever the counts."""

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.supervisor.evidence import (
    MIN_CLUSTERS,
    Boundary,
    Cluster,
    Comparison,
    Shown,
    compare_rates,
    rate_of,
    split_alpha,
)
from agt.supervisor.evidence._boundary import student

COUNTS = st.lists(
    st.integers(0, 5000).flatmap(lambda ended: st.tuples(st.just(ended), st.integers(0, ended))), max_size=64
).map(lambda pairs: [Cluster(float(ended), float(bad)) for ended, bad in pairs])


def even(rate: float, *, ended: float = 1000.0, clusters: int = 64) -> list[Cluster]:
    """Clusters that hardly differ."""
    return [Cluster(ended, ended * rate * (1.2 if number % 2 else 0.8)) for number in range(clusters)]


def compared(candidate: list[Cluster], control: list[Cluster], *, margin: float = 0.01) -> Comparison:
    """Compare at one percent."""
    boundary = Boundary.for_effect(margin, alpha=0.01)
    return compare_rates(candidate, control, margin=margin, worse=boundary, not_worse=boundary)


@pytest.mark.parametrize(
    ("tail", "freedom", "quantile"),
    [(0.05, 5, 2.015), (0.01, 5, 3.365), (0.001, 10, 4.144), (0.0005, 30, 3.646), (0.01, 60, 2.390)],
)
def test_students_quantiles_are_those_of_the_tables(tail: float, freedom: float, quantile: float) -> None:
    """Abramowitz and Stegun, table 26.10, to two percent."""
    assert student(NormalDist().inv_cdf(1 - tail), freedom) == pytest.approx(quantile, rel=0.02)


def test_boundary_is_wider_than_one_look_and_tightest_where_it_is_tuned() -> None:
    """All looks together cost more than one; far from the tuned information they cost still more."""
    boundary = Boundary(alpha=0.05, tightest_at=100.0)
    tuned = boundary.standard_errors(100.0)
    assert tuned > 1.645
    assert boundary.standard_errors(1.0) > tuned < boundary.standard_errors(1e6)
    assert boundary.standard_errors(100.0, freedom=10) > tuned


def test_an_equal_candidate_is_shown_not_worse_and_a_bad_one_worse() -> None:
    """The two decisions that there are for."""
    equal, bad = compared(even(0.002), even(0.002)), compared(even(0.03), even(0.002))
    assert equal.shown is Shown.NOT_WORSE
    assert equal.high < 0.01
    assert bad.shown is Shown.WORSE
    assert bad.low > 0


def test_one_bad_device_proves_nothing() -> None:
    """All failures in one group: independent messages would be proof, devices are not."""
    one_bad = [*even(0.0)[:-1], Cluster(1000.0, 900.0)]
    assert sum(cluster.bad for cluster in one_bad) / 64_000 > 0.01
    assert compared(one_bad, even(0.001)).shown is Shown.UNDECIDED


@pytest.mark.parametrize("few", [0, 1, MIN_CLUSTERS - 1])
def test_few_devices_are_undecided_however_clear_it_looks(few: int) -> None:
    """Without groups to compare there is no variance, and no data never passes."""
    judged = compared(even(1.0, clusters=few), even(0.0))
    assert judged.shown is Shown.UNDECIDED
    assert math.isinf(judged.high)
    assert judged.missing is None


def test_what_is_missing_is_about_what_it_takes() -> None:
    """The forecast, fed back as samples, decides."""
    judged = compared(even(0.002, ended=8.0), even(0.002, ended=8.0))
    assert judged.shown is Shown.UNDECIDED
    assert judged.missing is not None
    assert judged.missing > 64
    grown = 8.0 + judged.missing / 64
    assert compared(even(0.002, ended=grown * 1.1), even(0.002, ended=grown * 1.1)).shown is Shown.NOT_WORSE


@given(candidate=COUNTS, control=COUNTS)
def test_whatever_the_counts_the_comparison_is_sound(candidate: list[Cluster], control: list[Cluster]) -> None:
    """Limits enclose the difference, decisions follow from them, and nothing raises."""
    judged = compared(candidate, control)
    assert judged.low <= judged.difference <= judged.high
    if judged.shown is Shown.WORSE:
        assert judged.low > 0
    if judged.shown is Shown.NOT_WORSE:
        assert judged.high < 0.01
    assert judged.missing is None or judged.missing >= 0


@given(counts=COUNTS, factor=st.integers(2, 50))
def test_more_of_the_same_never_widens_the_limits_of_even_devices(counts: list[Cluster], factor: int) -> None:
    """A rate doesn't change when everything is counted `factor` times, and its variance doesn't grow."""
    once, more = rate_of(counts), rate_of([Cluster(one.ended * factor, one.bad * factor) for one in counts])
    assert more.value == pytest.approx(once.value)
    assert more.variance <= once.variance * 1.0001 or math.isinf(once.variance)


@given(alpha=st.floats(0.001, 0.4), phases=st.integers(1, 64), tests=st.integers(1, 8))
def test_shares_never_add_up_to_more_than_the_plans_alpha(alpha: float, phases: int, tests: int) -> None:
    """Whatever is entered again and however often."""
    spent = sum(
        split_alpha(alpha, phases=phases, tests=tests, visit=visit).alpha * phases * tests for visit in range(1, 60)
    )
    assert spent <= alpha * 1.0000001


@pytest.mark.parametrize("alpha", [0.0, 0.5, -1.0, math.nan])
def test_senseless_alphas_are_refused(alpha: float) -> None:
    """One clear error."""
    with pytest.raises(ValueError, match="alpha"):
        Boundary.for_effect(0.01, alpha=alpha)
    with pytest.raises(ValueError, match="alpha"):
        split_alpha(alpha, phases=1, tests=1)

"""Settling: a difference counts only when it lasts, and coming and going is never equal."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.router.parity import Comparison, Difference, Settling, Verdict
from agt.router.parity._settling import PATIENCE

few = settings(max_examples=40)


def take(*names: str, value: str = "") -> Comparison:
    """A comparison with these keys missing."""
    found = tuple(Difference(kind="missing", key=name, candidate=value) for name in names)
    return Comparison(differences=found, counts={"missing": len(found)} if found else {}, control_rows=1)


def settle(takes: Iterable[Comparison], *, needed: int = 3, settle_s: float = 0.0) -> Settling:
    """Feed takes, a second apart, until the verdict is final."""
    settling = Settling(takes=needed, settle_s=settle_s)
    for second, comparison in enumerate(takes):
        settling.add(comparison, now=float(second))
        if settling.verdict is not Verdict.PENDING:
            break
    return settling


def test_one_clean_take_is_equal() -> None:
    """Nothing more is needed."""
    settling = settle([take()])
    assert (settling.verdict, settling.takes) == (Verdict.PASSED, 1)


def test_a_difference_counts_after_enough_takes_in_a_row() -> None:
    """Not one earlier."""
    assert settle([take("a"), take("a")]).verdict is Verdict.PENDING
    settling = settle([take("a"), take("a"), take("a")])
    assert settling.verdict is Verdict.FAILED
    assert [one.difference.key for one in settling.settled] == ["a"]


def test_a_difference_that_goes_away_was_only_time() -> None:
    """It is counted as passing."""
    settling = settle([take("a"), take("a"), take()])
    assert (settling.verdict, settling.transient, settling.takes) == (Verdict.PASSED, 1, 3)


def test_a_difference_that_comes_back_starts_anew() -> None:
    """Two and one are not three in a row; the others are seen meanwhile."""
    settling = settle([take("a", "b"), take("a", "b"), take("b", value="x")])
    assert [one.difference.key for one in settling.settled] == ["b"]
    again = settle([take("a"), take("a"), take("c"), take("a"), take("a")])
    assert again.verdict is Verdict.PENDING


def test_the_same_place_is_the_same_difference_whatever_its_value() -> None:
    """A candidate that is stuck doesn't get away because control moves on."""
    assert settle(take("a", value=str(number)) for number in range(3)).verdict is Verdict.FAILED


def test_a_difference_must_also_stand_for_its_time() -> None:
    """Three takes in two seconds are not enough for five."""
    assert settle([take("a")] * 3, settle_s=5.0).verdict is Verdict.PENDING
    settling = settle([take("a")] * 20, settle_s=5.0)
    assert (settling.verdict, settling.takes) == (Verdict.FAILED, 6)


def test_coming_and_going_for_ever_is_inconclusive() -> None:
    """Never equal, and never the same difference: neither passed nor failed, after a bounded number of takes."""
    settling = settle(take(str(number)) for number in range(100))
    assert (settling.verdict, settling.takes) == (Verdict.INCONCLUSIVE, PATIENCE * 3)


def test_nothing_seen_is_pending() -> None:
    """No take, no verdict."""
    assert settle([]).verdict is Verdict.PENDING


def test_rows_under_one_key_are_one_difference() -> None:
    """Twice in a take is not twice in a row."""
    settling = Settling(takes=2)
    settling.add(take("a", "a"), now=0.0)
    assert settling.verdict is Verdict.PENDING


@few
@given(st.lists(st.sets(st.sampled_from("abc"), min_size=1), max_size=30), st.integers(1, 4))
def test_passed_only_after_a_clean_take_and_failed_only_after_a_lasting_one(takes: list[set[str]], needed: int) -> None:
    """For any history without a clean take, and the takes it needs are bounded."""
    settling = settle((take(*sorted(names)) for names in takes), needed=needed)
    assert settling.verdict is not Verdict.PASSED
    lasting = set.intersection(*takes[settling.takes - needed : settling.takes]) if settling.takes >= needed else set()
    assert (settling.verdict is Verdict.FAILED) == bool(lasting)
    assert settling.takes <= PATIENCE * needed


@pytest.mark.parametrize("verdict", list(Verdict))
def test_verdicts_have_an_order(verdict: Verdict) -> None:
    """Only passed is without severity."""
    assert (verdict.severity == 0) == (verdict is Verdict.PASSED)

"""The budget of connections on their way in, as a pure core: who gives way, and that nobody else does."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.transport import AdmissionLimits
from agt.transport.trust import HalfOpenBudget

LATE = 100.0
"""By then everybody has had its time."""


def budget(total: int, per_address: int) -> HalfOpenBudget:
    """Make a small budget."""
    return HalfOpenBudget(AdmissionLimits(half_open_max=total, half_open_per_address_max=per_address))


def test_an_address_that_has_used_up_its_share_loses_its_own_oldest():
    """The newest may be honest, the oldest has had its time; nobody else's place is touched."""
    gone: list[str] = []
    small = budget(10, 2)
    small.enter("good", lambda: gone.append("good"), now=0)
    for number, name in enumerate("abc"):
        small.enter("flood", lambda name=name: gone.append(name), now=number * LATE)
    assert gone == ["a"]
    assert (small.held_by("flood"), small.held_by("good"), len(small)) == (2, 1, 3)


def test_a_crowd_that_comes_at_once_does_not_throw_itself_out():
    """While nobody has had its time, the newest is turned away and those before it finish."""
    gone: list[str] = []
    small = budget(10, 2)
    places = [small.enter("crowd", lambda: gone.append("x"), now=number / 10) for number in range(5)]
    assert [place is not None for place in places] == [True, True, False, False, False]
    assert gone == []
    small.leave(places[0])
    assert small.enter("crowd", lambda: None, now=0.6) is not None


def test_when_all_is_used_up_whoever_holds_most_gives_way():
    """A flood from a few addresses can't push out one that holds little, however fast it is."""
    gone: list[str] = []
    small = budget(4, 3)
    small.enter("good", lambda: gone.append("good"), now=0)
    for _ in range(3):
        small.enter("flood", lambda: gone.append("flood"), now=0)
    assert small.enter("other", lambda: gone.append("other"), now=0) is not None
    assert gone == ["flood"]
    assert (small.held_by("good"), small.held_by("other"), small.held_by("flood")) == (1, 1, 2)


def test_a_crowd_of_single_addresses_does_not_throw_itself_out_either():
    """Where nobody holds more than the newcomer would, and nobody has had its time, it is turned away."""
    gone: list[str] = []
    small = budget(3, 3)
    for name in "abc":
        assert small.enter(name, lambda: gone.append("x"), now=0) is not None
    assert small.enter("d", lambda: None, now=0.5) is None
    assert gone == []
    assert small.enter("d", lambda: None, now=LATE) is not None
    assert gone == ["x"]


def test_who_has_spoken_and_was_not_heard_keeps_its_place():
    """When it is we who are late, the newest has to come back, and those before it are served."""
    small = budget(2, 1)
    assert small.enter("a", lambda: False, now=0) is not None
    assert small.enter("a", lambda: True, now=LATE) is None
    assert small.held_by("a") == 1


def test_a_place_is_given_back_once():
    """Leaving twice, or after having been given up, counts once."""
    small = budget(2, 1)
    first = small.enter("a", lambda: None, now=0)
    second = small.enter("a", lambda: None, now=LATE)
    assert first is not None
    assert second is not None
    small.leave(first)
    assert len(small) == 1
    small.leave(second)
    small.leave(second)
    assert (len(small), small.held_by("a")) == (0, 0)


@pytest.mark.parametrize("limits", [AdmissionLimits(half_open_max=0), AdmissionLimits(half_open_per_address_max=0)])
def test_a_budget_of_nothing_is_refused(limits: AdmissionLimits):
    """It would let nobody in."""
    with pytest.raises(msgspec.ValidationError, match="half_open"):
        HalfOpenBudget(limits)


@given(
    callers=st.lists(st.tuples(st.sampled_from("abcde"), st.booleans(), st.floats(0, 2)), max_size=80),
    total=st.integers(1, 8),
    per_address=st.integers(1, 5),
)
def test_no_schedule_exceeds_the_budget_or_loses_count(
    callers: list[tuple[str, bool, float]], total: int, per_address: int
):
    """Whoever is in is counted once, whoever is not isn't, and both limits hold at every step."""
    small = budget(total, per_address)
    inside: dict[int, str] = {}
    now = 0.0
    for number, (address, leaves, passed) in enumerate(callers):
        now += passed
        entry = small.enter(address, lambda number=number: inside.pop(number), now=now)
        if entry is not None:
            inside[number] = address
        assert len(small) == len(inside) <= total
        assert all(list(inside.values()).count(each) <= per_address for each in "abcde")
        if leaves and entry is not None:
            small.leave(entry)
            del inside[number]
    held = list(inside.values())
    assert [small.held_by(each) for each in "abcde"] == [held.count(each) for each in "abcde"]

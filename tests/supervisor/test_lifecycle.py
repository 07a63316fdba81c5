"""The component's state machine: the table, and that everything outside it is refused."""

from itertools import product
from typing import get_args

import pytest

from agt.supervisor.components._lifecycle import LIFECYCLE, Happening, IllegalHappening, State, next_state
from agt.supervisor.view import ProcessState

ALL = set(product(State, Happening))


@pytest.mark.parametrize(("state", "happening"), sorted(LIFECYCLE))
def test_the_table_is_the_machine(state: State, happening: Happening) -> None:
    """Each entry leads where it says."""
    assert next_state(state, happening) is LIFECYCLE[state, happening]


@pytest.mark.parametrize(("state", "happening"), sorted(ALL - set(LIFECYCLE)))
def test_what_is_not_in_the_table_is_refused(state: State, happening: Happening) -> None:
    """With both names in the error."""
    with pytest.raises(IllegalHappening) as caught:
        next_state(state, happening)
    assert (caught.value.state, caught.value.happening) == (state, happening)


def test_every_state_can_be_reached_and_stopped_from() -> None:
    """From waiting to everywhere; and a stop, with an end, from everywhere."""
    reached, frontier = {State.WAITING}, {State.WAITING}
    while frontier:
        frontier = {to for (state, _), to in LIFECYCLE.items() if state in frontier} - reached
        reached |= frontier
    assert reached == set(State)
    for state in set(State) - {State.STOPPED, State.STOPPING}:
        after = next_state(state, Happening.STOP)
        assert after is State.STOPPED or next_state(after, Happening.ENDED) is State.STOPPED


def test_the_view_uses_the_same_words() -> None:
    """What the screens show is what the machine says."""
    assert set(get_args(ProcessState)) == {state.value for state in State}

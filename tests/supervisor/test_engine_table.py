"""The rollout's state machine against its table: what is in it happens, everything else is refused."""

import itertools

import pytest

from agt.supervisor.rollout import Event, State, Status
from agt.supervisor.rollout._state import TRANSITIONS, NotPossible, moved


@pytest.mark.parametrize(("pair", "target"), sorted(TRANSITIONS.items()))
def test_event_in_the_table_leads_where_it_says(pair, target):
    """Every transition of the table is taken as written."""
    state = State(plan="p", status=pair[0])
    assert moved(state, pair[1]).status is target


@pytest.mark.parametrize("pair", sorted(set(itertools.product(Status, Event)) - set(TRANSITIONS)))
def test_event_outside_the_table_is_refused_and_changes_nothing(pair):
    """The complement of the table: refused with its facts, and the state is as it was."""
    state = State(plan="p", status=pair[0])
    with pytest.raises(NotPossible) as caught:
        moved(state, pair[1], percent=50.0)
    assert (caught.value.status, caught.value.event) == pair
    assert state == State(plan="p", status=pair[0])


def test_every_status_is_reachable_and_none_is_a_trap():
    """From the start every status can be reached, and from everywhere there is a way back."""
    reached = {Status.STARTING}
    while more := {target for (status, _), target in TRANSITIONS.items() if status in reached} - reached:
        reached |= more
    assert reached == set(Status)
    for status in Status:
        back = Event.KILL_LIFTED if status is Status.KILLED else Event.ROLLED_BACK
        assert TRANSITIONS[status, back] is Status.ROLLED_BACK


def test_only_a_recorded_cause_unlocks_a_rolled_back_plan():
    """Nothing but a cause leads out of `rolled-back`, except further back."""
    out = {
        event
        for (status, event), target in TRANSITIONS.items()
        if status is Status.ROLLED_BACK and target is not status
    }
    assert out == {Event.CAUSE_RECORDED, Event.KILLED}

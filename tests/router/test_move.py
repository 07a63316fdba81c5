"""The move's table: every pair in it, every pair not in it, and its shape."""

import itertools

import pytest

from agt.router import MoveRefused
from agt.router._move import MOVES, MoveEffect, MoveEvent, MoveState, step

S, E, F = MoveState, MoveEvent, MoveEffect
EXPECTED = {
    (S.CARRYING, E.TURNED): (S.DRAINING, (F.FENCE,)),
    (S.CARRYING, E.RESTARTED): (S.DRAINING, (F.FENCE,)),
    (S.CARRYING, E.LOST): (S.WAITING, (F.FENCE, F.SETTLE)),
    (S.CARRYING, E.LEFT): (S.ENDED, (F.SETTLE, F.CLOSE)),
    (S.DRAINING, E.QUIETED): (S.WAITING, (F.SETTLE,)),
    (S.DRAINING, E.EXPIRED): (S.WAITING, (F.SETTLE,)),
    (S.DRAINING, E.LOST): (S.WAITING, (F.SETTLE,)),
    (S.DRAINING, E.RETURNED): (S.CARRYING, (F.UNFENCE,)),
    (S.DRAINING, E.LEFT): (S.ENDED, (F.SETTLE, F.CLOSE)),
    (S.WAITING, E.ARRIVED): (S.CARRYING, (F.ROUTE,)),
    (S.WAITING, E.RETURNED): (S.WAITING, ()),
    (S.WAITING, E.LEFT): (S.ENDED, (F.CLOSE,)),
}
PAIRS = list(itertools.product(MoveState, MoveEvent))


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair in EXPECTED])
def test_pair_of_the_table_goes_where_it_says(state: MoveState, event: MoveEvent) -> None:
    """The table, written down a second time by hand."""
    assert step(state, event) == EXPECTED[state, event]


@pytest.mark.parametrize(("state", "event"), [pair for pair in PAIRS if pair not in EXPECTED])
def test_pair_outside_the_table_is_refused(state: MoveState, event: MoveEvent) -> None:
    """The complement: a typed error that names state and event."""
    with pytest.raises(MoveRefused) as raised:
        step(state, event)
    assert (raised.value.state, raised.value.event) == (state.value, event.value)


def test_every_state_is_reached_and_the_last_has_no_way_out() -> None:
    """A new device starts waiting; from there everything can be reached."""
    reached = {MoveState.WAITING}
    for _ in MoveState:
        reached |= {after for (before, _), (after, _) in MOVES.items() if before in reached}
    assert reached == set(MoveState)
    assert not [before for before, _ in MOVES if before is MoveState.ENDED]


def test_nothing_is_routed_before_the_old_path_is_settled() -> None:
    """Whoever enters WAITING from a path settles it, and only WAITING routes."""
    for (before, _), (after, effects) in MOVES.items():
        if after is MoveState.WAITING and before is not MoveState.WAITING:
            assert effects[-1] is MoveEffect.SETTLE
        if MoveEffect.ROUTE in effects:
            assert before is MoveState.WAITING

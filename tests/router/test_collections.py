"""Sessions are taken out of the garbage collector's way as they come, and given back when most have gone."""

import gc

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.router import keep_collections_short
from agt.router._collections import GROWTH_MIN, Frozen


def test_few_sessions_are_left_alone() -> None:
    """A small gateway's collections are short anyway."""
    frozen = Frozen()
    assert [frozen.look(count) for count in (0, 10, GROWTH_MIN - 1, 3)] == [None, None, None, None]


def test_a_crowd_is_frozen_as_it_grows_and_thawed_when_it_has_left() -> None:
    """At 500, then at each tenth more; a few that leave change nothing."""
    frozen = Frozen()
    assert [frozen.look(count) for count in (500, 900, 1000, 1400, 1500)] == [True, None, True, None, True]
    assert [frozen.look(count) for count in (1499, 750, 749, 700, 499)] == [None, None, False, True, None]


@given(st.lists(st.integers(0, 20_000), max_size=50))
def test_what_is_not_frozen_stays_few(counts: list[int]) -> None:
    """Whatever the crowd does, at most a tenth of it (or 500) is left to be looked through after a look."""
    frozen, at = Frozen(), 0
    for count in counts:
        change = frozen.look(count)
        at = count if change else 0 if change is False else at
        assert count - at < max(GROWTH_MIN, 0.1 * at) or change is False


@pytest.mark.anyio
async def test_objects_are_frozen_while_it_runs_and_never_after() -> None:
    """A crowd comes: what there is leaves the collector's sight. The gateway ends: everything is back."""
    assert gc.get_freeze_count() == 0
    seen, done = list[int](), anyio.Event()

    def sessions() -> int:
        seen.append(gc.get_freeze_count())
        if len(seen) == 3:
            done.set()
        return 0 if len(seen) == 1 else 10 * GROWTH_MIN

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_collections_short, sessions)
        with anyio.fail_after(5):
            await done.wait()
        tasks.cancel_scope.cancel()
    assert seen[:2] == [0, 0]
    assert seen[2] > 0
    assert gc.get_freeze_count() == 0

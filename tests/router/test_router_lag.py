"""How late the router's own loop is: what a supervisor needs to tell a starved gateway from a slow candidate."""

import time

import anyio
import anyio.lowlevel
import pytest

from agt.router import Router
from agt.router._lag import LAG_EVERY_S, LAG_KEPT_S, LoopLag


def test_the_worst_delay_is_remembered_for_a_while_and_then_forgotten():
    """A timer that comes late leaves its delay behind for `LAG_KEPT_S`; one that is early leaves nothing."""
    lag = LoopLag()
    lag.tick(10.0)
    lag.tick(10.0 + LAG_EVERY_S / 2)
    assert lag.worst_s(10.0 + LAG_EVERY_S) == 0.0
    lag.tick(10.5)
    assert lag.worst_s(10.5) == pytest.approx(0.5 - LAG_EVERY_S)
    lag.tick(10.5 + LAG_EVERY_S)
    assert lag.worst_s(10.5 + LAG_EVERY_S) == pytest.approx(0.5 - LAG_EVERY_S)
    for turn in range(2, 25):
        lag.tick(10.5 + turn * LAG_EVERY_S)
    assert lag.worst_s(10.5 + LAG_KEPT_S + 0.3) == pytest.approx(0.0, abs=1e-6)


def test_a_timer_that_is_overdue_right_now_counts_already():
    """Whoever is served before the timer after a hold-up sees it all the same."""
    lag = LoopLag()
    lag.tick(0.0)
    assert lag.worst_s(LAG_EVERY_S + 0.7) == pytest.approx(0.7)


@pytest.mark.anyio
async def test_a_held_up_loop_shows_in_the_status(world):
    """A real loop that is blocked for 0.4 s: the status says so, and said nothing before."""
    router = Router(world.source, runtimes=world.router.runtimes)
    async with anyio.create_task_group() as group:
        group.start_soon(router.run)
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        before = router.status().loop_lag_s
        until = time.monotonic() + 0.4
        while time.monotonic() < until:
            pass
        await anyio.lowlevel.checkpoint()
        assert router.status().loop_lag_s >= before + 0.2
        group.cancel_scope.cancel()

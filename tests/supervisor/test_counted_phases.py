"""Phases by number of devices, in the pure engine: what it waits for, what it remembers, what an operator is told."""

from collections.abc import Callable
from typing import Any

import pytest

from agt.supervisor.actions import Action, Refused
from agt.supervisor.rollout import Status
from agt.supervisor.rollout._counting import Counts, wanted
from agt.supervisor.rollout._effects import SetRoute
from agt.supervisor.rollout._operator import operate
from agt.supervisor.rollout._state import Share

SEVEN = Share(percent=12.34, up_to="lamp-07")


@pytest.fixture
def counted(make_bench: Callable[..., Any], plan_text: str) -> Any:
    """A bench whose second phase takes seven devices, and which answers how far those go when `counts` says so."""
    bench = make_bench(plan_text.replace("percent = 50", "devices = 7"))
    bench.counts = Counts(missing={7: "there are only 5 devices that the candidate could carry"})
    observe = bench.observe

    def with_counts() -> Any:
        seen = observe()
        seen.counts.shares.update(bench.counts.shares)
        seen.counts.missing.update(bench.counts.missing)
        return seen

    bench.observe = with_counts
    return bench


def test_phase_waits_until_its_devices_can_be_counted(counted: Any) -> None:
    """Gates passed and soak over: it still doesn't begin with fewer, says why, and goes on by itself."""
    for _ in range(60):
        counted.tick()
    assert counted.plan.phases[counted.state.phase].name == "shadow"
    assert counted.state.reason == "half takes 7 devices: there are only 5 devices that the candidate could carry"
    assert wanted(counted.plan, counted.state) == {7}
    counted.counts = Counts(shares={7: SEVEN})
    counted.tick()
    assert counted.plan.phases[counted.state.phase].name == "half"
    assert (counted.state.percent, counted.state.up_to) == (12.34, "lamp-07")
    effect = counted.done[-2]
    assert isinstance(effect, SetRoute)
    assert (effect.up_to, effect.forward) == ("lamp-07", True)
    assert wanted(counted.plan, counted.state) == set()


def test_operator_is_told_and_nothing_changes(counted: Any) -> None:
    """Forcing doesn't help: what can't be counted can't be routed."""
    for _ in range(8):
        counted.tick()
    before = counted.state
    with pytest.raises(Refused, match="half takes 7 devices: there are only 5"):
        operate(counted.plan, before, counted.observe(), Action(action="advance", reason="now"), now=counted.now)
    assert counted.state == before


def test_going_back_to_it_asks_nobody(counted: Any) -> None:
    """The later phase is left for the same seven, though the routers can't count any more."""
    counted.counts = Counts(shares={7: SEVEN})
    counted.until("most")
    counted.counts = Counts(missing={7: "a router is silent"})
    back = operate(
        counted.plan, counted.state, counted.observe(), Action(action="rollback", to="half"), now=counted.now
    )
    counted.take(back)
    assert (counted.state.percent, counted.state.up_to) == (12.34, "lamp-07")
    (effect,) = [one for one in back.effects if isinstance(one, SetRoute)]
    assert (effect.up_to, effect.forward) == ("lamp-07", False)


def test_first_phase_by_number_waits_too(make_bench: Callable[..., Any], plan_text: str) -> None:
    """Nothing is written before it can be."""
    bench = make_bench(plan_text.replace('shadow = "candidate"', "devices = 7"))
    for _ in range(5):
        bench.tick()
    assert (bench.state.status, bench.done) == (Status.STARTING, [])
    assert bench.state.reason == "shadow takes 7 devices: the routers have not been asked yet"
    assert wanted(bench.plan, bench.state) == {7}

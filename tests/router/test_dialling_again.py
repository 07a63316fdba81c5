"""A device that stays where it is and only dials again: what its cut connection had written."""

from collections.abc import Callable
from typing import Any

import pytest

from agt.transport import Barrier


@pytest.mark.parametrize("barrier", list(Barrier))
def test_only_a_device_that_drops_doubles_takes_its_unanswered_tail_along(
    make_world: Callable[..., Any], barrier: Barrier
) -> None:
    """Written on legacy and cut off: sent again in order under the same numbers, before what came meanwhile."""
    world = make_world(0)
    legacy, _ = world.add("d", barrier)
    for _ in range(3):
        world.send()
    legacy.arrive(1)
    legacy.lose()
    legacy.ready = False
    world.router.detach("d", {"legacy": legacy})
    world.send()
    again = world.path("d", "legacy", barrier)
    world.router.attach("d", {"legacy": again})
    again.arrive()
    kept = [2, 3] if barrier is Barrier.SEQUENCE else []
    assert world.devices["d"].applied == [1, *kept, 4]


def test_what_had_arrived_is_dropped_by_the_device(make_world: Callable[..., Any]) -> None:
    """Only the answers were lost: the device has passed these numbers, and nothing acts twice."""
    world = make_world(0)
    legacy, _ = world.add("d", Barrier.SEQUENCE)
    for _ in range(2):
        world.send()
    legacy.arrive()
    world.router.detach("d", {"legacy": legacy})
    again = world.path("d", "legacy", Barrier.SEQUENCE)
    world.router.attach("d", {"legacy": again})
    again.arrive()
    assert world.devices["d"].received == [1, 2, 1, 2]
    assert world.devices["d"].applied == [1, 2]

"""What a receipt says of the turn itself: what might not be confirmed, and who has to dial first."""

from collections.abc import Callable
from typing import Any

import pytest

from agt.router import MemorySelector, Router
from agt.router.testing import ManualClock, ScriptedPath
from agt.transport import Barrier


@pytest.mark.parametrize("barrier", list(Barrier))
def test_a_receipt_announces_what_a_preview_at_that_instant_would(
    make_world: Callable[..., Any], barrier: Barrier
) -> None:
    """Whatever is on the way then, and nothing on a wire with a watermark."""
    world = make_world(100)
    for name in ("a", "b"):
        world.add(name, barrier)
    for name in ("a", "a", "b"):
        world.send(name)
    preview = world.router.preview(world.selector(0, generation=2))
    receipt = world.set(0).receipt()
    assert receipt.announced == preview.unconfirmed == (0 if barrier is Barrier.SEQUENCE else 3)


def test_devices_that_have_to_dial_are_counted_with_the_gateways_pace(make_world: Callable[..., Any]) -> None:
    """A kill of three, one of which has no attachment to control; without such a device no pace is told."""
    clock, world = ManualClock(), make_world(100)
    router = Router(
        MemorySelector(world.selector(100, generation=1)), runtimes=world.router.runtimes, clock=clock, redial_per_s=50
    )
    for name in ("a", "b"):
        router.attach(name, {"legacy": ScriptedPath(clock, legacy=True), "reliable": ScriptedPath(clock)})
    router.attach("away", {"reliable": ScriptedPath(clock)})
    receipt = router.kill().receipt()
    assert (receipt.redial, receipt.redial_per_s) == (1, 50)
    router.attach("away", {"legacy": ScriptedPath(clock, legacy=True)})
    receipt = router.kill().receipt()
    assert (receipt.redial, receipt.redial_per_s) == (0, None)

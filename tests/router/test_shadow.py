"""Mirrored messages: compared with what was carried, never in its way."""

from typing import Any

import pytest

from agt.router import Message, Shadow
from agt.router.testing import ManualClock, ScriptedPath
from agt.transport import Delivery, Outcome, QueueFull


def message(number: int = 1) -> Message:
    """A message."""
    return Message(device="d", number=number, payload=b"x")


def carried(outcome: Outcome) -> Delivery:
    """A message that control has carried."""
    delivery = Delivery()
    delivery.settle(outcome)
    return delivery


@pytest.mark.parametrize(
    ("ours", "twins", "differences"),
    [
        (Outcome.WRITTEN, Outcome.DELIVERED, 0),
        (Outcome.DELIVERED, Outcome.NOT_DELIVERED, 1),
        (Outcome.NOT_DELIVERED, Outcome.NOT_DELIVERED, 0),
        (Outcome.INDETERMINATE, Outcome.DELIVERED, 1),
    ],
)
def test_endings_are_compared(ours: Outcome, twins: Outcome, differences: int) -> None:
    """`written` is the best that a legacy path can say, so it is no difference to `delivered`."""
    twin = ScriptedPath(ManualClock())
    shadow = Shadow({"reliable": twin})
    shadow.offer("reliable", message(), carried(ours))
    assert not twin.on_wire
    shadow.pump()
    assert shadow.counts.compared == 0
    twin._open[0].delivery.settle(twins)
    assert (shadow.counts.compared, shadow.counts.differences) == (1, differences)


def test_queue_sheds_and_counts() -> None:
    """A twin that doesn't keep up costs mirrored messages, nothing else."""
    shadow = Shadow({"reliable": ScriptedPath(ManualClock())}, queue_max=10)
    for number in range(15):
        shadow.offer("reliable", message(number), carried(Outcome.WRITTEN))
    assert (shadow.waiting, shadow.counts.shed) == (10, 5)
    shadow.pump()
    shadow.offer("reliable", message(99), carried(Outcome.WRITTEN))
    assert shadow.counts.shed == 6


def test_broken_twin_is_counted_and_swallowed() -> None:
    """An exception of the twin never reaches control."""

    class Broken:
        def send(self, message: Message) -> Delivery:
            raise RuntimeError("twin fell over")

    shadow = Shadow({"reliable": Broken()})
    shadow.offer("reliable", message(), carried(Outcome.WRITTEN))
    shadow.pump()
    assert shadow.counts.shed == 1


def test_full_mirror_sheds_and_is_no_difference() -> None:
    """A mirror without room says nothing about the runtime that is tried out, and the next message is tried again."""

    class Full:
        def __init__(self) -> None:
            self.room = 0

        def send(self, message: Message) -> Delivery:
            if not self.room:
                raise QueueFull("the mirror's send queue", 0)
            return carried(Outcome.DELIVERED)

    twin = Full()
    shadow = Shadow({"reliable": twin})
    for twin.room in (0, 0, 1):
        shadow.offer("reliable", message(), carried(Outcome.WRITTEN))
        shadow.pump()
    assert (shadow.counts.shed, shadow.counts.compared, shadow.counts.differences) == (2, 1, 0)


def test_without_a_twin_only_the_decision_is_counted() -> None:
    """Nothing is sent anywhere."""
    shadow = Shadow()
    shadow.offer("reliable", message(), carried(Outcome.WRITTEN))
    assert (shadow.counts.decided, shadow.waiting) == (1, 0)


def test_router_mirrors_what_the_other_side_carries(make_world: Any) -> None:
    """Dark launch mirrors control's messages before the candidate is enabled; a kill mirrors nothing."""
    world = make_world(0.0, enabled=False, shadow="candidate")
    twin = ScriptedPath(world.clock)
    world.router._state.shadow.twins["reliable"] = twin
    world.add()
    world.send()
    world.router.handle_timer()
    assert list(twin.on_wire) == [1]
    twin.answer()
    assert world.router.status().shadow.compared == 1
    world.router.kill("test")
    world.send()
    world.router.handle_timer()
    assert list(twin.on_wire) == [1]


def test_reverse_shadow_mirrors_the_candidates_messages(make_world: Any) -> None:
    """After the cut-over `shadow = "control"` keeps the way back warm, for the share of devices it says."""
    world = make_world(100.0, shadow="control", shadow_percent=21.0)
    twin = ScriptedPath(world.clock)
    world.router._state.shadow.twins["legacy"] = twin
    for name in ("a", "session-alpha"):
        world.add(name)
        world.send(name)
    world.router.handle_timer()
    assert len(twin.on_wire) == 1

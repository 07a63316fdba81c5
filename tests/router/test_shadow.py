"""Mirrored messages: compared with what was carried, never in its way."""

from typing import Any

import pytest

from agt.router import Message, Shadow
from agt.router.shadow import Answered, json_fields, lines, report
from agt.router.testing import ManualClock, ScriptedPath
from agt.transport import Delivery, Outcome, QueueFull


def message(number: int = 1) -> Message:
    """A message."""
    return Message(device="d", number=number, payload=b"x")


def carried(outcome: Outcome, runtime: str = "legacy") -> Delivery:
    """A message that control has carried."""
    delivery = Delivery()
    delivery.runtime = runtime
    delivery.settle(outcome)
    return delivery


class Instant:
    """A twin whose answer is there at once."""

    def __init__(self, outcome: Outcome = Outcome.DELIVERED, reply: bytes | None = None) -> None:
        self.outcome, self.reply = outcome, reply
        self.took: list[int] = []

    def send(self, message: Message) -> Delivery:
        """Answer."""
        self.took.append(message.number)
        delivery = Answered()
        delivery.reply = self.reply
        delivery.settle(self.outcome)
        return delivery


def pump(shadow: Shadow) -> None:
    """Let it do all that can be done now."""
    while shadow.waiting:
        shadow.pump()


def of(shadow: Shadow, runtime: str = "reliable") -> Any:
    """What the comparisons of a runtime say."""
    return next(row for row in report(shadow, wall=0.0).runtimes if row.runtime == runtime)


@pytest.mark.parametrize(
    ("ours", "twins", "differences", "errors"),
    [
        (Outcome.WRITTEN, Outcome.DELIVERED, 0, 0),
        (Outcome.DELIVERED, Outcome.NOT_DELIVERED, 1, 1),
        (Outcome.NOT_DELIVERED, Outcome.NOT_DELIVERED, 0, 0),
        (Outcome.INDETERMINATE, Outcome.DELIVERED, 1, 0),
    ],
)
def test_endings_are_compared(ours: Outcome, twins: Outcome, differences: int, errors: int) -> None:
    """`written` is the best that a legacy path can say, so it is no difference to `delivered`."""
    twin = ScriptedPath(ManualClock())
    shadow = Shadow({"reliable": twin})
    shadow.offer("reliable", message(), carried(ours))
    assert not twin.on_wire
    pump(shadow)
    assert not shadow.tallies
    twin._open[0].delivery.settle(twins)
    pump(shadow)
    tried = of(shadow)
    assert (tried.compared, tried.differences, tried.errors) == (1, differences, errors)
    assert shadow.held == 0


def test_a_broken_twin_is_counted_swallowed_and_rests() -> None:
    """An exception of the twin never reaches control, and it is not asked again at once."""

    class Broken:
        calls = 0

        def send(self, message: Message) -> Delivery:
            self.calls += 1
            raise RuntimeError("twin fell over")

    clock, twin = ManualClock(), Broken()
    shadow = Shadow({"reliable": twin}, clock=clock)
    for number in range(3):
        shadow.offer("reliable", message(number), carried(Outcome.WRITTEN))
    pump(shadow)
    assert shadow.counts.shed == {"broken": 1, "resting": 2}
    clock.advance(0.6)
    shadow.offer("reliable", message(), carried(Outcome.WRITTEN))
    pump(shadow)
    assert (twin.calls, shadow.counts.shed["broken"], shadow.held) == (2, 2, 0)


def test_a_full_mirror_sheds_and_is_no_difference() -> None:
    """A mirror without room says nothing about the runtime that is tried out, and the next message is tried again."""

    class Full(Instant):
        room = 0

        def send(self, message: Message) -> Delivery:
            if not self.room:
                raise QueueFull("the mirror's send queue", 0)
            return super().send(message)

    twin = Full()
    shadow = Shadow({"reliable": twin})
    for twin.room in (0, 0, 1):
        shadow.offer("reliable", message(), carried(Outcome.WRITTEN))
        pump(shadow)
    assert (shadow.counts.shed["full"], of(shadow).compared, of(shadow).differences) == (2, 1, 0)


def test_what_is_no_handle_is_a_broken_twin() -> None:
    """A twin that was written as a coroutine, say."""

    class Wrong:
        def send(self, message: Message) -> Any:
            return "sent"

    shadow = Shadow({"reliable": Wrong()})
    shadow.offer("reliable", message(), carried(Outcome.WRITTEN))
    pump(shadow)
    assert (shadow.counts.shed["broken"], shadow.held) == (1, 0)


def test_without_a_twin_only_the_decision_is_counted() -> None:
    """Nothing is sent anywhere."""
    shadow = Shadow()
    shadow.offer("reliable", message(), carried(Outcome.WRITTEN))
    assert (shadow.counts.decided, shadow.waiting) == (1, 0)


def test_what_moved_to_the_tried_runtime_is_not_compared_with_itself() -> None:
    """A message that changed paths was carried by the very runtime that was to be tried out."""
    shadow = Shadow({"reliable": Instant(Outcome.NOT_DELIVERED)})
    delivery = Delivery()
    delivery.runtime = "legacy"
    shadow.offer("reliable", message(), delivery)
    pump(shadow)
    delivery.runtime = "reliable"
    delivery.settle(Outcome.DELIVERED)
    pump(shadow)
    assert (shadow.counts.void, shadow.tallies) == (1, {})


def test_reads_may_go_to_the_real_thing_and_are_repeated_on_control() -> None:
    """What only asks goes to the readers of both, whatever may act to the stand-ins."""
    names = ("twin", "reader", "floor twin", "floor reader")
    at = {name: Instant() for name in names}
    shadow = Shadow(
        {"reliable": at["twin"]},
        readers={"reliable": at["reader"]},
        floor_twins={"legacy": at["floor twin"]},
        floor_readers={"legacy": at["floor reader"]},
        classifier=lines.classify,
    )
    for number, payload in enumerate((b"get 0", b"set 1 1", b"who knows", b"get 3")):
        shadow.offer("reliable", Message("d", number, payload), carried(Outcome.WRITTEN))
    pump(shadow)
    assert {name: at[name].took for name in names} == {
        "twin": [1, 2],
        "reader": [0, 3],
        "floor twin": [1, 2],
        "floor reader": [0, 3],
    }
    assert (shadow.counts.reads, shadow.counts.writes, of(shadow).paired) == (2, 2, 4)


def test_without_a_stand_in_a_write_is_only_decided() -> None:
    """A reader alone never gets one."""
    reader = Instant()
    shadow = Shadow(readers={"reliable": reader}, classifier=lines.classify)
    for number, payload in enumerate((b"get 0", b"set 1 1")):
        shadow.offer("reliable", Message("d", number, payload), carried(Outcome.WRITTEN))
    pump(shadow)
    assert (reader.took, shadow.counts.decided, of(shadow).compared) == ([0], 1, 1)


def test_the_floor_is_asked_for_a_share_of_the_devices() -> None:
    """The rest is compared and counted, but says nothing about noise; a floor that fails leaves a message unpaired."""
    floor = Instant()
    shadow = Shadow({"reliable": Instant()}, floor_twins={"legacy": floor}, floor_percent=30.0)
    for number in range(200):
        shadow.offer("reliable", Message(f"lamp-{number}", number, b""), carried(Outcome.WRITTEN))
    pump(shadow)
    assert of(shadow).compared == 200
    assert of(shadow).paired == len(floor.took)
    assert 40 < len(floor.took) < 80

    class Broken:
        def send(self, _: Message) -> Delivery:
            raise RuntimeError("gone")

    shadow = Shadow({"reliable": Instant(Outcome.NOT_DELIVERED)}, floor_twins={"legacy": Broken()})
    shadow.offer("reliable", message(), carried(Outcome.WRITTEN))
    pump(shadow)
    assert (of(shadow).compared, of(shadow).paired, shadow.counts.shed) == (1, 0, {})
    assert of(shadow).verdict == "undecided", "nobody knows yet how much of it is noise"


def test_replies_are_compared_by_field() -> None:
    """Whoever sees the device's replies hands them in; the twin's come with its handle."""
    shadow = Shadow(
        {"reliable": Instant(reply=b'{"state": "on", "seen": [1, 2]}')}, extract=json_fields, reply_wait=True
    )
    shadow.offer("reliable", message(), carried(Outcome.WRITTEN))
    pump(shadow)
    assert not shadow.tallies, "waits for the reply"
    shadow.replied("d", 1, b'{"state": "off", "seen": [1, 3]}', latency_s=0.01)
    pump(shadow)
    rows = {row.field: row for row in of(shadow).fields}
    assert rows["reply.state"].differences == 1
    assert (rows["reply.state"].examples[0].carried, rows["reply.state"].examples[0].tried) == ("off", "on")
    assert rows["reply.seen.*"].examples[0].path == "reply.seen.1"
    assert (rows["reply.seen.*"].mean_delta, rows["reply.seen.*"].max_delta) == (-1.0, -1.0)
    shadow.replied("d", 1, b"late")
    assert shadow.counts.stray_replies == 1


def test_a_reply_that_never_came_is_a_difference_in_the_end() -> None:
    """Where the twin answered and the device didn't; the waiting has its time."""
    clock = ManualClock()
    shadow = Shadow({"reliable": Instant(reply=b"ok")}, reply_wait=True, clock=clock, timeout_s=5.0)
    shadow.offer("reliable", message(), carried(Outcome.WRITTEN))
    pump(shadow)
    assert (shadow.held, shadow.next_deadline()) == (1, clock() + 5.0)
    clock.advance(5.0)
    shadow.pump()
    assert {row.field for row in of(shadow).fields} == {"reply", "reply.text"}
    assert (shadow.held, shadow.counts.timed_out, shadow._awaited) == (0, 1, {})


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
    world.router.handle_timer()
    status = world.router.status().shadow
    assert (status.compared, status.tried, status.verdict) == (1, "reliable", "undecided")
    world.router.kill("test")
    world.send()
    world.router.handle_timer()
    assert list(twin.on_wire) == [1]


def test_reverse_shadow_mirrors_the_candidates_messages(make_world: Any) -> None:
    """After the cut-over `shadow = "control"` keeps the way back warm: the same, with the roles exchanged."""
    world = make_world(100.0, shadow="control")
    shadow = world.router._state.shadow
    shadow.twins["legacy"] = Instant(Outcome.WRITTEN)
    shadow.floor_twins["reliable"] = Instant()
    legacy, reliable = world.add()
    world.send()
    world.router.handle_timer()
    assert (list(reliable.on_wire), list(legacy.on_wire)) == ([1], [])
    reliable.answer()
    world.router.handle_timer()
    tried = of(shadow, "legacy")
    assert (tried.compared, tried.paired, tried.differences) == (1, 1, 0)


def test_a_share_of_the_devices_is_mirrored_and_it_is_not_those_that_move_first(make_world: Any) -> None:
    """A device is mirrored with all its messages or with none; the choice has nothing to do with the rollout's."""
    world = make_world(20.0, shadow="candidate", shadow_percent=20.0)
    twin = Instant()
    world.router._state.shadow.twins["reliable"] = twin
    names = [f"lamp-{number:03}" for number in range(200)]
    for _ in range(3):
        for name in names:
            if (name, "legacy") not in world.paths:
                world.add(name)
            world.send(name)
        pump(world.router._state.shadow)
    mirrored = len(twin.took)
    assert mirrored % 3 == 0, "all messages of a device, or none"
    on_control = sum(world.router.runtime_of(name) == "legacy" for name in names)
    assert 0.1 * on_control < mirrored / 3 < 0.3 * on_control

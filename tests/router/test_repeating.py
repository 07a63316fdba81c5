"""What a move may send again: never an older state behind a newer one that may have arrived."""

from collections.abc import Callable
from typing import Any

import pytest

from agt.router import InDoubt, Message, ReliablePath
from agt.router._relay import Relay
from agt.router.testing import ScriptedPath
from agt.transport import Barrier, Delivery, Outcome, Session
from agt.transport._alarms import Alarms
from agt.transport.wires.native import NativeConfig
from support.native_pair import NativePair

RESEND, REPORT = InDoubt.RESEND, InDoubt.REPORT


class _Full(ScriptedPath):
    """A path whose window has no room: what it takes waits."""

    def send(self, message: Message) -> Delivery:
        """Queue a message."""
        self.ready = False
        delivery = super().send(message)
        self.ready = True
        return delivery


def test_a_tail_is_repeated_only_behind_what_must_not_act_twice(world: Any) -> None:
    """Of a state, a command that must not act twice and a state, the last alone comes again; the rest is named."""
    _, reliable = world.add()
    for in_doubt in (RESEND, REPORT, RESEND):
        world.send(in_doubt=in_doubt)
    batch = world.set(100.0)
    world.pass_time(4.1)
    assert list(reliable.on_wire) == [3]
    assert (batch.receipt().resent, batch.receipt().unconfirmed) == (1, 2)
    assert [one.number for one in world.ledger.anomalies if one.kind == "unconfirmed"] == [1, 2]


def test_a_tail_that_ends_in_what_must_not_act_twice_is_not_repeated(world: Any) -> None:
    """Else the device would end in the older state."""
    legacy, reliable = world.add()
    world.send()
    world.send(in_doubt=REPORT)
    world.set(100.0)
    legacy.arrive()
    world.pass_time(4.1)
    reliable.arrive()
    assert world.devices["d"].applied == [1, 2]


@pytest.mark.parametrize(
    ("barrier", "repeated", "told"),
    [
        (Barrier.ACK, [3], [Outcome.INDETERMINATE, Outcome.INDETERMINATE, Outcome.WRITTEN]),
        (Barrier.SEQUENCE, [1, 2, 3], [Outcome.WRITTEN] * 3),
    ],
)
def test_doubts_of_the_candidates_way_keep_to_the_same_order(
    make_world: Callable[..., Any], barrier: Barrier, repeated: list[int], told: list[Outcome]
) -> None:
    """What stands before one that can't come again is reported with it; a watermark needs no such care."""
    world = make_world(100.0)
    legacy, _ = world.add(barrier=barrier)
    sent = [world.send(in_doubt=in_doubt) for in_doubt in (RESEND, REPORT, RESEND)]
    announced = world.set(0.0).receipt().announced
    world.pass_time(4.1)
    assert list(legacy.on_wire) == repeated
    assert [delivery.outcome for delivery in sent] == told
    assert announced == (3 if barrier is Barrier.ACK else 0)


@pytest.mark.parametrize("barrier", [Barrier.ACK, Barrier.SEQUENCE])
def test_what_its_path_has_given_up_is_not_sent_again(make_world: Callable[..., Any], barrier: Barrier) -> None:
    """Later ones went on without it, and a watermark would drop it unseen: its sender hears that it is in doubt."""
    world = make_world(100.0)
    legacy, reliable = world.add(barrier=barrier)
    sent = [world.send() for _ in range(3)]
    reliable.give_up(1)
    reliable.lose(1)
    reliable.arrive()
    reliable.answer(2)
    batch = world.set(0.0)
    world.pass_time(4.1)
    assert list(legacy.on_wire) == [3]
    assert [delivery.outcome for delivery in sent] == [Outcome.INDETERMINATE, Outcome.DELIVERED, Outcome.WRITTEN]
    assert sent[0].reason == "given up after 3 retries"
    assert batch.receipt().indeterminate == 0, "no move's doing"


def test_a_reliable_path_says_what_its_link_has_given_up() -> None:
    """Out of retries by a cut connection, and nobody there to say whether it had arrived."""
    pair = NativePair(NativeConfig(max_retries=0)).connect().run(0.1)
    session = Session(pair.device, timers=Alarms(), clock=lambda: pair.clock.now)
    path = ReliablePath(session, clock=lambda: pair.clock.now)
    first, second = (path.send(Message(device="d", number=number, payload=b"%d" % number)) for number in (1, 2))
    pair.pump().cut()
    withdrawn = path.withdraw()
    assert [delivery for _, delivery in withdrawn.in_doubt] == [first, second]
    assert withdrawn.given_up == {first}


def test_a_doubt_whose_deadline_passes_takes_older_ones_with_it(make_world: Callable[..., Any]) -> None:
    """The device waits for its attachment; the newer state can't come again, so the older one must not."""
    world = make_world(100.0)
    _, reliable = world.add()
    older, newer = world.send(), world.send(deadline_s=5.0)
    reliable.arrive()
    world.router.detach("d", {"legacy": world.paths["d", "legacy"]})
    world.set(0.0)
    unsent = world.send()
    world.pass_time(4.1)
    assert not older.done
    world.pass_time(1.0)
    assert [older.outcome, newer.outcome] == [Outcome.INDETERMINATE] * 2
    legacy = world.path("d", "legacy")
    world.router.attach("d", {"legacy": legacy})
    assert list(legacy.on_wire) == [3]
    assert unsent.outcome is Outcome.WRITTEN


def test_a_doubt_that_is_overdue_at_the_attachment_takes_older_ones_with_it(make_world: Callable[..., Any]) -> None:
    """The same when nobody has looked at the clock in between."""
    world = make_world(100.0)
    world.add()
    older, newer = world.send(), world.send(deadline_s=5.0)
    world.router.detach("d", {"legacy": world.paths["d", "legacy"]})
    world.set(0.0)
    world.pass_time(4.1)
    world.clock.advance(1.0)
    legacy = world.path("d", "legacy")
    world.router.attach("d", {"legacy": legacy})
    assert not legacy.on_wire
    assert [older.outcome, newer.outcome] == [Outcome.INDETERMINATE] * 2


def test_without_the_watermark_that_was_hoped_for_the_same_order_holds(make_world: Callable[..., Any]) -> None:
    """Taken back for a path with a watermark, given to one without: nothing before the one that must not act twice."""
    world = make_world(100.0)
    _, reliable = world.add(barrier=Barrier.SEQUENCE)
    for in_doubt in (RESEND, REPORT, RESEND):
        world.send(in_doubt=in_doubt)
    reliable.arrive()
    world.router.detach("d", dict(world.router._state.devices["d"].paths))
    legacy = world.path("d", "legacy", Barrier.ACK)
    world.router.attach("d", {"legacy": legacy})
    world.pass_time(0.3)
    assert list(legacy.on_wire) == [3]


def test_what_was_sent_again_stays_in_doubt_where_it_waits_unsent(make_world: Callable[..., Any]) -> None:
    """A second move finds it queued: it has not left by that path, and may have arrived by the one before."""
    world = make_world(100.0)
    _, reliable = world.add(barrier=Barrier.SEQUENCE)
    sent = world.send(in_doubt=REPORT)
    reliable.arrive()
    fresh = _Full(world.clock, world.devices["d"], barrier=Barrier.SEQUENCE)
    world.router.attach("d", {"reliable": fresh})
    assert (fresh.queued, list(fresh.on_wire)) == (1, [])
    world.router.detach("d", dict(world.router._state.devices["d"].paths))
    legacy = world.path("d", "legacy", Barrier.ACK)
    world.router.attach("d", {"legacy": legacy})
    world.pass_time(0.3)
    assert not legacy.on_wire
    assert sent.outcome is Outcome.INDETERMINATE


def test_what_was_in_doubt_stays_so_when_the_new_path_never_wrote_it() -> None:
    """`not_delivered` is said of what has provably not arrived, and the old path may have brought it."""
    outer, inner = Delivery(), Delivery()
    inner.add_done_callback(Relay(outer, resends=1, since=0.0, clock=lambda: 1.0))
    inner.settle(Outcome.NOT_DELIVERED, reason="its deadline passed")
    assert (outer.outcome, outer.reason) == (Outcome.INDETERMINATE, "its deadline passed")
    fresh, unsent = Delivery(), Delivery()
    unsent.add_done_callback(Relay(fresh, resends=0, since=0.0, clock=lambda: 1.0))
    unsent.settle(Outcome.NOT_DELIVERED, reason="its deadline passed")
    assert fresh.outcome is Outcome.NOT_DELIVERED

"""Moves over scripted paths: order, doubt, deadlines, and what the receipt says."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from agt.router import InDoubt, MoveLimits
from agt.transport import Barrier, Outcome


def test_messages_go_straight_through_and_name_their_runtime(world: Any) -> None:
    """At 0 % the legacy path writes; the handle says which runtime it was."""
    legacy, reliable = world.add()
    delivery = world.send()
    assert (delivery.outcome, delivery.runtime) == (Outcome.WRITTEN, "legacy")
    assert list(legacy.on_wire) == [1]
    assert not reliable.on_wire


def test_unattached_device_gets_nothing_and_the_sender_hears_so(world: Any) -> None:
    """No path, no guess: not delivered at once, counted in the totals and in no device's."""
    delivery = world.send("nobody")
    assert (delivery.outcome, delivery.reason) == (Outcome.NOT_DELIVERED, "nobody is not attached")
    assert world.ledger.totals["legacy"].not_delivered == 1
    assert not world.ledger.device("nobody")


def test_idle_device_moves_at_once(world: Any) -> None:
    """With nothing in flight the move is over within the turn that asked for it."""
    world.add()
    receipt = world.set(100.0).receipt()
    assert (receipt.moving, receipt.moved, receipt.resent, receipt.indeterminate) == (0, 1, 0, 0)
    assert receipt.settled_ms is not None
    delivery = world.send()
    assert delivery.runtime == "reliable"
    assert not delivery.done


def test_new_messages_wait_in_order_while_the_old_path_drains(world: Any) -> None:
    """Nothing overtakes what is unanswered on the old path."""
    legacy, reliable = world.add()
    world.send()
    batch = world.set(100.0)
    held = [world.send(), world.send()]
    assert batch.receipt().moving == 1
    assert not reliable.on_wire
    legacy.arrive()
    legacy.answer()
    reliable.arrive()
    assert world.devices["d"].applied == [1, 2, 3]
    reliable.answer()
    assert [(delivery.outcome, delivery.runtime) for delivery in held] == [(Outcome.DELIVERED, "reliable")] * 2
    assert batch.receipt().moving == 0


@pytest.mark.parametrize(
    ("barrier", "in_doubt", "resent", "outcome"),
    [
        (Barrier.SEQUENCE, InDoubt.RESEND, 1, Outcome.WRITTEN),
        (Barrier.SEQUENCE, InDoubt.REPORT, 1, Outcome.WRITTEN),
        (Barrier.ACK, InDoubt.RESEND, 1, Outcome.WRITTEN),
        (Barrier.ACK, InDoubt.REPORT, 0, Outcome.INDETERMINATE),
        (Barrier.HALF_CLOSE, InDoubt.RESEND, 0, Outcome.INDETERMINATE),
        (Barrier.NONE, InDoubt.RESEND, 0, Outcome.INDETERMINATE),
    ],
)
def test_what_is_in_doubt_on_the_way_back_follows_the_barrier(
    make_world: Callable[..., Any], barrier: Barrier, in_doubt: InDoubt, resent: int, outcome: Outcome
) -> None:
    """A written, unanswered message when the drain ends: sent again under its number, or reported."""
    world = make_world(100.0)
    legacy, _ = world.add(barrier=barrier)
    delivery = world.send(in_doubt=in_doubt)
    batch = world.set(0.0)
    world.pass_time(3.9 if barrier is not Barrier.SEQUENCE else 0.9)
    assert not delivery.done
    world.pass_time(0.2)
    receipt = batch.receipt()
    assert (receipt.resent, receipt.indeterminate, receipt.moved) == (resent, 1 - resent, 1)
    assert delivery.outcome is outcome
    assert list(legacy.on_wire) == [1] * resent
    assert delivery.resends == resent
    assert receipt.settled_ms is not None
    assert receipt.settled_ms < 5000


def test_device_with_a_watermark_drops_the_double(make_world: Callable[..., Any]) -> None:
    """On `sequence` a message that had arrived after all is sent again and acted upon once, in order."""
    world = make_world(100.0)
    legacy, reliable = world.add(barrier=Barrier.SEQUENCE)
    world.send()
    world.send()
    world.set(0.0)
    third = world.send()
    reliable.arrive(1)
    world.pass_time(1.1)
    legacy.arrive()
    reliable.arrive()
    assert world.devices["d"].received == [1, 1, 2, 3, 2]
    assert world.devices["d"].applied == [1, 2, 3]
    assert third.outcome is Outcome.WRITTEN


def test_unsent_messages_take_the_new_path_freely(make_world: Callable[..., Any]) -> None:
    """What never left is neither doubted nor counted as sent again, even where doubts are reported."""
    world = make_world(100.0)
    legacy, reliable = world.add(barrier=Barrier.NONE)
    reliable.ready = False
    delivery = world.send(in_doubt=InDoubt.REPORT)
    batch = world.set(0.0)
    world.pass_time(4.1)
    assert delivery.outcome is Outcome.WRITTEN
    assert delivery.runtime == "legacy"
    assert batch.receipt().resent == 0
    assert list(legacy.on_wire) == [1]


def test_unanswered_legacy_tail_is_sent_again_where_the_barrier_allows(world: Any) -> None:
    """The sender was told `written`; the repetition belongs to no handle but is counted."""
    _, reliable = world.add(barrier=Barrier.ACK)
    assert world.send().outcome is Outcome.WRITTEN
    batch = world.set(100.0)
    second = world.send()
    world.pass_time(4.1)
    assert list(reliable.on_wire) == [1, 2]
    reliable.arrive()
    reliable.answer()
    assert second.outcome is Outcome.DELIVERED
    assert batch.receipt().resent == 1
    totals = world.ledger.totals
    assert (totals["legacy"].written, totals["reliable"].delivered, totals["reliable"].resends) == (1, 1, 1)


@pytest.mark.parametrize(("barrier", "in_doubt"), [(Barrier.NONE, InDoubt.RESEND), (Barrier.ACK, InDoubt.REPORT)])
def test_legacy_tail_is_not_repeated_where_nobody_could_tell(world: Any, barrier: Barrier, in_doubt: InDoubt) -> None:
    """Without a barrier, or where the class says report, what was written stays written."""
    _, reliable = world.add(barrier=barrier)
    world.send(in_doubt=in_doubt)
    batch = world.set(100.0)
    world.pass_time(4.1)
    assert not reliable.on_wire
    assert batch.receipt().moved == 1


def test_returning_before_the_drain_ends_keeps_the_old_path(make_world: Callable[..., Any]) -> None:
    """A kill in the middle of a move forward: the device never leaves control, held messages go out in order."""
    world = make_world(0.0)
    legacy, reliable = world.add()
    world.send()
    forward = world.set(100.0)
    held = world.send()
    receipt = world.router.kill("test").receipt()
    assert forward.receipt().moved == 0
    assert receipt.moving == 0
    assert held.runtime == "legacy"
    assert list(legacy.on_wire) == [1, 2]
    assert not reliable.on_wire
    assert world.ledger.totals["reliable"].given_up == 1
    assert world.ledger.totals["reliable"].in_flight == 0


def test_kill_takes_over_a_way_back_that_is_under_way(make_world: Callable[..., Any]) -> None:
    """The second receipt answers for every device that still drains, and the first one ends."""
    world = make_world(100.0)
    world.add("a")
    world.add("b")
    world.send("a")
    first = world.set(0.0)
    world.pass_time(1.0)
    kill = world.router.kill("test")
    assert (first.receipt().moving, first.receipt().moved) == (0, 1)
    assert kill.receipt().moving == 1
    world.pass_time(3.1)
    assert (kill.receipt().moving, kill.receipt().moved) == (0, 1)


def test_going_forward_waits_for_the_candidates_attachment(make_world: Callable[..., Any]) -> None:
    """A veto keeps the device on control; it moves by itself when the attachment is up."""
    world = make_world(100.0)
    legacy, reliable = world.path("d", "legacy"), world.path("d", "reliable", ready=False)
    assert world.router.attach("d", {"legacy": legacy}) == "legacy"
    assert world.router.explain("d").reason == "no candidate attachment"
    world.router.attach("d", {"reliable": reliable})
    world.pass_time(0.3)
    assert world.router.runtime_of("d") == "legacy"
    reliable.connect()
    world.pass_time(0.3)
    assert world.router.runtime_of("d") == "reliable"


def test_going_back_holds_messages_until_the_legacy_attachment_is_there(make_world: Callable[..., Any]) -> None:
    """Settled does not wait for it; the messages do, and those past their deadline are not delivered."""
    world = make_world(100.0)
    world.router.attach("d", {"reliable": world.path("d", "reliable")})
    receipt = world.set(0.0).receipt()
    assert receipt.settled_ms is not None
    short, long = world.send(deadline_s=1.0), world.send(deadline_s=10.0)
    world.pass_time(1.1)
    assert short.outcome is Outcome.NOT_DELIVERED
    assert "waited for an attachment" in short.reason
    assert world.router.status().moves.waiting == 1
    legacy = world.path("d", "legacy")
    world.router.attach("d", {"legacy": legacy})
    assert long.outcome is Outcome.WRITTEN
    assert list(legacy.on_wire) == [2]


def test_candidate_that_drops_its_connection_keeps_the_device(make_world: Callable[..., Any]) -> None:
    """The session resumes; only a route change or a detached path takes the device back."""
    world = make_world(100.0)
    _, reliable = world.add()
    reliable.ready = False
    world.pass_time(5.0)
    assert world.router.runtime_of("d") == "reliable"
    world.set(50.0, cohort=("d",))
    assert world.router.runtime_of("d") == "reliable"


def test_detached_candidate_path_sends_the_device_to_control(make_world: Callable[..., Any]) -> None:
    """The path is settled at once, since nobody listens to it any more."""
    world = make_world(100.0)
    legacy, reliable = world.add(barrier=Barrier.ACK)
    delivery = world.send()
    world.router.detach("d", {"reliable": reliable})
    assert delivery.outcome is Outcome.WRITTEN
    assert list(legacy.on_wire) == [1]
    assert world.router.runtime_of("d") == "legacy"


def test_replaced_path_hands_over_what_it_had(make_world: Callable[..., Any]) -> None:
    """A new path for the same runtime takes over the unsettled messages of the old one."""
    world = make_world(100.0)
    world.add(barrier=Barrier.SEQUENCE)
    delivery = world.send()
    fresh = world.path("d", "reliable", Barrier.SEQUENCE)
    world.router.attach("d", {"reliable": fresh})
    assert list(fresh.on_wire) == [1]
    fresh.answer()
    assert delivery.outcome is Outcome.DELIVERED
    assert world.router.runtime_of("d") == "reliable"


def test_device_that_dials_again_keeps_its_messages(make_world: Callable[..., Any]) -> None:
    """Its connection drops with a message in doubt and one held; both go out when it is back, on its own runtime."""
    world = make_world(100.0)
    old = dict(zip(("legacy", "reliable"), world.add(barrier=Barrier.ACK), strict=True))
    doubted = world.send()
    world.router.detach("d", old)
    held = world.send()
    world.pass_time(2.6)
    assert [doubted.done, held.done] == [False, False]
    fresh = {name: world.path("d", name) for name in old}
    world.router.attach("d", fresh)
    world.router.detach("d", old)
    assert list(fresh["reliable"].on_wire) == [1, 2]
    fresh["reliable"].answer()
    assert (doubted.outcome, doubted.runtime, doubted.resends) == (Outcome.DELIVERED, "reliable", 1)
    assert held.outcome is Outcome.DELIVERED


def test_device_that_stays_away_is_forgotten(world: Any) -> None:
    """What is remembered about absent devices is bounded in time."""
    old = dict(zip(("legacy", "reliable"), world.add(), strict=True))
    world.router.detach("d", old)
    world.pass_time(599.0)
    assert world.router.runtime_of("d") == "legacy"
    world.pass_time(2.0)
    assert world.router.runtime_of("d") is None


def test_device_that_leaves_altogether_ends_every_message(make_world: Callable[..., Any]) -> None:
    """Written is in doubt, held was never sent; then nothing of the device is left."""
    world = make_world(100.0)
    world.add()
    written = world.send()
    world.set(0.0)
    held = world.send()
    world.router.detach("d")
    assert written.outcome is Outcome.INDETERMINATE
    assert held.outcome is Outcome.NOT_DELIVERED
    assert world.router.runtime_of("d") is None
    assert world.router.status().moves.moving == 0
    assert all(counts.in_flight == 0 for counts in world.ledger.totals.values())


def test_held_messages_are_bounded(make_world: Callable[..., Any]) -> None:
    """The hundred-and-first is refused at once, and the others still go out in order."""
    world = make_world(100.0, limits=MoveLimits(held_max=3))
    _, reliable = world.add()
    world.send()
    world.set(0.0)
    held = [world.send() for _ in range(4)]
    assert [delivery.outcome for delivery in held] == [None, None, None, Outcome.NOT_DELIVERED]
    assert "3 messages wait" in held[3].reason
    reliable.arrive()
    reliable.answer()
    assert [delivery.outcome for delivery in held[:3]] == [Outcome.WRITTEN] * 3


def test_deadline_runs_on_while_a_message_changes_paths(make_world: Callable[..., Any]) -> None:
    """A message in doubt whose sender has stopped waiting is not sent again."""
    world = make_world(100.0)
    legacy, _ = world.add(barrier=Barrier.ACK)
    delivery = world.send(deadline_s=2.0)
    world.set(0.0)
    world.pass_time(4.1)
    assert delivery.outcome is Outcome.INDETERMINATE
    assert not legacy.on_wire


def test_ten_thousand_devices_are_routed_back_in_one_turn(make_world: Callable[..., Any]) -> None:
    """When `kill` returns, no device's new message enters the candidate; not one call-back was needed for that."""
    world = make_world(100.0)
    for number in range(10_000):
        world.add(f"device-{number}")
    for number in range(0, 10_000, 10):
        world.send(f"device-{number}")
    before = {key: len(path.on_wire) for key, path in world.paths.items()}
    batch = world.router.kill("test")
    after_kill = [world.send(f"device-{number}") for number in range(10_000)]
    for (name, runtime), path in world.paths.items():
        if runtime == "reliable":
            assert len(path.on_wire) == before[name, runtime]
    assert sum(delivery.done for delivery in after_kill) == 9_000
    assert (batch.receipt().moving, batch.receipt().moved) == (1_000, 9_000)
    assert batch.receipt().routed_ms is not None
    world.pass_time(4.1)
    receipt = batch.receipt()
    assert (receipt.moving, receipt.moved, receipt.resent) == (0, 10_000, 1_000)
    assert all(delivery.outcome is Outcome.WRITTEN for delivery in after_kill)
    assert world.router.status().runtimes["legacy"].devices == 10_000


async def test_receipt_can_be_awaited(make_world: Callable[..., Any]) -> None:
    """`settled` returns once the last old path has been settled, at once when it has been."""
    world = make_world(100.0)
    _, reliable = world.add()
    world.send()
    batch = world.set(0.0)
    reliable.answer()
    assert (await batch.settled()).moved == 1


def test_a_file_that_repeats_a_request_leaves_its_receipt_alone(make_world: Callable[..., Any]) -> None:
    """Going back is told over the socket first and written to the file after: still one change, with one count."""
    world = make_world(100.0)
    for name in "abc":
        world.add(name)
    world.send("a")
    batch = world.set(0.0)
    written = dataclasses.replace(world.source.read(), selector=world.router.selector)
    assert world.router.observe(written) == ""
    assert (batch.receipt().moving, batch.receipt().moved) == (1, 2)
    world.pass_time(4.1)
    assert world.router.status().moves.moved == 3


def test_a_selector_taken_away_by_a_kill_leaves_the_receipt_alone(make_world: Callable[..., Any]) -> None:
    """The kill renames the selector aside; that it is gone then is no second change."""
    world = make_world(100.0)
    for name in "abc":
        world.add(name)
    world.send("a")
    world.router.kill("test")
    world.router.observe(world.source.read())
    world.pass_time(4.1)
    assert world.router.status().moves.moved == 3


def test_a_killed_selector_put_back_unchanged_routes_again(make_world: Callable[..., Any]) -> None:
    """Though it says what was applied before the kill, it is a change now."""
    world = make_world(100.0)
    world.add()
    before = world.source.read()
    world.router.kill("test")
    world.router.observe(world.source.read())
    assert world.router.runtime_of("d") == "legacy"
    world.router.observe(before)
    world.pass_time(0.3)
    assert world.router.runtime_of("d") == "reliable"

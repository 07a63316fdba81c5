"""A session on its own: what it promises to senders and receivers, over the smallest honest link."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import anyio
import pytest

from agt.transport import (
    Closed,
    Delivery,
    MessageTooLarge,
    Outcome,
    Overflow,
    QueueFull,
    ReceivedMessage,
    Session,
    Timers,
    TransportMetrics,
    UsageError,
)
from agt.transport.testing import PlainLink, memory_streams

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def connected(
    left: Session, right: Session, *, rng: Random | None = None, cut_after: float = math.inf
) -> AsyncIterator[None]:
    """Carry two sessions over one connection in memory, opened on both sides."""
    ours, theirs = memory_streams(rng=rng, cut_after=cut_after)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(left.run, ours)
        tasks.start_soon(right.run, theirs)
        with anyio.fail_after(5):
            while not (left.connected and right.connected):
                await anyio.lowlevel.checkpoint()
        yield
        tasks.cancel_scope.cancel()


def echo(message: ReceivedMessage) -> None:
    """Process a message by doing nothing with it."""


async def test_a_sent_message_is_delivered_when_the_handler_has_returned():
    """The handle is true, carries its latency, and the handler saw the payload."""
    seen: list[bytes] = []
    controller = Session(PlainLink("controller"))
    device = Session(PlainLink("device"), on_message=lambda message: seen.append(message.payload))
    async with connected(controller, device):
        delivery = await controller.send_nowait(b"set 1 5")
    assert (bool(delivery), delivery.outcome, seen) == (True, Outcome.DELIVERED, [b"set 1 5"])
    assert delivery.latency_s > 0
    assert (controller.peer, device.peer) == ("device", "controller")


async def test_a_queued_message_is_not_delivered_before_it_is_acknowledged():
    """Handing a message out is not processing it."""
    controller, device = Session(PlainLink()), Session(PlainLink())
    async with connected(controller, device):
        delivery = controller.send_nowait(b"x")
        message = await device.receive()
        assert not delivery.done
        message.ack()
        message.ack()
        assert await delivery
    assert message.answered


async def test_a_refused_message_is_not_delivered_and_says_why():
    """The code of the refusal reaches the sender."""
    controller, device = Session(PlainLink()), Session(PlainLink())
    async with connected(controller, device):
        delivery = controller.send_nowait(b"x")
        (await device.receive()).refuse("malformed")
        await delivery
    assert (delivery.outcome, delivery.reason) == (Outcome.NOT_DELIVERED, "malformed")


async def test_a_handler_that_raises_refuses_the_message_and_keeps_the_session(caplog):
    """One bad message must not take the session down."""

    def handle(message: ReceivedMessage) -> None:
        if message.payload == b"bad":
            raise RuntimeError("cannot")

    controller, device = Session(PlainLink()), Session(PlainLink(), on_message=handle)
    async with connected(controller, device):
        bad = await controller.send_nowait(b"bad")
        good = await controller.send_nowait(b"good")
    assert (bad.outcome, bad.reason, bool(good)) == (Outcome.NOT_DELIVERED, "rejected", True)
    assert "handler failed" in caplog.text


async def test_a_deferred_message_is_answered_later():
    """A handler may return before the work is done, if it says so."""
    kept: list[ReceivedMessage] = []

    def keep(message: ReceivedMessage) -> None:
        message.defer()
        kept.append(message)

    controller, device = Session(PlainLink()), Session(PlainLink(), on_message=keep)
    async with connected(controller, device):
        delivery = controller.send_nowait(b"x")
        while not kept:
            await anyio.lowlevel.checkpoint()
        assert not delivery.done
        kept[0].ack()
        assert await delivery


async def test_order_is_kept_over_a_connection_that_slices_everything():
    """Bytes cut anywhere change nothing."""
    seen: list[bytes] = []
    controller = Session(PlainLink(send_queue_max=500))
    device = Session(PlainLink(), on_message=lambda message: seen.append(message.payload))
    async with connected(controller, device, rng=Random(7)):
        deliveries = [controller.send_nowait(b"%d" % number) for number in range(300)]
        for delivery in deliveries:
            assert await delivery
    assert seen == [b"%d" % number for number in range(300)]


@pytest.mark.parametrize("cut_after", [1, 17, 100, 1000, 3000])
async def test_connections_cut_in_mid_flight_lose_and_double_nothing(cut_after: int):
    """Whatever byte the connection breaks at, each message is handed over once, in order."""
    seen: list[bytes] = []
    controller = Session(PlainLink(send_queue_max=500, window=20))
    device = Session(PlainLink(), on_message=lambda message: seen.append(message.payload))
    deliveries = [controller.send_nowait(b"%03d" % number) for number in range(200)]
    rounds = 0
    while not all(delivery.done for delivery in deliveries):
        ours, theirs = memory_streams(rng=Random(cut_after + rounds), cut_after=cut_after if rounds < 20 else math.inf)
        rounds += 1
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(device.run, theirs)
            controller.on_quiet(tasks.cancel_scope.cancel)
            await controller.run(ours)
            tasks.cancel_scope.cancel()
    assert seen == [b"%03d" % number for number in range(200)]
    assert all(deliveries)
    assert rounds > 1


async def test_a_message_without_a_connection_ends_at_its_deadline_as_not_delivered():
    """Deadlines pass without a connection too: what was never written provably did not arrive."""
    timers = Timers()
    session = Session(PlainLink(), timers=timers)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        delivery = await session.send_nowait(b"x", deadline_s=0.02)
        tasks.cancel_scope.cancel()
    assert (delivery.outcome, delivery.reason) == (Outcome.NOT_DELIVERED, "deadline")


async def test_a_written_message_ends_at_its_deadline_though_the_socket_is_stalled():
    """A peer that reads nothing can't hold up the settling of handles."""
    session = Session(PlainLink(window=1000, send_queue_max=1000))
    ours, theirs = memory_streams(buffered=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run, ours)
        await theirs.send(PlainLink("mute")._frame(0, 0, b"mute"))
        while not session.connected:
            await anyio.lowlevel.checkpoint()
        deliveries = [session.send_nowait(bytes(5000), deadline_s=0.05) for _ in range(20)]
        with anyio.fail_after(5):
            for delivery in deliveries:
                await delivery
        await theirs.aclose()
        tasks.cancel_scope.cancel()
    assert {delivery.outcome for delivery in deliveries} <= {Outcome.INDETERMINATE, Outcome.NOT_DELIVERED}
    assert Outcome.INDETERMINATE in {delivery.outcome for delivery in deliveries}


async def test_a_full_queue_refuses_by_default():
    """REJECT raises and counts; what was accepted is kept."""
    metrics = TransportMetrics("v5")
    session = Session(PlainLink(send_queue_max=2), metrics=metrics)
    kept = [session.send_nowait(b"a"), session.send_nowait(b"b")]
    with pytest.raises(QueueFull) as caught:
        session.send_nowait(b"c")
    assert (caught.value.limit, metrics.queue_full, session.queued) == (2, 1, 2)
    assert not any(delivery.done for delivery in kept)


async def test_drop_oldest_gives_up_the_oldest_unwritten_message():
    """The newest status is the one that matters; the one that gave way is told so at once."""
    session = Session(PlainLink(send_queue_max=2), overflow=Overflow.DROP_OLDEST)
    first, second, third = (session.send_nowait(payload) for payload in (b"a", b"b", b"c"))
    assert (first.outcome, second.done, third.done) == (Outcome.NOT_DELIVERED, False, False)
    assert session.queued == 2


async def test_drop_oldest_never_drops_what_has_been_written():
    """What is in flight keeps its place: only messages that never left give way."""
    controller = Session(PlainLink(send_queue_max=2, window=1), overflow=Overflow.DROP_OLDEST)
    device = Session(PlainLink())
    async with connected(controller, device):
        written = controller.send_nowait(b"written")
        message = await device.receive()
        queued = [controller.send_nowait(payload) for payload in (b"b", b"c", b"d")]
        assert [delivery.done for delivery in queued] == [True, False, False]
        message.ack()
        assert await written


async def test_block_waits_for_room_and_serves_senders_in_order():
    """Blocked senders come in one by one as the queue empties."""
    controller = Session(PlainLink(send_queue_max=1, window=1), overflow=Overflow.BLOCK)
    device = Session(PlainLink())
    async with connected(controller, device), anyio.create_task_group() as tasks:
        for payload in (b"a", b"b", b"c", b"d", b"e"):
            tasks.start_soon(controller.send, payload)
        received: list[bytes] = []
        while len(received) < 5:
            message = await device.receive()
            received.append(message.payload)
            message.ack()
    assert sorted(received) == [b"a", b"b", b"c", b"d", b"e"]


async def test_block_gives_up_at_the_message_s_own_deadline():
    """A queue that stays full ends the wait, as an outcome and not as an exception."""
    session = Session(PlainLink(send_queue_max=1), overflow=Overflow.BLOCK)
    session.send_nowait(b"a")
    delivery = await session.send(b"b", deadline_s=0.02)
    assert (delivery.outcome, "stayed full" in delivery.reason) == (Outcome.NOT_DELIVERED, True)


async def test_a_message_over_the_wire_s_limit_is_refused_before_it_is_accepted():
    """Nothing is queued for it."""
    session = Session(PlainLink())
    with pytest.raises(MessageTooLarge):
        session.send_nowait(bytes(70_000))
    assert session.queued == 0


async def test_cancel_ends_a_message_early_as_what_is_known():
    """Unwritten: not delivered. Cancelling again changes nothing."""
    session = Session(PlainLink())
    delivery = session.send_nowait(b"a")
    session.cancel(delivery)
    session.cancel(delivery)
    assert (delivery.outcome, delivery.reason) == (Outcome.NOT_DELIVERED, "cancelled")


async def test_withdraw_gives_back_open_handles_split_by_what_is_known():
    """Written and unwritten messages are told apart, in order, and none is settled."""
    controller, device = Session(PlainLink(window=2)), Session(PlainLink())
    async with connected(controller, device):
        deliveries = [controller.send_nowait(payload) for payload in (b"a", b"b", b"c", b"d")]
        await device.receive()
        taken = controller.withdraw()
    assert (taken.in_doubt, taken.unsent) == (tuple(deliveries[:2]), tuple(deliveries[2:]))
    assert not any(delivery.done for delivery in deliveries)
    assert (controller.in_flight, controller.queued) == (0, 0)


async def test_on_quiet_fires_once_when_everything_is_settled():
    """Quiet means nothing queued, in flight or unanswered; asking while quiet answers at once."""
    calls: list[str] = []
    controller, device = Session(PlainLink()), Session(PlainLink(), on_message=echo)
    controller.on_quiet(lambda: calls.append("before"))
    assert calls == ["before"]
    async with connected(controller, device):
        delivery = controller.send_nowait(b"x")
        controller.write_nowait(b"y")
        controller.on_quiet(lambda: calls.append("after"))
        assert calls == ["before"]
        assert await delivery
        with anyio.fail_after(5):
            while len(calls) < 2:
                await anyio.lowlevel.checkpoint()
        assert (controller.in_flight, controller.unanswered) == (0, 0)
        assert await controller.send_nowait(b"z")
    assert calls == ["before", "after"]


async def test_a_legacy_write_settles_at_once_and_its_reply_is_observed():
    """The sender learns `written`; the reply is counted for the control runtime only."""
    control, candidate = TransportMetrics("v4"), TransportMetrics("v5")
    controller = Session(PlainLink(), metrics=candidate, written_metrics=control)
    device = Session(PlainLink(), on_message=echo)
    async with connected(controller, device):
        delivery = controller.write_nowait(b"x")
        assert delivery.outcome is Outcome.WRITTEN
        assert controller.unanswered_writes() == (delivery,)
        with anyio.fail_after(5):
            while controller.unanswered:
                await anyio.lowlevel.checkpoint()
    assert (control.observed_replies, control.outcomes[Outcome.WRITTEN]) == (1, 1)
    assert sum(control.latency_counts) == 1
    assert (candidate.observed_replies, candidate.accepted) == (0, 0)


async def test_a_legacy_write_without_a_connection_is_not_delivered():
    """Nothing pretends to have been written."""
    session = Session(PlainLink())
    assert session.write_nowait(b"x").reason == "no connection"


async def test_legacy_writes_to_a_stalled_socket_are_bounded():
    """A peer that reads nothing costs a limited number of writes, and the rest is refused in words."""
    session = Session(PlainLink(), write_queue_max=3)
    ours, theirs = memory_streams(buffered=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run, ours)
        await theirs.send(PlainLink("mute")._frame(0, 0, b"mute"))
        while not session.connected:
            await anyio.lowlevel.checkpoint()
        outcomes = []
        for _ in range(40):
            outcomes.append(session.write_nowait(bytes(5000)).outcome)
            await anyio.lowlevel.checkpoint()
        await theirs.aclose()
        tasks.cancel_scope.cancel()
    assert outcomes.count(Outcome.WRITTEN) < 20
    assert outcomes[-1] is Outcome.NOT_DELIVERED
    assert session.metrics.queue_full == outcomes.count(Outcome.NOT_DELIVERED)


async def test_writes_and_sends_keep_their_order_on_one_connection():
    """Both ways share one stream, so what was written first arrives first."""
    seen: list[bytes] = []
    controller = Session(PlainLink(send_queue_max=100))
    device = Session(PlainLink(), on_message=lambda message: seen.append(message.payload))
    async with connected(controller, device):
        for _ in range(5):
            controller.write_nowait(b"w")
            await controller.flush()
            await controller.send_nowait(b"s")
    assert seen == [b"w", b"s"] * 5


async def test_a_wire_without_a_legacy_way_says_so():
    """Asking for what the wire can't do is our caller's mistake, named."""

    class Narrow:
        def __init__(self) -> None:
            self._link = PlainLink()
            self.traits = self._link.traits

    with pytest.raises(UsageError, match="no legacy way"):
        Session(Narrow()).write_nowait(b"x")


async def test_a_peer_that_sends_nonsense_loses_its_connection_and_nothing_else_happens():
    """The session says who is to blame and can be carried again."""
    session = Session(PlainLink())
    ours, theirs = memory_streams()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(theirs.send, b"\xff" * 40)
        dropped = await session.run(ours)
        await theirs.aclose()
        tasks.cancel_scope.cancel()
    assert (dropped.culprit, dropped.final, session.connected) == ("peer", False, False)
    device = Session(PlainLink(), on_message=echo)
    async with connected(session, device):
        assert await session.send_nowait(b"x")


async def test_a_newer_connection_takes_over_from_the_older_one():
    """The older carrier ends at once and never touches the link again."""
    controller, device = Session(PlainLink()), Session(PlainLink(), on_message=echo)
    ends: list[str] = []
    first, first_peer = memory_streams()
    second, second_peer = memory_streams()

    async def run_first() -> None:
        ends.append((await controller.run(first)).reason)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_first)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(controller.run, second)
        tasks.start_soon(device.run, second_peer)
        await anyio.wait_all_tasks_blocked()
        assert await controller.send_nowait(b"x")
        assert ends == ["a newer connection of the same peer took over"]
        await first_peer.aclose()
        tasks.cancel_scope.cancel()


async def test_a_closed_session_settles_everything_and_refuses_more():
    """Unwritten is not delivered, written is indeterminate, receivers wake up."""
    controller, device = Session(PlainLink(window=1)), Session(PlainLink())
    async with connected(controller, device):
        deliveries = [controller.send_nowait(b"a"), controller.send_nowait(b"b")]
        await device.receive()
        controller.close("done with it")
        assert [delivery.outcome for delivery in deliveries] == [Outcome.INDETERMINATE, Outcome.NOT_DELIVERED]
        with pytest.raises(Closed, match="done with it"):
            controller.send_nowait(b"c")
        with pytest.raises(Closed):
            await controller.receive()


async def test_reading_pauses_while_the_application_is_behind():
    """No more than the limit and one read waits for the application, however much the peer sends."""
    controller = Session(PlainLink(send_queue_max=5000, window=5000))
    device = Session(PlainLink(), recv_queue_max=10)
    async with connected(controller, device):
        deliveries = [controller.send_nowait(bytes(1000)) for _ in range(1000)]
        await anyio.wait_all_tasks_blocked()
        assert 10 < device.waiting < 100
        for _ in deliveries:
            (await device.receive()).ack()
        for delivery in deliveries:
            assert await delivery


async def test_batches_hold_what_has_arrived_and_no_more_than_asked():
    """`receive_batch` waits for the first message only."""
    controller, device = Session(PlainLink()), Session(PlainLink())
    async with connected(controller, device):
        for number in range(10):
            controller.send_nowait(b"%d" % number)
        batch = await device.receive_batch(4)
        while len(batch) < 10:
            batch += await device.receive_batch(4)
    assert [message.payload for message in batch] == [b"%d" % number for number in range(10)]


async def test_gauges_count_what_is_slow_now():
    """In flight longer than a limit counts before its answer comes."""
    metrics = TransportMetrics("v5")
    controller, device = Session(PlainLink(), metrics=metrics), Session(PlainLink())
    async with connected(controller, device):
        delivery: Delivery = controller.send_nowait(b"x")
        message = await device.receive()
        with anyio.move_on_after(0.03):
            await delivery
        assert metrics.in_flight_older_than((0.01, 5.0)) == [1, 0]
        assert controller.oldest_in_flight_s() >= 0.01
        message.ack()
        await delivery
        assert metrics.in_flight_older_than((0.01, 5.0)) == [0, 0]

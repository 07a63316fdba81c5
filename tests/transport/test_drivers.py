"""What every driver owes its users: one set of scenarios, written once, for all of them. Here: messages.

A scenario is a plain function that gets a driver and real sockets; how drivers come to look alike is `support`'s
business (`driver_harness`). `test_driver_connections` has the other half.
What only one driver has is tested beside it; what a wire owes every driver is `test_conformance`.
"""

import socket
import threading

import pytest

from agt.transport import (
    Closed,
    MessageTooLarge,
    Outcome,
    Overflow,
    QueueFull,
    ReceivedMessage,
    TCPConnection,
)
from support.driver_harness import Driver, until
from support.scenes import but, closed_by_peer, talking, towards, unused_port

# Delivery


def test_a_message_counts_as_delivered_once_it_was_processed_and_not_before(driver: Driver) -> None:
    """The acknowledgement is the application's, in both directions."""
    with talking(driver) as (device, controller):
        for sender, receiver in ((device, controller), (controller, device)):
            sent = sender.send(b"set 1 5")
            taken = receiver.take()
            assert (taken.payload, sent.done) == (b"set 1 5", False)
            taken.ack()
            assert sent.ended() is Outcome.DELIVERED


def test_a_handler_that_returns_has_processed_its_message(driver: Driver) -> None:
    """Nobody has to call anything."""
    handed: list[bytes] = []
    with talking(driver, on_message=lambda message: handed.append(message.payload)) as (device, _):
        assert device.send_reliable(b"x").ended() is Outcome.DELIVERED
    assert handed == [b"x"]


def test_a_refusal_reaches_the_sender_in_words(driver: Driver) -> None:
    """By the application, and by a handler that fails."""

    def fail(message: ReceivedMessage) -> None:
        raise ValueError(message)

    with talking(driver) as (device, controller):
        sent = device.send(b"x")
        controller.take().refuse("malformed")
        assert sent.ended() is Outcome.NOT_DELIVERED
        assert "malformed" in sent.reason
    with talking(driver, on_message=fail) as (device, _):
        sent = device.send_reliable(b"x")
        assert (sent.ended(), "rejected" in sent.reason) == (Outcome.NOT_DELIVERED, True)


def test_a_handler_that_is_busy_gets_the_message_again_and_in_order(driver: Driver) -> None:
    """What came behind it waits too; nobody is handed anything twice that was processed."""
    handed: list[bytes] = []
    tries: list[bytes] = []

    def handle(message: ReceivedMessage) -> None:
        tries.append(message.payload)
        if tries.count(b"3") == 1 and message.payload == b"3":
            message.refuse("busy", retry_after_s=0.05)
        else:
            handed.append(message.payload)

    with talking(driver, on_message=handle) as (device, _):
        sent = [device.send(b"%d" % number) for number in range(8)]
        assert {each.ended() for each in sent} == {Outcome.DELIVERED}
    assert handed == [b"%d" % number for number in range(8)]
    assert tries.count(b"3") == 2


def test_a_handler_can_defer_its_answer(driver: Driver) -> None:
    """Returning is not an acknowledgement then; the answer comes from another thread later."""
    kept: list[ReceivedMessage] = []

    def keep(message: ReceivedMessage) -> None:
        message.defer()
        kept.append(message)

    with talking(driver, on_message=keep) as (device, _):
        sent = device.send(b"x", deadline_s=0.3)
        assert sent.ended() is Outcome.INDETERMINATE
        assert len(kept) == 1


def test_many_small_messages_arrive_once_and_in_order(driver: Driver) -> None:
    """Whatever was gathered on the way."""
    handed: list[bytes] = []
    with talking(driver, on_message=lambda message: handed.append(message.payload)) as (device, _):
        sent = [device.send(b"%d" % number) for number in range(900)]
        assert {each.ended() for each in sent} == {Outcome.DELIVERED}
    assert handed == [b"%d" % number for number in range(900)]


def test_batches_are_taken_and_answered(driver: Driver) -> None:
    """What has arrived comes at once, and each is answered for itself."""
    with talking(driver) as (device, controller):
        sent = [device.send(b"%d" % number) for number in range(50)]
        taken = []
        while len(taken) < 50:
            taken += controller.take_batch(20)
        assert [each.payload for each in taken] == [b"%d" % number for number in range(50)]
        for number, each in enumerate(taken):
            each.refuse("rejected") if number % 2 else each.ack()
        outcomes = [each.ended() for each in sent]
        assert outcomes == [Outcome.DELIVERED, Outcome.NOT_DELIVERED] * 25


def test_a_message_at_the_limit_goes_and_one_byte_more_does_not(driver: Driver) -> None:
    """The limit is the wire's, the error names both sizes, and the connection doesn't suffer."""
    handed: list[bytes] = []
    with talking(driver, on_message=lambda message: handed.append(message.payload)) as (device, _):
        with pytest.raises(MessageTooLarge) as error:
            device.send(bytes(1 << 24))
        limit = error.value.limit
        largest = b"\xa5" * limit
        assert device.send_reliable(largest).ended() is Outcome.DELIVERED
        with pytest.raises(MessageTooLarge):
            device.send(largest + b"!")
        assert device.send_reliable(b"after").ended() is Outcome.DELIVERED
    assert handed == [largest, b"after"]


def test_several_devices_are_served_at_once(driver: Driver) -> None:
    """Each has a session of its own, and what they send is not mixed up."""
    with driver.listen() as listening:
        names = [f"device-{number}" for number in range(5)]
        with (
            driver.dial(towards(listening), name=names[0]) as a,
            driver.dial(towards(listening), name=names[1]) as b,
            driver.dial(towards(listening), name=names[2]) as c,
        ):
            for name, device in zip(names, (a, b, c), strict=False):
                sent = device.send(name.encode())
                taken = listening.peer(name).take()
                taken.ack()
                assert (taken.payload, sent.ended()) == (name.encode(), Outcome.DELIVERED)
            assert sorted(listening.names) == names[:3]


# Ends


def test_without_a_peer_a_message_ends_at_its_deadline_as_not_delivered(driver: Driver) -> None:
    """What was never written provably did not arrive; the wait is the deadline's."""
    with driver.dial(TCPConnection("127.0.0.1", unused_port())) as device:
        assert device.send_reliable(b"x", deadline_s=0.05).ended() is Outcome.NOT_DELIVERED
        until(lambda: "refused" in device.last_error)


def test_a_message_that_is_never_processed_is_indeterminate_at_its_deadline(driver: Driver) -> None:
    """Written, handed over, not answered: nobody can know."""
    with talking(driver) as (device, _):
        assert device.send_reliable(b"x", deadline_s=0.2).ended() is Outcome.INDETERMINATE


def test_a_cancelled_message_ends_early(driver: Driver) -> None:
    """At once while it is queued; as what the receiver says when it was written, and long before its deadline."""
    with driver.dial(TCPConnection("127.0.0.1", unused_port())) as device:
        queued = device.send(b"x", deadline_s=60)
        device.cancel(queued)
        assert queued.ended() is Outcome.NOT_DELIVERED
        assert device.queued == 0
    with talking(driver) as (device, controller):
        written = device.send(b"y", deadline_s=60)
        taken = controller.take()
        device.cancel(written)
        taken.ack()
        assert written.ended() is Outcome.DELIVERED


def test_closing_settles_what_is_left(driver: Driver) -> None:
    """Never written is not delivered, written and not answered is indeterminate; using what is closed is an error."""
    config = but(close_timeout_s=0.05, in_flight_max=1)
    with driver.listen(config=config) as listening, driver.dial(towards(listening), config=config) as device:
        written = device.send(b"written")
        listening.peer("device").take()
        queued = device.send(b"queued")
    assert (written.ended(), queued.ended()) == (Outcome.INDETERMINATE, Outcome.NOT_DELIVERED)
    assert "closed" in queued.reason
    with pytest.raises(Closed):
        device.send(b"late")
    with pytest.raises(Closed):
        device.take()


def test_acknowledgements_given_just_before_leaving_are_not_lost(driver: Driver) -> None:
    """Closing waits a moment for what is still to be written."""
    with driver.listen() as listening:
        with driver.dial(towards(listening)) as device:
            sent = listening.peer("device").send(b"x")
            device.take().ack()
        assert sent.ended() is Outcome.DELIVERED


# Limits


def test_a_receiver_that_stalls_slows_its_sender_down(driver: Driver) -> None:
    """No more in flight than the receiver granted, the rest waits at the sender, and nothing is lost of it."""
    config = but(recv_queue_max=5)
    with driver.listen(config=config) as listening, driver.dial(towards(listening)) as device:
        device.wait_connected()
        controller = listening.peer("device")
        sent = [device.send(b"%d" % number) for number in range(50)]
        until(lambda: device.in_flight == 5)
        assert device.queued == 45
        for number in range(50):
            taken = controller.take()
            assert taken.payload == b"%d" % number
            taken.ack()
        assert {each.ended() for each in sent} == {Outcome.DELIVERED}


def test_reject_tells_the_caller_at_once(driver: Driver) -> None:
    """A full queue is the caller's to handle; the limit is named."""
    config = but(send_queue_max=2, overflow=Overflow.REJECT)
    with driver.dial(TCPConnection("127.0.0.1", unused_port()), config=config) as device:
        device.send(b"a")
        device.offer(b"b")
        for send in (device.send, device.offer, device.send_reliable):
            with pytest.raises(QueueFull, match="2 messages"):
                send(b"c")
        assert device.metrics.queue_full == 3


def test_drop_oldest_lets_the_oldest_unwritten_give_way(driver: Driver) -> None:
    """It ends as not delivered; the newest are kept."""
    config = but(send_queue_max=2, overflow=Overflow.DROP_OLDEST)
    with driver.dial(TCPConnection("127.0.0.1", unused_port()), config=config) as device:
        sent = [device.send(b"%d" % number) for number in range(4)]
        assert [each.ended() for each in sent[:2]] == [Outcome.NOT_DELIVERED] * 2
        assert not any(each.done for each in sent[2:])


def test_block_waits_for_room_and_no_longer_than_the_deadline(driver: Driver) -> None:
    """Room comes when the receiver takes; without it the message ends as not delivered, and nobody waits for ever."""
    config = but(send_queue_max=2, recv_queue_max=1, overflow=Overflow.BLOCK)
    with talking(driver, config) as (device, controller):
        sent = [device.offer(b"%d" % number) for number in range(3)]
        until(lambda: (device.in_flight, device.queued) == (1, 2))
        with pytest.raises(QueueFull):
            device.send(b"never waits")
        late = device.offer(b"too late", deadline_s=0.05)
        assert (late.ended(), "full" in late.reason) == (Outcome.NOT_DELIVERED, True)
        waiting: list[object] = []
        thread = threading.Thread(target=lambda: waiting.append(device.offer(b"3")))
        thread.start()
        for number in range(4):
            taken = controller.take()
            assert taken.payload == b"%d" % number
            taken.ack()
        thread.join(5)
        assert {each.ended() for each in (*sent, *waiting)} == {Outcome.DELIVERED}


def test_one_connection_too_many_is_closed_at_once(driver: Driver) -> None:
    """The number of connections is bounded, and those that are there go on."""
    with (
        driver.listen(on_message=lambda _: None, max_connections=1) as listening,
        driver.dial(towards(listening)) as device,
    ):
        device.wait_connected()
        with socket.create_connection(("127.0.0.1", listening.port)) as stranger:
            assert closed_by_peer(stranger)
        assert device.send_reliable(b"y").ended() is Outcome.DELIVERED


# Counting


def test_both_ends_count_the_same(driver: Driver) -> None:
    """Accepted, delivered, received: the numbers of a quiet pair agree."""
    with driver.listen(on_message=lambda _: None) as listening, driver.dial(towards(listening)) as device:
        for _ in range(20):
            assert device.send_reliable(b"x").ended() is Outcome.DELIVERED
        metrics = device.metrics
        assert (metrics.accepted, metrics.outcomes[Outcome.DELIVERED], metrics.acks_received) == (20, 20, 20)
        assert (listening.metrics.received, sum(metrics.latency_counts)) == (20, 20)
        assert (metrics.connections, metrics.reconnections, metrics.in_flight) == (1, 0, 0)

"""Channels, busy peers, dead letters and orderly ends through the drivers' door, over real sockets."""

import anyio
import pytest

from agt.transport import (
    Outcome,
    ReceivedMessage,
    RefusedMessage,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    TCPConnection,
)

pytestmark = pytest.mark.anyio
CONFIG = ReliableConfig(channels=2, recv_queue_max=4, backoff_base_s=0.01, backoff_max_s=0.02)


async def test_a_channel_that_nobody_reads_holds_up_no_other():
    """The listener sits on channel 0; what goes through channel 1 is delivered, under the same id on both sides."""
    ids: list[str] = []

    def on_message(message: ReceivedMessage) -> None:
        if message.channel == 0:
            message.defer()
        else:
            ids.append(message.id)

    async with (
        ReliableListener(on_message=on_message, config=CONFIG) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), config=CONFIG) as transport,
    ):
        await transport.wait_connected()
        stuck = [transport.send_nowait(b"slow") for _ in range(9)]
        sent = [await transport.send_reliable(b"fast", channel=1) for _ in range(9)]
        assert all(sent)
        assert ids == [delivery.id for delivery in sent]
        assert ids == sorted(ids)
        assert not any(delivery.done for delivery in stuck)


async def test_a_busy_peer_is_offered_the_message_again():
    """Refused for now, in the middle of a burst: everything is delivered once, in order."""
    seen: list[bytes] = []
    moods = {b"3": 2, b"7": 1}

    def on_message(message: ReceivedMessage) -> None:
        if moods.get(message.payload, 0):
            moods[message.payload] -= 1
            message.refuse("busy", retry_after_s=0.02)
        else:
            seen.append(message.payload)

    async with (
        ReliableListener(on_message=on_message, config=CONFIG) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), config=CONFIG) as transport,
    ):
        deliveries = [transport.send_nowait(b"%d" % number) for number in range(10)]
        for delivery in deliveries:
            with anyio.fail_after(10):
                assert await delivery, delivery
    assert seen == [b"%d" % number for number in range(10)]


async def test_what_was_refused_for_good_is_kept_as_a_dead_letter():
    """Payload, id and word are there for people; the newest survive."""
    told: list[RefusedMessage] = []
    async with (
        ReliableListener(on_message=lambda message: message.refuse("malformed"), config=CONFIG) as listener,
        ReliableTransport(
            TCPConnection("127.0.0.1", listener.port), config=CONFIG, on_dead_letter=told.append
        ) as transport,
    ):
        delivery = await transport.send_reliable(b"what is this")
        assert (delivery.outcome, delivery.reason) == (Outcome.NOT_DELIVERED, "refused by the peer: malformed")
        (letter,) = transport.session.dead_letters
        assert (letter.payload, letter.code, letter.id) == (b"what is this", "malformed", delivery.id)
        assert told == [letter]


async def test_a_drained_transport_leaves_nothing_indeterminate():
    """What is in flight is answered although the application takes its time; what was queued never left."""
    waiting: list[ReceivedMessage] = []

    def on_message(message: ReceivedMessage) -> None:
        message.defer()
        waiting.append(message)

    async with (
        ReliableListener(on_message=on_message, config=CONFIG) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), config=CONFIG) as transport,
    ):
        await transport.wait_connected()
        deliveries = [transport.send_nowait(b"%d" % number) for number in range(6)]
        with anyio.fail_after(5):
            while len(waiting) < 4:
                await anyio.lowlevel.checkpoint()

        async def answer() -> None:
            for message in waiting:
                message.ack()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer)
            assert await transport.drain(timeout_s=5.0)
    assert [delivery.outcome for delivery in deliveries] == [Outcome.DELIVERED] * 4 + [Outcome.NOT_DELIVERED] * 2

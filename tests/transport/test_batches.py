"""Many messages in one call: all or none on the way in, one thing to wait for, one answer on the way out."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from agt.transport import (
    DeliveryBatch,
    MessageTooLarge,
    Outcome,
    QueueFull,
    ReceivedBatch,
    ReceivedMessage,
    ReliableListener,
    ReliableTransport,
    Session,
    TCPConnection,
    UsageError,
)
from agt.transport.testing import PlainLink


@asynccontextmanager
async def connected(
    on_batch: Callable[[ReceivedBatch], None],
) -> AsyncIterator[tuple[ReliableTransport, ReliableListener]]:
    """Connect a transport to a listener that takes batches."""
    async with (
        ReliableListener(on_batch=on_batch) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port)) as transport,
    ):
        with anyio.fail_after(10):
            await transport.wait_connected()
            yield transport, listener


def numbered(count: int) -> list[bytes]:
    """Return so many messages."""
    return [b"%d" % number for number in range(count)]


@pytest.mark.anyio
async def test_a_batch_arrives_in_order_and_is_acknowledged_as_a_whole() -> None:
    """Returning from the handler is the answer for all of it."""
    taken: list[bytes] = []
    async with connected(lambda batch: taken.extend(batch.payloads)) as (transport, listener):
        batch = transport.send_batch_nowait(numbered(60))
        assert (len(batch), batch.done, bool(batch)) == (60, False, False)
        assert await batch is batch
        assert (batch.done, batch.delivered, bool(batch)) == (True, 60, True)
        assert [delivery.outcome for delivery in batch[:2]] == [Outcome.DELIVERED] * 2
        assert (transport.metrics.accepted, transport.metrics.acks_received, listener.metrics.received) == (60, 60, 60)
    assert taken == numbered(60)


@pytest.mark.anyio
async def test_messages_of_a_batch_can_be_answered_one_by_one() -> None:
    """What the handler has answered itself, it has; the rest is acknowledged when it returns."""

    def on_batch(batch: ReceivedBatch) -> None:
        for message in batch:
            if message.payload == b"3":
                message.refuse("malformed")

    async with connected(on_batch) as (transport, _):
        batch = await transport.send_batch_nowait(numbered(8))
        assert (batch.delivered, bool(batch)) == (7, False)
        assert "malformed" in batch[3].reason


@pytest.mark.anyio
async def test_a_handler_that_raises_has_refused_what_it_had_not_answered(caplog: pytest.LogCaptureFixture) -> None:
    """As with single messages, and the session goes on."""
    broken = [True]

    def on_batch(batch: ReceivedBatch) -> None:
        if broken[0]:
            batch[0].ack()
            raise RuntimeError("a bug")

    async with connected(on_batch) as (transport, _):
        batch = await transport.send_batch_nowait(numbered(4))
        assert [bool(delivery) for delivery in batch] == [True, False, False, False]
        broken[0] = False
        assert await transport.send_batch_nowait(numbered(4))
    assert "batch handler failed" in caplog.text


@pytest.mark.anyio
async def test_a_deferred_batch_is_answered_later() -> None:
    """Until then nothing of it counts as delivered."""
    held: list[ReceivedBatch] = []

    def on_batch(batch: ReceivedBatch) -> None:
        batch.defer()
        held.append(batch)

    async with connected(on_batch) as (transport, _):
        batch = transport.send_batch_nowait(numbered(5))
        while sum(map(len, held)) < 5:
            await anyio.lowlevel.checkpoint()
        assert batch.delivered == 0
        for each in held:
            each.ack()
            each.refuse()  # Only the first answer counts.
        assert await batch


@pytest.mark.anyio
async def test_there_is_room_for_all_of_a_batch_or_it_is_not_taken() -> None:
    """With the link's own way for runs, and one by one."""
    async with connected(lambda _: None) as (transport, _):
        link = transport.session.link
        with pytest.raises(QueueFull):
            transport.send_batch_nowait(numbered(transport.config.send_queue_max + 1))
        with pytest.raises(MessageTooLarge):
            transport.send_batch_nowait([b"small", bytes(link.traits.max_payload + 1)])
        assert (link.queued, transport.metrics.accepted) == (0, 0)
    session = Session(PlainLink(send_queue_max=5))
    with pytest.raises(QueueFull):
        session.send_batch_nowait(numbered(6))
    assert session.link.queued == 0
    assert len(session.send_batch_nowait(numbered(5))) == 5
    session.close()


@pytest.mark.anyio
async def test_waiting_for_a_batch_outlasts_a_last_message_that_ends_first() -> None:
    """The last one mostly ends last, and where it doesn't, the others are still waited for."""
    session = Session(PlainLink())
    batch = session.send_batch_nowait(numbered(3))
    woken: list[DeliveryBatch] = []

    async def wait() -> None:
        woken.append(await batch)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        for place in (2, 0):
            await anyio.wait_all_tasks_blocked()
            session.cancel(batch[place])
            await anyio.wait_all_tasks_blocked()
            assert (batch.done, woken) == (False, [])
        session.cancel(batch[1])
    assert (woken, batch.delivered) == ([batch], 0)


@pytest.mark.anyio
async def test_an_empty_batch_is_done_at_once() -> None:
    """Nothing to wait for, and nothing that failed."""
    batch = await Session(PlainLink()).send_batch_nowait([])
    assert (len(batch), batch.done, bool(batch)) == (0, True, True)


@pytest.mark.anyio
async def test_a_session_hands_over_in_one_way() -> None:
    """Two handlers could each think that the other has answered."""

    def never(_: ReceivedMessage | ReceivedBatch) -> None:
        raise AssertionError

    with pytest.raises(UsageError, match="not both"):
        Session(PlainLink(), on_message=never, on_batch=never)

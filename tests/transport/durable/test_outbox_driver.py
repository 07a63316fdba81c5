"""A transport with an outbox: what is accepted outlives it, what ended stays ended, and trouble is said in words."""

import sqlite3
from pathlib import Path

import anyio
import pytest

from agt.transport import (
    Outcome,
    Overflow,
    QueueFull,
    ReceivedMessage,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    TCPConnection,
    UsageError,
)
from agt.transport.durable import StoreInUse, StoreUnavailable
from agt.transport.durable._database import Database
from support.durable_pair import dial

NOWHERE = 9
"""A port where nobody listens."""


class Broken:
    """A write that meets an error of the disk."""

    def write(self, connection: sqlite3.Connection) -> None:
        raise OSError(5, "Input/output error")

    def done(self, error: Exception | None, *, definite: bool) -> None:
        """Nobody waits for it."""


def database_of(outbox) -> Database:
    """The database inside, to hurt it."""
    return outbox._database


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_what_was_accepted_goes_on_in_the_next_process(outbox) -> None:
    """Sent without a receiver, kept over the end of the transport, delivered in order by the next one."""
    async with dial(NOWHERE, outbox()) as transport:
        kept = [transport.send_nowait(b"%d" % number) for number in range(5)]
    ids = [delivery.id for delivery in kept]
    assert len(set(ids)) == 5
    assert {delivery.outcome for delivery in kept} == {Outcome.INDETERMINATE}
    assert "the outbox keeps it" in kept[0].reason
    got: list[bytes] = []
    async with (
        ReliableListener(on_message=lambda message: got.append(message.payload)) as listener,
        dial(listener.port, outbox()) as transport,
    ):
        assert [delivery.payload for delivery in transport.restored] == [b"0", b"1", b"2", b"3", b"4"]
        assert [delivery.id for delivery in transport.restored] == ids
        last = transport.send_nowait(b"5")
        for delivery in (*transport.restored, last):
            assert await delivery
    assert got == [b"0", b"1", b"2", b"3", b"4", b"5"]


async def test_delivered_messages_leave_the_outbox(outbox, folder: Path) -> None:
    """Rows go once they have ended, so that the file doesn't grow with what was sent."""
    async with ReliableListener(on_message=lambda message: None) as listener:
        async with dial(listener.port, outbox()) as transport:
            for number in range(50):
                assert await transport.send_nowait(b"%d" % number)
        async with dial(listener.port, outbox()) as transport:
            assert transport.restored == ()
    connection = sqlite3.connect(folder / "outbox.db")
    assert connection.execute("SELECT count(*) FROM segments").fetchone() == (0,)
    assert connection.execute("SELECT base FROM channels").fetchone() == (50,)
    connection.close()


async def test_a_cancelled_message_stays_cancelled(outbox) -> None:
    """Once `not_delivered` is told, no later process sends it."""
    async with dial(NOWHERE, outbox()) as transport:
        first, _ = transport.send_nowait(b"first"), transport.send_nowait(b"second")
        await transport._outbox.stored()
        transport.session.cancel(first)
        assert (await first).outcome is Outcome.NOT_DELIVERED
    got: list[bytes] = []
    async with (
        ReliableListener(on_message=lambda message: got.append(message.payload)) as listener,
        dial(listener.port, outbox()) as transport,
    ):
        assert [delivery.payload for delivery in transport.restored] == [b"second"]
        assert await transport.restored[0]
    assert got == [b"second"]


async def test_a_withdrawn_message_is_noted_before_it_is_handed_back(outbox) -> None:
    """What goes another way must not come out of the outbox again, whenever the process dies."""
    async with dial(NOWHERE, outbox()) as transport:
        transport.send_nowait(b"elsewhere")
        withdrawal = transport.session.withdraw()
        assert [delivery.payload for delivery in withdrawal.unsent] == [b""]
        ended = database_of(transport._outbox).connection.execute("SELECT count(*) FROM ended").fetchone()
        segments = database_of(transport._outbox).connection.execute("SELECT count(*) FROM segments").fetchone()
    assert (ended, segments) in {((1,), (1,)), ((0,), (1,))}, "noted beside it, or written as ended at once"
    async with dial(NOWHERE, outbox()) as transport:
        assert transport.restored == ()


async def test_a_deadline_passes_by_the_wall_clock(outbox, folder: Path) -> None:
    """What was to be delivered by a time that has passed meanwhile ends at once, in doubt: it may have been sent."""
    async with dial(NOWHERE, outbox()) as transport:
        transport.send_nowait(b"stale", deadline_s=60)
    connection = sqlite3.connect(folder / "outbox.db")
    connection.execute("UPDATE outbox SET peer_memory = 1")
    connection.commit()
    connection.close()
    late = outbox()
    link = late.start("lamp", ReliableConfig(), call_soon=lambda callback: callback, clock=lambda: 100.0)
    (message,) = link.restore(now=100.0, wall_now=10**10)
    link.handle_timer(now=100.0)
    event = link.next_event()
    assert event.message is message
    assert event.outcome is Outcome.INDETERMINATE
    late.close()


async def test_one_process_at_a_time(outbox) -> None:
    """The second transport over the same outbox is refused in words."""
    async with dial(NOWHERE, outbox()):
        with pytest.raises(StoreInUse, match="give each process a store of its own"):
            async with dial(NOWHERE, outbox()):
                pass


async def test_a_transport_that_cannot_begin_lets_go_of_its_outbox(outbox) -> None:
    """Whatever was wrong, the next attempt finds the outbox free."""
    wrong = dial(NOWHERE, outbox(), on_message=print, on_batch=print)
    with pytest.raises(UsageError, match="not both"):
        async with wrong:
            pass
    async with dial(NOWHERE, outbox()) as transport:
        transport.send_nowait(b"fine")


async def test_an_outbox_has_one_sender(outbox, folder: Path) -> None:
    """Another name is refused: the receiver would take its messages for new ones."""
    async with dial(NOWHERE, outbox()):
        pass
    other = ReliableTransport(dial(NOWHERE, outbox()).connection, name="other", outbox=outbox())
    with pytest.raises(StoreUnavailable, match="belongs to the sender 'lamp', not 'other'"):
        async with other:
            pass


@pytest.mark.parametrize(("limits", "size"), [({"max_messages": 3}, 1), ({"max_bytes": 300}, 100)])
async def test_an_outbox_has_bounds(outbox, limits: dict[str, int], size: int) -> None:
    """In messages and in bytes; what is refused is not in it."""
    async with dial(NOWHERE, outbox(**limits)) as transport:
        for _ in range(3):
            transport.send_nowait(b"x" * size)
        with pytest.raises(QueueFull):
            transport.send_nowait(b"x" * size)
    async with dial(NOWHERE, outbox(**limits)) as transport:
        assert len(transport.restored) == 3
        with pytest.raises(QueueFull):
            transport.send_nowait(b"x" * size)


async def test_a_sender_waits_for_room(outbox) -> None:
    """With BLOCK, one more message waits until one has ended."""
    async with ReliableListener(on_message=lambda message: None) as listener:
        async with dial(NOWHERE, outbox(max_messages=1)) as transport:
            transport.send_nowait(b"first")
        async with dial(listener.port, outbox(max_messages=1)) as transport:
            with anyio.fail_after(10):
                assert await transport.send_reliable(b"second", deadline_s=10)
            assert transport.restored[0]


async def test_drop_oldest_lets_the_newest_state_through(outbox) -> None:
    """A full outbox for status: the oldest gives way, also on the disk."""
    config = ReliableConfig(overflow=Overflow.DROP_OLDEST)
    async with ReliableTransport(
        dial(NOWHERE, outbox()).connection, name="lamp", outbox=outbox(max_messages=5), config=config
    ) as transport:
        sent = []
        for burst in range(10):  # Many times what may lie between the oldest number and the newest.
            sent += [transport.send_nowait(b"%d" % (burst * 4 + place)) for place in range(4)]
            await transport._outbox.stored()
        assert [(await delivery).outcome for delivery in sent[:35]] == [Outcome.NOT_DELIVERED] * 35
        assert not any(delivery.done for delivery in sent[35:])
    async with dial(NOWHERE, outbox()) as transport:
        assert [delivery.payload for delivery in transport.restored] == [b"35", b"36", b"37", b"38", b"39"]


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_trouble_refuses_in_words_until_it_was_checked(outbox) -> None:
    """An error of the disk: sends are refused, nothing is accepted that could be lost, and `check` mends it."""
    store = outbox()
    async with dial(NOWHERE, store) as transport:
        safe = transport.send_nowait(b"safe")
        await store.stored()
        database_of(store).submit(Broken())
        lost = transport.send_nowait(b"lost")
        assert (await lost).outcome is Outcome.NOT_DELIVERED
        assert "could not store it" in lost.reason
        with pytest.raises(StoreUnavailable, match=r"then call check\(\)"):
            transport.send_nowait(b"refused")
        with pytest.raises(StoreUnavailable):
            await store.stored()
        await store.check()
        assert store.trouble is None
        transport.send_nowait(b"again")
        await store.stored()
        assert not safe.done
    async with dial(NOWHERE, outbox()) as transport:
        assert [delivery.payload for delivery in transport.restored] == [b"safe", b"again"]


async def test_a_cancelled_caller_leaves_its_message_in_the_outbox(outbox) -> None:
    """Giving up waiting is not giving up the message, where something keeps it."""
    async with dial(NOWHERE, outbox()) as transport:
        with anyio.move_on_after(0.05):
            await transport.send_reliable(b"kept")
    async with dial(NOWHERE, outbox()) as transport:
        assert [delivery.payload for delivery in transport.restored] == [b"kept"]


class BusyAtFirst:
    """An application that has no time for a message six times."""

    def __init__(self) -> None:
        self.offers = 0

    def __call__(self, message: ReceivedMessage) -> None:
        self.offers += 1
        if self.offers <= 6:
            message.refuse("busy", retry_after_s=0.001)


@pytest.mark.parametrize("config", [None, ReliableConfig(in_flight_max=10)])
async def test_only_its_deadline_ends_a_message_that_an_outbox_keeps(outbox, config: ReliableConfig | None) -> None:
    """Unless it was said otherwise: failed attempts are no reason to give up what was kept on purpose."""
    application = BusyAtFirst()
    async with (
        ReliableListener(on_message=application) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), outbox=outbox(), config=config) as transport,
    ):
        delivery = await transport.send_reliable(b"kept")
    assert delivery
    assert (application.offers, delivery.resends) == (7, 6)


@pytest.mark.parametrize("given", [{"max_retries": 2}, {"config": ReliableConfig(max_retries=2)}])
async def test_a_limit_that_was_given_counts_with_an_outbox_too(outbox, given: dict[str, object]) -> None:
    """By argument or among all settings."""
    application = BusyAtFirst()
    async with (
        ReliableListener(on_message=application) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), outbox=outbox(), **given) as transport,
    ):
        delivery = await transport.send_reliable(b"given up")
    assert (delivery.outcome, application.offers) == (Outcome.NOT_DELIVERED, 3)


async def test_without_an_outbox_three_resends_are_enough() -> None:
    """The documents' number, where nothing else is said."""
    application = BusyAtFirst()
    async with (
        ReliableListener(on_message=application) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port)) as transport,
    ):
        delivery = await transport.send_reliable(b"given up")
    assert (delivery.outcome, application.offers) == (Outcome.NOT_DELIVERED, 4)

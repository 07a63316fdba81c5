"""A listener with an inbox: effects and marks are committed together, and a restarted receiver repeats nothing."""

import importlib.util
import sqlite3
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from agt.transport import (
    AckLevel,
    Closed,
    Outcome,
    ReceivedBatch,
    ReceivedMessage,
    ReliableTransport,
    Session,
    TCPConnection,
    UsageError,
    commit_batch,
)
from agt.transport.durable import OutOfOrder, SQLiteInbox, StoreUnavailable
from support.durable_pair import IMPATIENT, dial, effects, listen

EXAMPLE = Path(__file__).parents[3] / "examples" / "own_inbox.py"


class Arrivals:
    """Hands received messages to the test, unanswered."""

    def __init__(self) -> None:
        self.send, self.receive = anyio.create_memory_object_stream[ReceivedMessage](1000)

    def __call__(self, message: ReceivedMessage) -> None:
        message.defer()
        self.send.send_nowait(message)

    async def take(self, count: int) -> list[ReceivedMessage]:
        """Wait for so many."""
        with anyio.fail_after(10):
            return [await self.receive.receive() for _ in range(count)]


@pytest.fixture
def arrivals():
    """What the listener's application is given."""
    made = Arrivals()
    yield made
    made.send.close()
    made.receive.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_effect_and_mark_are_committed_together(outbox, inbox, arrivals: Arrivals) -> None:
    """After the commit the sender is told `delivered`, at the level `durable`; before it, nothing."""
    store = inbox()
    async with listen(store, on_message=arrivals) as listener, dial(listener.port, outbox()) as transport:
        sent = [transport.send_nowait(b"one"), transport.send_nowait(b"two")]
        first, second = await arrivals.take(2)
        async with first.commit() as transaction:
            transaction.execute("INSERT INTO effects (what) VALUES (?)", (first.payload,))
        assert await sent[0]
        assert sent[0].ack_level is AckLevel.DURABLE
        assert not sent[1].done
        async with commit_batch([second]) as transaction:
            transaction.insert("effects (what)", [(second.payload,)])
        assert await sent[1]
        assert await effects(store) == [b"one", b"two"]
        assert transport.metrics.delivered_durable == 2


async def test_without_an_inbox_the_level_is_processed_and_nothing_can_be_committed(outbox, arrivals) -> None:
    """Said in words, and the message can still be answered."""
    async with listen(None, on_message=arrivals) as listener, dial(listener.port, outbox()) as transport:
        delivery = transport.send_nowait(b"plain")
        (message,) = await arrivals.take(1)
        with pytest.raises(UsageError, match="only a listener with an inbox can commit"):
            async with message.commit():
                pass
        message.ack()
        assert await delivery
        assert delivery.ack_level is AckLevel.PROCESSED
        assert transport.metrics.delivered_durable == 0


async def test_a_restarted_receiver_takes_up_where_it_committed(outbox, inbox, arrivals: Arrivals) -> None:
    """What was committed isn't handed out again; what was not, is; the sender is not forgotten."""
    async with listen(inbox(), on_message=arrivals) as listener:
        port = listener.port
        async with dial(port, outbox()) as transport:
            sent = [transport.send_nowait(b"%d" % number) for number in range(4)]
            messages = await arrivals.take(4)
            async with commit_batch(messages[:2]) as transaction:
                transaction.insert("effects (what)", [(message.payload,) for message in messages[:2]])
            assert await sent[1]
    store = inbox()
    async with listen(store, port=port, on_message=arrivals), dial(port, outbox()) as transport:
        assert [delivery.payload for delivery in transport.restored] == [b"2", b"3"]
        again = await arrivals.take(2)
        assert [message.payload for message in again] == [b"2", b"3"]
        async with commit_batch(again) as transaction:
            transaction.insert("effects (what)", [(message.payload,) for message in again])
        for delivery in transport.restored:
            assert await delivery
        assert await effects(store) == [b"0", b"1", b"2", b"3"]


async def apply(message: ReceivedMessage, *effects: object, fail: type[Exception] | None = None) -> None:
    """Commit a message with these effects, or fail on the way."""
    async with message.commit() as transaction:
        for effect in effects:
            transaction.execute("INSERT INTO effects (what) VALUES (?)", (effect,))
        if fail is not None:
            raise fail


async def test_an_effect_that_fails_undoes_the_mark(outbox, inbox, arrivals: Arrivals) -> None:
    """By the statement's fault or the application's: nothing is written, and the message can be tried again."""
    store = inbox()
    async with listen(store, on_message=arrivals) as listener, dial(listener.port, outbox()) as transport:
        delivery = transport.send_nowait(b"once")
        (message,) = await arrivals.take(1)
        with pytest.raises(sqlite3.IntegrityError):
            await apply(message, b"once", None)
        with pytest.raises(ZeroDivisionError):
            await apply(message, b"once", fail=ZeroDivisionError)
        assert await effects(store) == []
        assert not delivery.done
        await apply(message, b"once")
        assert await delivery
        assert await effects(store) == [b"once"]


async def test_commits_keep_the_order_of_their_sender(outbox, inbox, arrivals: Arrivals) -> None:
    """A mark says "everything up to here", so a later message can't be committed before an earlier one."""
    async with listen(inbox(), on_message=arrivals) as listener, dial(listener.port, outbox()) as transport:
        sent = [transport.send_nowait(b"%d" % number) for number in range(3)]
        first, second, third = await arrivals.take(3)
        with pytest.raises(OutOfOrder, match="message 2 of 'lamp' can't be committed before message 1"):
            async with second.commit():
                pass
        second.refuse("malformed")
        async with commit_batch([first, second, third]):
            pass
        assert [(await delivery).outcome for delivery in sent] == [
            Outcome.DELIVERED,
            Outcome.NOT_DELIVERED,
            Outcome.DELIVERED,
        ]


async def test_a_refusal_moves_the_mark_and_leaves_a_dead_letter(outbox, inbox, arrivals: Arrivals) -> None:
    """The sender is told after it is durable; neither side takes the message up again."""
    store = inbox()
    async with listen(store, on_message=arrivals) as listener:
        port = listener.port
        async with dial(port, outbox()) as transport:
            delivery = transport.send_nowait(b"nonsense")
            (message,) = await arrivals.take(1)
            message.refuse("rejected")
            assert (await delivery).outcome is Outcome.NOT_DELIVERED
            assert "rejected" in delivery.reason
            (letter,) = await store.dead_letters()
            assert (letter.sender, letter.code, letter.payload) == ("lamp", "rejected", b"nonsense")
    async with listen(inbox(), port=port, on_message=arrivals), dial(port, outbox()) as transport:
        assert transport.restored == ()
        transport.send_nowait(b"next")
        assert [message.payload for message in await arrivals.take(1)] == [b"next"]


async def test_an_older_copy_of_an_outbox_is_found_out(outbox, inbox, folder: Path) -> None:
    """It would give numbers away again that the receiver knows: nothing flows, and the error says why."""
    async with listen(inbox(), on_message=lambda message: None) as listener:
        for name in ("copied", "went on"):
            async with dial(listener.port, outbox()) as transport:
                assert await transport.send_nowait(name.encode())
            if name == "copied":
                copy = (folder / "outbox.db").read_bytes()  # Nothing else is running.
        (folder / "outbox.db").write_bytes(copy)  # The same.
        async with dial(listener.port, outbox()) as transport:
            delivery = transport.send_nowait(b"lost otherwise")
            with anyio.fail_after(10):
                while "put back to an older copy" not in transport.last_error:
                    await anyio.lowlevel.checkpoint()
            assert not delivery.done


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_plain_acks_are_durable_too(outbox, inbox) -> None:
    """A handler that just returns: the mark is on the disk before the sender hears of it."""
    got: list[bytes] = []
    async with listen(inbox(), on_message=lambda message: got.append(message.payload)) as listener:
        port = listener.port
        async with dial(port, outbox()) as transport:
            for number in range(20):
                delivery = await transport.send_nowait(b"%d" % number)
                assert delivery.ack_level is AckLevel.DURABLE
    async with (
        listen(inbox(), port=port, on_message=lambda message: got.append(message.payload)),
        dial(port, outbox()) as transport,
    ):
        assert await transport.send_nowait(b"last")
    assert got == [*(b"%d" % number for number in range(20)), b"last"]


async def test_batches_are_committed_as_they_came(outbox, inbox) -> None:
    """`on_batch` with `defer`, and a commit in a task: the fast way."""
    store = inbox()
    async with anyio.create_task_group() as tasks:

        async def apply(batch: ReceivedBatch) -> None:
            async with batch.commit() as transaction:
                transaction.insert("effects (what)", [(payload,) for payload in batch.payloads])

        def take(batch: ReceivedBatch) -> None:
            batch.defer()
            tasks.start_soon(apply, batch)

        async with listen(store, on_batch=take) as listener, dial(listener.port, outbox()) as transport:
            sent = [transport.send_nowait(b"%d" % number) for number in range(500)]
            assert await sent[-1]
            assert await effects(store) == [b"%d" % number for number in range(500)]


async def test_commits_of_many_senders_share_one_listener(outbox, inbox, folder: Path, arrivals: Arrivals) -> None:
    """One transaction may take messages of several senders."""
    store = inbox()
    other = outbox()
    other.path = folder / "other.db"
    async with listen(store, on_message=arrivals) as listener, dial(listener.port, outbox()) as lamp:
        second = dial(listener.port, other)
        second.name = "switch"
        async with second as switch:
            sent = [lamp.send_nowait(b"lamp"), switch.send_nowait(b"switch")]
            messages = await arrivals.take(2)
            async with commit_batch(messages) as transaction:
                transaction.insert("effects (what)", [(message.payload,) for message in messages])
            assert [bool(await delivery) for delivery in sent] == [True, True]
        assert sorted(await effects(store)) == [b"lamp", b"switch"]


class Doubtful(SQLiteInbox):
    """An inbox whose commit is durable and raises all the same, once."""

    armed = False

    @asynccontextmanager
    async def transaction(self):
        """Commit, then fail."""
        async with super().transaction() as transaction:
            yield transaction
        if self.armed:
            type(self).armed = False
            raise ConnectionError("the answer to the commit was lost")


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_commit_in_doubt_is_looked_up_before_anybody_goes_on(outbox, folder: Path, arrivals: Arrivals) -> None:
    """Nobody can say whether it is durable: the sender comes again, and is met from what the store says."""
    store = Doubtful(folder / "inbox.db", schema="CREATE TABLE IF NOT EXISTS effects (place INTEGER PRIMARY KEY, what)")
    async with listen(store, on_message=arrivals) as listener, dial(listener.port, outbox()) as transport:
        delivery = transport.send_nowait(b"once")
        (message,) = await arrivals.take(1)
        Doubtful.armed = True
        with pytest.raises(ConnectionError):
            await apply(message, b"once")
        with anyio.fail_after(10):
            assert await delivery, "the mark was durable, so the sender learns it at the next hello"
        with pytest.raises(Closed):
            await apply(message)
        transport.send_nowait(b"next")
        (following,) = await arrivals.take(1)
        assert following.payload == b"next"
        assert await effects(store) == [b"once"]


class Unwritable:
    """A write that meets an error of the disk."""

    def write(self, connection: sqlite3.Connection) -> None:
        raise OSError(28, "No space left on device")

    def done(self, error: Exception | None, *, definite: bool) -> None:
        """Nobody waits for it."""


async def test_a_store_in_trouble_commits_nothing_until_it_was_checked(outbox, inbox, arrivals: Arrivals) -> None:
    """The application is told in words, the sender is told nothing, and after `check` everything goes on."""
    store = inbox()
    async with listen(store, on_message=arrivals) as listener, dial(listener.port, outbox()) as transport:
        delivery = transport.send_nowait(b"patient")
        (message,) = await arrivals.take(1)
        store._database.submit(Unwritable())
        with pytest.raises(StoreUnavailable, match=r"call check\(\)"):
            await apply(message, b"patient")
        assert not delivery.done
        await store.check()
        await apply(message, b"patient")
        assert await delivery
        assert await effects(store) == [b"patient"]


async def test_a_store_in_trouble_turns_callers_away_in_words(outbox, inbox, arrivals: Arrivals) -> None:
    """Nobody is welcomed who could not be remembered; when the store works again they come in."""
    store = inbox()
    async with listen(store, on_message=arrivals) as listener:
        store._database.submit(Unwritable())
        async with dial(listener.port, outbox(), config=IMPATIENT) as transport:
            delivery = transport.send_nowait(b"patient")
            with anyio.fail_after(10):
                while "the inbox can't be written" not in transport.last_error:
                    await anyio.lowlevel.checkpoint()
            assert not transport.connected
            await store.check()
            (message,) = await arrivals.take(1)
            message.ack()
            assert await delivery


async def test_a_transaction_is_not_the_applications_to_end(inbox) -> None:
    """`COMMIT` within a commit would take the mark apart from the effect."""
    async with inbox() as store:
        with pytest.raises(UsageError, match="can't run COMMIT"):
            async with store.transaction() as transaction:
                transaction.execute("COMMIT")


def load_example() -> Any:
    """Import the example as a module."""
    spec = importlib.util.spec_from_file_location("own_inbox", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_an_applications_own_database_works_as_an_inbox(outbox, folder: Path, arrivals: Arrivals) -> None:
    """The example's store: effects and marks in its tables, over a restart, nothing twice."""
    folder.mkdir(mode=0o700)  # noqa: ASYNC240  # Nothing else is running yet.
    orders: Callable[[Path], Any] = load_example().OrdersInbox
    first = orders(folder / "orders.db")
    async with listen(first, on_message=arrivals) as listener:
        port = listener.port
        async with dial(port, outbox()) as transport:
            sent = [transport.send_nowait(b"order %d" % number) for number in range(3)]
            for message in (await arrivals.take(3))[:2]:
                async with message.commit() as transaction:
                    transaction.execute(
                        "INSERT INTO orders (customer, text) VALUES (?, ?)", (message.peer, message.payload.decode())
                    )
            assert await sent[1]
    first.connection.close()
    second = orders(folder / "orders.db")
    async with listen(second, port=port, on_message=arrivals), dial(port, outbox()) as transport:
        (message,) = await arrivals.take(1)
        async with message.commit() as transaction:
            transaction.execute("INSERT INTO orders (customer, text) VALUES (?, ?)", ("lamp", message.payload.decode()))
        assert await transport.restored[0]
    rows = second.connection.execute("SELECT customer, text FROM orders ORDER BY number").fetchall()
    assert rows == [("lamp", f"order {number}") for number in range(3)]
    second.connection.close()


async def test_remembered_senders_are_bounded(inbox, folder: Path) -> None:
    """One more makes the one quiet for longest forgotten, on the disk too."""
    store = inbox()
    seen: list[str] = []

    def came(session: Session) -> None:
        seen.append(session.peer)

    async with listen(store, on_message=lambda message: None, on_peer=came, max_senders=2) as listener:
        for name in ("a", "b", "c"):
            async with ReliableTransport(TCPConnection("127.0.0.1", listener.port), name=name) as transport:
                assert await transport.send_nowait(b"hello")
            with anyio.fail_after(10):
                while listener.sessions[name].connected:
                    await anyio.lowlevel.checkpoint()
        with anyio.fail_after(10):
            while set(await store.load()) != {"b", "c"}:
                await anyio.lowlevel.checkpoint()
    assert seen == ["a", "b", "c"]

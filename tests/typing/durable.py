"""Type-checked, never run: durable delivery as its users write it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import assert_type

from agt.transport import (
    AckLevel,
    Delivery,
    ReceivedBatch,
    ReceivedMessage,
    ReliableListener,
    ReliableTransport,
    TCPConnection,
    commit_batch,
)
from agt.transport.durable import DeadLetter, InboxChange, InboxStore, SQLiteInbox, SQLiteOutbox


async def sent_durably() -> None:
    """An outbox, and what its handles say."""
    outbox = SQLiteOutbox("state/outbox.db", max_messages=1000)
    async with ReliableTransport(TCPConnection("gateway", 7000), outbox=outbox) as transport:
        assert_type(transport.restored, tuple[Delivery, ...])
        delivery = await transport.send_reliable(b"set 1 5")
        assert_type(delivery.ack_level, AckLevel)
        await outbox.stored()
        await outbox.check()


async def committed(message: ReceivedMessage, batch: ReceivedBatch) -> None:
    """One, several that came together, or any."""
    async with message.commit() as transaction:
        transaction.execute("INSERT INTO readings VALUES (?)", (message.payload,))
    async with batch.commit() as transaction:
        transaction.insert("readings", [(payload,) for payload in batch.payloads])
    async with commit_batch([message, batch, *batch]):
        pass


class OwnInbox:
    """An application's own database, whatever it is."""

    async def load(self) -> Mapping[str, bytes]:
        """Return every sender's record."""
        return {}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[list[str]]:
        """Begin, and commit or undo."""
        yield []

    def is_undone(self, error: BaseException) -> bool:
        """Say whether nothing was written."""
        return isinstance(error, KeyError)

    async def put(self, transaction: list[str], change: InboxChange) -> None:
        """Write the records."""
        transaction += change.records


async def listened() -> None:
    """Either store is an inbox."""
    own: InboxStore[list[str]] = OwnInbox()
    ours = SQLiteInbox("state/inbox.db", schema="CREATE TABLE IF NOT EXISTS readings (value BLOB)")
    async with ReliableListener(inbox=own), ReliableListener(inbox=ours):
        assert_type(await ours.dead_letters(), list[DeadLetter])

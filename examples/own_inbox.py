"""An application that keeps its orders in a database of its own, and applies each order once, whatever is killed.

The store is the whole of `OrdersInbox`: four methods and one table of two columns. Run it, and beside it
`python examples/own_inbox.py send`, as often as you like; kill either at any moment.
"""

import sqlite3
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread

from agt.transport import ReliableListener, ReliableTransport, Session, UnixConnection
from agt.transport.durable import InboxChange, SQLiteOutbox

SCHEMA = """
CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, customer TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS senders (name TEXT PRIMARY KEY, record BLOB NOT NULL);
"""


class OrdersInbox:
    """The application's own database as an `InboxStore`."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.executescript(SCHEMA)
        self._turn = anyio.Lock()  # One connection, so one transaction at a time.

    async def load(self) -> Mapping[str, bytes]:
        """Return every sender's record."""
        return dict(self.connection.execute("SELECT name, record FROM senders"))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[sqlite3.Connection]:
        """Begin, and commit or undo."""
        async with self._turn:
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                await anyio.to_thread.run_sync(self.connection.execute, "COMMIT")  # The flush may take a while.
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def is_undone(self, error: BaseException) -> bool:
        """Say whether an error of leaving `transaction` left nothing written: here only if SQLite found no room."""
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL

    async def put(self, transaction: sqlite3.Connection, change: InboxChange) -> None:
        """Write the senders' records along with what the application has written."""
        for name, record in change.records.items():
            if record is None:
                transaction.execute("DELETE FROM senders WHERE name = ?", (name,))
            else:
                transaction.execute("INSERT OR REPLACE INTO senders VALUES (?, ?)", (name, record))


async def take_orders(folder: Path) -> None:
    """Serve for ever."""
    inbox = OrdersInbox(folder / "orders.db")
    async with anyio.create_task_group() as tasks:

        async def apply(customer: Session) -> None:
            while True:
                message = await customer.receive()
                async with message.commit() as transaction:
                    order = (customer.peer, message.payload.decode())
                    transaction.execute("INSERT INTO orders (customer, text) VALUES (?, ?)", order)

        def on_peer(customer: Session) -> None:
            tasks.start_soon(apply, customer)

        async with ReliableListener(path=str(folder / "orders.sock"), inbox=inbox, on_peer=on_peer):
            await anyio.sleep_forever()


async def send_orders(folder: Path) -> None:
    """Send three orders; what an earlier run could not send goes first."""
    async with ReliableTransport(
        UnixConnection(str(folder / "orders.sock")), outbox=SQLiteOutbox(folder / "outbox.db")
    ) as transport:
        new = [transport.send_nowait(b"order %d" % number, deadline_s=3600) for number in range(3)]
        for delivery in (*transport.restored, *new):
            await delivery
            print(delivery.id, delivery.outcome, delivery.ack_level)  # noqa: T201


if __name__ == "__main__":
    here = Path("own-inbox")
    here.mkdir(mode=0o700, exist_ok=True)
    anyio.run(send_orders if "send" in sys.argv else take_orders, here)

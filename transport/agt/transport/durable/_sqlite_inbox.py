"""The inbox that comes with us: senders' records and the application's own tables in one SQLite database."""

import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from agt.transport._errors import Closed
from agt.transport.durable._database import Database
from agt.transport.durable._errors import StoreUnavailable
from agt.transport.durable._faults import is_jobs_own
from agt.transport.durable._inbox_store import DeadLetter, InboxChange
from agt.transport.durable._outbox_layout import verify_kind
from agt.transport.durable._soon import running_loop
from agt.transport.durable._transaction import Parameters, SQLiteTransaction

VERSION: Final = 1
DEAD_LETTERS_MAX: Final = 1000
"""Dead letters kept when not said otherwise; the oldest go first."""
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS agt_store (opened INTEGER NOT NULL) STRICT;
INSERT INTO agt_store SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM agt_store);
CREATE TABLE IF NOT EXISTS agt_senders (name TEXT PRIMARY KEY, record BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS agt_dead_letters (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, sender TEXT NOT NULL, channel INTEGER NOT NULL,
    sequence INTEGER NOT NULL, code TEXT NOT NULL, payload BLOB NOT NULL) STRICT;
"""


class InboxLayout:
    """A new inbox, or an existing one."""

    kind = "inbox"
    application_id = 0x61677402

    def __init__(self, schema: str) -> None:
        self._schema = schema

    def create(self, connection: sqlite3.Connection) -> None:
        """Fill a new database."""
        connection.execute(f"PRAGMA application_id = {self.application_id}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")

    def verify(self, connection: sqlite3.Connection, path: Path) -> None:
        """Hold that it is an inbox of our version, and make what the application wants in it."""
        verify_kind(connection, path, self.kind, self.application_id, VERSION)
        connection.execute("SELECT count(*) FROM agt_senders").fetchone()
        if self._schema:
            connection.executescript(f"BEGIN IMMEDIATE; {self._schema}; COMMIT;")


class SQLiteInbox:
    """An `InboxStore` in a database of its own, with room for the application's tables.

    Open it with `async with`, or let the listener that it is given to do so.
    """

    def __init__(self, path: str | Path, *, schema: str = "", dead_letters_max: int = DEAD_LETTERS_MAX) -> None:
        """Remember where; nothing is touched yet.

        Args:
            path: the database; made, mode 0600, where there is none. Its folder must be writable by nobody else.
            schema: statements that make the application's tables where they are missing; run at each opening.
            dead_letters_max: dead letters kept; the oldest go first.
        """
        self.path = Path(path)
        self._layout = InboxLayout(schema)
        self._dead_letters_max = dead_letters_max
        self._database: Database | None = None

    async def open(self) -> None:
        """Open the database; a no-op when it is open.

        Raises:
            StoreInUse: when another process has it open.
            StoreDamaged: when the file is not what was written.
            StoreUnavailable: when it can't be used for another reason.
        """
        if self._database is None:
            soon = running_loop()
            self._database = await anyio.to_thread.run_sync(lambda: Database(self.path, self._layout, soon))

    async def aclose(self) -> None:
        """Finish what waits and close the file; safe to call twice."""
        database, self._database = self._database, None
        if database is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(database.stop)
            database.report()

    async def __aenter__(self) -> "SQLiteInbox":
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def trouble(self) -> StoreUnavailable | None:
        """Why nothing can be committed now; None while all is well."""
        return self._open_database.trouble

    async def check(self) -> None:
        """Open the file again after trouble, if it is sound and can be written to.

        Raises:
            StoreUnavailable: when it can't be used yet.
        """
        await anyio.to_thread.run_sync(self._open_database.check)

    async def read(self, statement: str, parameters: Parameters = ()) -> list[tuple[Any, ...]]:
        """Run a query on what is committed and return its rows.

        Raises:
            sqlite3.Error: when it can't be run.
            StoreUnavailable: while the store is closed after trouble.
        """
        rows: list[tuple[Any, ...]] = []

        def work(database: Database) -> None:
            if database.trouble is not None:
                raise database.trouble
            rows.extend(database.connection.execute(statement, parameters))

        await anyio.to_thread.run_sync(lambda: self._open_database.call(work))
        return rows

    async def dead_letters(self) -> list[DeadLetter]:
        """Return the messages that were refused for good and are still kept, oldest first."""
        rows = await self.read("SELECT sender, channel, sequence, code, payload FROM agt_dead_letters ORDER BY id")
        return [DeadLetter(sender=row[0], channel=row[1], sequence=row[2], code=row[3], payload=row[4]) for row in rows]

    # InboxStore

    async def load(self) -> Mapping[str, bytes]:
        """Return the record of every sender."""
        return dict(await self.read("SELECT name, record FROM agt_senders ORDER BY name"))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SQLiteTransaction]:
        """Gather writes; they are run and durable when this is left.

        Raises:
            StoreUnavailable: when they can't be made durable.
            Exception: what a statement raised; then nothing of this commit is written.
        """
        transaction = SQLiteTransaction()
        yield transaction
        commit = _Commit(transaction)
        self._open_database.submit(commit)
        with anyio.CancelScope(shield=True):  # It can't be taken back, and takes no longer than a flush.
            await commit.ended.wait()
        if commit.error is not None:
            raise commit.error

    def is_undone(self, error: BaseException) -> bool:
        """Whether this error left nothing written, for certain: a statement's own fault did."""
        return error.undone if isinstance(error, StoreUnavailable) else is_jobs_own(error)

    async def put(self, transaction: SQLiteTransaction, change: InboxChange) -> None:
        """Write senders' records in a transaction."""
        records = [(name, record) for name, record in change.records.items() if record is not None]
        gone = [(name,) for name, record in change.records.items() if record is None]
        for row in records if len(records) < 4 else ():
            transaction.execute("INSERT OR REPLACE INTO agt_senders VALUES (?, ?)", row)
        if len(records) >= 4:
            transaction.executemany("INSERT OR REPLACE INTO agt_senders VALUES (?, ?)", records)
        if gone:
            transaction.executemany("DELETE FROM agt_senders WHERE name = ?", gone)
        if change.dead_letters:
            at = time.time()
            transaction.executemany(
                "INSERT INTO agt_dead_letters (at, sender, channel, sequence, code, payload) VALUES (?, ?, ?, ?, ?, ?)",
                [(at, one.sender, one.channel, one.sequence, one.code, one.payload) for one in change.dead_letters],
            )
            transaction.execute(
                "DELETE FROM agt_dead_letters WHERE id <= (SELECT max(id) FROM agt_dead_letters) - ?",
                (self._dead_letters_max,),
            )

    @property
    def _open_database(self) -> Database:
        if self._database is None:
            raise Closed(f"{self.path}: the inbox is not open; use `async with`")
        return self._database


class _Commit:
    """One transaction on its way to the disk."""

    def __init__(self, transaction: SQLiteTransaction) -> None:
        self._transaction = transaction
        self.ended = anyio.Event()
        self.error: Exception | None = None

    def write(self, connection: sqlite3.Connection) -> None:
        self._transaction.write(connection)

    def done(self, error: Exception | None, *, definite: bool) -> None:
        self.error = error.again(undone=definite) if isinstance(error, StoreUnavailable) else error
        self.ended.set()

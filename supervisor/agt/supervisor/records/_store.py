"""One SQLite database, owned by one thread, fed through a bounded queue.

Theory of operation. sqlite3 blocks, and a connection belongs to one thread; so each store has a thread of its own
that takes jobs (functions of the connection) in order, runs each in an explicit `BEGIN IMMEDIATE` transaction and
commits with synchronous FULL before the caller hears of it. An error of the disk (full, unreadable, damaged) leaves
SQLite and us with different ideas of what was written, so the store closes at once and refuses every job until
`check()` has opened the file again, found it sound and written to it. Nothing that goes back waits for a
store; see `rollout`.
"""

import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from agt.supervisor._errors import SupervisorError

QUEUE_MAX: Final = 256
"""Jobs that may wait; one more is refused with `StoreUnavailable`."""
BUSY_TIMEOUT_S: Final = 2.0
"""How long another process's transaction (a backup, say) is waited for."""

Result = TypeVar("Result")
Job = Callable[[sqlite3.Connection], Any]


class StoreUnavailable(SupervisorError):
    """Raised when a record can't be made durable now; nothing of it was written."""


class Store:
    """An open database. Use `run` for one transaction; it is the only way in."""

    def __init__(self, path: Path, *, schema: str) -> None:
        """Open the database, making it when there is none.

        Args:
            path: The file; 0600, its folder must exist.
            schema: Statements that create what is missing; they run at each opening.

        Raises:
            StoreUnavailable: if it can't be opened or is damaged.
        """
        self._path, self._schema = path, schema
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(QUEUE_MAX)
        self._connection: sqlite3.Connection | None = None
        self._trouble = ""
        self._open()
        self._thread = threading.Thread(target=self._work, name=f"agt-{path.stem}", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        """Why the store is closed; empty while it is open."""
        return self._trouble

    async def run(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `job` in one transaction and return its result once that is durable.

        A cancelled caller does not undo it: the transaction is either whole or not there.

        Raises:
            StoreUnavailable: if the store is closed, too busy, or the disk refuses; then nothing was written.
        """
        return await self._submit(lambda: self._transact(job))

    async def check(self) -> None:
        """Open the store again after trouble, if the file is sound and can be written to.

        Raises:
            StoreUnavailable: if it can't.
        """
        await self._submit(self._reopen)

    async def aclose(self) -> None:
        """Finish what waits, then close the file; safe to call twice."""
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.close)

    def close(self) -> None:
        """Finish what waits, then close the file, blocking; for the end of a process without a loop."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    async def _submit(self, call: Callable[[], Result]) -> Result:
        done, token = anyio.Event(), anyio.lowlevel.current_token()
        outcome: list[Result] = []
        failure: list[BaseException] = []

        def work() -> None:
            try:
                outcome.append(call())
            except Exception as error:  # noqa: BLE001 - carried to the caller; the thread has to live on
                failure.append(error)
            _wake(done, token)

        if not self._thread.is_alive():
            raise StoreUnavailable(f"{self._path.name} is closed")
        try:
            self._jobs.put_nowait(work)
        except queue.Full:
            raise StoreUnavailable(f"{self._path.name} has {QUEUE_MAX} records waiting", "is the disk slow?") from None
        await done.wait()
        if failure:
            raise failure[0]
        return outcome[0]

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
        self._shut()

    def _transact(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        connection = self._connection
        if connection is None:
            raise StoreUnavailable(f"{self._path.name} is closed since an error: {self._trouble}")
        try:
            connection.execute("BEGIN IMMEDIATE")
            result = job(connection)
            connection.execute("COMMIT")
        except (sqlite3.DatabaseError, OSError) as error:
            if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
                connection.execute("ROLLBACK")
                raise
            self._trouble = str(error)
            self._shut()
            raise StoreUnavailable(f"{self._path.name} can't be written: {error}", "mend the disk") from error
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return result

    def _reopen(self) -> None:
        self._shut()
        self._open()
        self._transact(lambda connection: connection.execute("UPDATE agt_probe SET count = count + 1"))

    def _open(self) -> None:
        try:
            if not self._path.exists():
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
            connection = sqlite3.connect(
                self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"{self._path.name} can't be opened: {error}") from error
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            verdict = connection.execute("PRAGMA quick_check").fetchone()[0]
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            connection.executescript(_PROBE + self._schema)
        except sqlite3.Error as error:
            connection.close()
            self._trouble = str(error)
            hint = f"move it away to start anew: mv {self._path} {self._path}.damaged"
            raise StoreUnavailable(f"{self._path.name} is not usable: {error}", hint) from error
        self._connection, self._trouble = connection, ""

    def _shut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                self._trouble = self._trouble or str(error)


_PROBE: Final = """
CREATE TABLE IF NOT EXISTS agt_probe (count INTEGER NOT NULL);
INSERT INTO agt_probe SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM agt_probe);
"""


def _wake(done: anyio.Event, token: anyio.lowlevel.EventLoopToken) -> None:
    try:
        anyio.from_thread.run_sync(done.set, token=token)
    except RuntimeError:
        return  # The loop has ended; nobody waits any more.

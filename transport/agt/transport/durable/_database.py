"""One SQLite database, owned by one thread, written in groups.

Theory of operation. sqlite3 blocks, and a connection belongs to one thread; so each store has a thread of its own. Jobs
come from the event loop through a queue. Whatever waits when the thread is free goes into one transaction (`BEGIN
IMMEDIATE`, WAL, synchronous FULL), and the loop is woken once for the whole group, after the commit. So a lone write
costs one flush, and a thousand writes at once cost one flush too; no timer decides.

Each SQLite call gives up Python's lock and has to win it back from a busy event loop, which may take milliseconds.
Jobs should therefore be few calls with much in each: one row for many messages, one statement for many rows.

A job that fails by its own fault (`_faults`) is undone alone: the group is rolled back and run again with each job in
a savepoint. Any other error closes the store: file and memory may disagree about what was written. Until `check` has
opened the file again and found it sound, every job is refused, in words. Whether the jobs of the failed group were
written is known only if the commit itself was not reached: `definite`.
"""

import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from agt.transport.durable._errors import StoreDamaged, StoreUnavailable
from agt.transport.durable._faults import hint_for, is_damage, is_jobs_own
from agt.transport.durable._files import Lock, check_header, damaged_hint, make_database, private_folder
from agt.transport.durable._soon import CallSoon

BUSY_TIMEOUT_S: Final = 5.0
"""How long another process's transaction (a backup, say) is waited for."""
GROUP_MAX: Final = 1000
"""Most jobs in one transaction; the rest goes into the next."""


class Job(Protocol):
    """One write; the calls come in this order."""

    def write(self, connection: sqlite3.Connection) -> None:
        """Write, on the store's thread, in a transaction that others share; may be called twice."""
        ...

    def done(self, error: Exception | None, *, definite: bool) -> None:
        """Learn, on the loop's thread, that it is durable, or why not and whether that is certain."""
        ...


class Layout(Protocol):
    """What a kind of store has in its database."""

    kind: str
    """What it is, in a word for people."""
    application_id: int
    """Marks the file as this kind of store."""

    def create(self, connection: sqlite3.Connection) -> None:
        """Fill a new database, in one transaction."""
        ...

    def verify(self, connection: sqlite3.Connection, path: Path) -> None:
        """Hold that an opened database is one of ours and of a version that we read.

        Raises:
            StoreDamaged: when it isn't.
            StoreUnavailable: when it is newer than we are.
        """
        ...


class Database:
    """An open database and its thread."""

    def __init__(self, path: Path, layout: Layout, call_soon: CallSoon) -> None:
        """Open the database, making it where there is none; blocks while its pages are checked.

        Raises:
            StoreInUse: when another process has it open.
            StoreDamaged: when the file is not what was written.
            StoreUnavailable: when it can't be used for another reason.
        """
        self.path = path
        self.trouble: StoreUnavailable | None = None
        """Why the store refuses; None while it is open."""
        self._layout = layout
        self._call_soon = call_soon
        self._jobs: queue.SimpleQueue[Job | _Stop | _Task] = queue.SimpleQueue()
        self._finished: deque[tuple[list[Job], Exception | None, bool]] = deque()
        private_folder(path)
        self._lock = Lock(path)
        try:
            self._connection: sqlite3.Connection | None = self._opened()
        except BaseException:
            self._lock.release()
            raise
        self._thread = threading.Thread(target=self._work, name=f"agt-{path.stem}", daemon=True)
        self._thread.start()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection: to be used by the opener before the first job, and by jobs."""
        assert self._connection is not None, "the store is open"
        return self._connection

    def submit(self, job: Job) -> None:
        """Have a job written with whatever else waits; never blocks."""
        self._jobs.put(job)

    def settle(self) -> None:
        """Block until everything submitted so far has been written or refused, and report it; on the loop's thread."""
        self.call(lambda _: None)
        self.report()

    def call(self, work: Callable[["Database"], None]) -> None:
        """Block until the thread has done `work` after everything submitted so far; from any thread.

        Raises:
            Exception: what `work` raised.
        """
        task = _Task(work)
        self._jobs.put(task)
        task.wait()
        if task.error is not None:
            raise task.error

    def check(self) -> None:
        """Open the file again after trouble, if it is sound and can be written to; blocks. A no-op without trouble.

        Raises:
            StoreUnavailable: when it can't be used yet.
        """
        self.call(Database._reopen)

    def stop(self) -> None:
        """Finish what waits and close the file; blocks, may be called from any thread, and twice."""
        if self._thread.is_alive():
            self._jobs.put(_STOP)
            self._thread.join()
            self._lock.release()

    def close(self) -> None:
        """Do that and report what ended, on the loop's thread."""
        self.stop()
        self.report()

    def report(self) -> None:
        """Tell the jobs that have ended; called on the loop's thread, once a group."""
        while self._finished:
            jobs, error, definite = self._finished.popleft()
            for job in jobs:
                job.done(error, definite=definite)

    # On the store's thread

    def _work(self) -> None:
        while True:
            first = self._jobs.get()
            group: list[Job] = []
            while not isinstance(first, _Stop | _Task):
                group.append(first)
                if len(group) >= GROUP_MAX or self._jobs.empty():
                    break
                first = self._jobs.get()
            if group:
                self._write(group)
                self._wake()
            if isinstance(first, _Task):
                first.run(self)
            elif isinstance(first, _Stop):
                break
        self._shut()

    def _wake(self) -> None:
        try:
            self._call_soon(self.report)
        except RuntimeError:
            return  # The loop has ended; `close` reports what is left.

    def _write(self, group: list[Job]) -> None:
        connection = self._connection
        if connection is None:
            self._finished.append((group, self.trouble, True))
            return
        committing = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            failed = _run(connection, group)
            committing = True
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001  # Whatever it was, the jobs must hear of it and the thread live on.
            definite = not committing or _is_full(error)
            self._close_for(error)
            self._finished.append((group, self.trouble, definite))
            return
        if failed:
            group = [job for job in group if job not in failed]
            self._finished.extend(([job], error, True) for job, error in failed.items())
        self._finished.append((group, None, True))

    def _close_for(self, error: Exception) -> None:
        self._shut()
        if is_damage(error):
            self.trouble = StoreDamaged(self.path, f"it is damaged: {error}", damaged_hint(self.path))
        else:
            self.trouble = StoreUnavailable(self.path, f"it can't be written: {error}", hint_for(error))

    def _shut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                return  # It was given up already, and why has been said.

    def _reopen(self) -> None:
        if self._connection is None:
            self._connection = self._opened()
            self.trouble = None

    def _opened(self) -> sqlite3.Connection:
        """Open, verify and try the file, or say what is the matter."""
        path = self.path
        connection: sqlite3.Connection | None = None
        try:
            if not path.exists():
                if path.with_name(path.name + "-wal").exists():
                    raise StoreDamaged(path, "the file is gone, its -wal is there", damaged_hint(path))
                make_database(path, self._layout.create)
            check_header(path)
            connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            self._prepare(connection)
        except (sqlite3.Error, OSError) as error:
            if connection is not None:
                connection.close()
            if is_damage(error):
                raise StoreDamaged(path, f"it is damaged: {error}", damaged_hint(path)) from error
            raise StoreUnavailable(path, f"it can't be opened: {error}", hint_for(error)) from error
        except StoreUnavailable:
            if connection is not None:
                connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise StoreDamaged(self.path, f"it is damaged: {verdict}", damaged_hint(self.path))
        self._layout.verify(connection, self.path)  # Before anything is changed in what may be somebody else's.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("BEGIN IMMEDIATE")  # A disk that is still full says so here, not at the next message.
        connection.execute("UPDATE agt_store SET opened = opened + 1")
        connection.execute("COMMIT")


class _Stop:
    """Ends the thread."""


_STOP: Final = _Stop()


class _Task:
    """Work that somebody blocks for."""

    def __init__(self, work: Callable[[Database], None]) -> None:
        self._work = work
        self._ended = threading.Event()
        self.error: Exception | None = None

    def run(self, database: Database) -> None:
        try:
            self._work(database)
        except Exception as error:  # noqa: BLE001  # It is raised where somebody waits for it.
            self.error = error
        self._ended.set()

    def wait(self) -> None:
        self._ended.wait()


def _run(connection: sqlite3.Connection, group: list[Job]) -> dict[Job, Exception]:
    """Run the jobs of a group in the open transaction; return those that failed by their own fault, undone."""
    try:
        for job in group:
            job.write(connection)
    except Exception as error:
        if not is_jobs_own(error):
            raise
    else:
        return {}
    failed: dict[Job, Exception] = {}
    if connection.in_transaction:  # Some errors have rolled back already.
        connection.execute("ROLLBACK")
    connection.execute("BEGIN IMMEDIATE")
    for job in group:
        connection.execute("SAVEPOINT job")
        try:
            job.write(connection)
        except Exception as error:
            if not is_jobs_own(error):
                raise
            connection.execute("ROLLBACK TO job")
            failed[job] = error
        connection.execute("RELEASE job")
    return failed


def _is_full(error: Exception) -> bool:
    """Whether the disk had no room: then the commit was never written whole."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL

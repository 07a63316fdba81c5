"""The database of a store: written in groups, undone alone, refused in words once anything is wrong with the file."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from agt.transport.durable import StoreDamaged, StoreInUse, StoreUnavailable
from agt.transport.durable._database import Database
from agt.transport.durable._sqlite_inbox import InboxLayout


class Note:
    """A job that adds numbers to a table."""

    def __init__(self, *numbers: int, before: Callable[[], object] = lambda: None) -> None:
        self._numbers = numbers
        self._before = before
        self.ends: list[tuple[Exception | None, bool]] = []

    def write(self, connection: sqlite3.Connection) -> None:
        self._before()
        for number in self._numbers:
            connection.execute("INSERT INTO notes VALUES (?)", (number,))

    def done(self, error: Exception | None, *, definite: bool) -> None:
        self.ends.append((error, definite))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "store" / "inbox.db"


@pytest.fixture
def open_store(path: Path):
    """Open the store, as often as one likes; closed at the end."""
    stores: list[Database] = []

    def build() -> Database:
        layout = InboxLayout("CREATE TABLE IF NOT EXISTS notes (number INTEGER PRIMARY KEY)")
        stores.append(Database(path, layout, lambda _callback: None))
        return stores[-1]

    yield build
    for store in stores:
        store.close()


def numbers(path: Path) -> list[int]:
    """Read, by another connection, what is committed."""
    connection = sqlite3.connect(path)
    rows = [row[0] for row in connection.execute("SELECT number FROM notes ORDER BY number")]
    connection.close()
    return rows


def test_what_is_reported_is_committed_and_outlives_the_store(open_store, path: Path) -> None:
    """A job hears of its end after the commit; the next opening finds it."""
    store = open_store()
    job = Note(1, 2)
    store.submit(job)
    store.settle()
    assert job.ends == [(None, True)]
    assert numbers(path) == [1, 2]
    store.close()
    open_store()
    assert numbers(path) == [1, 2]


def test_all_that_waits_goes_into_one_transaction(open_store, path: Path) -> None:
    """While one job is being written, the others gather: either all of them are visible or none is."""
    store = open_store()
    started, release = threading.Event(), threading.Event()

    def block() -> None:
        started.set()
        release.wait(10)

    store.submit(Note(0, before=block))
    started.wait(10)
    seen: list[list[int]] = []
    for number in range(1, 50):
        store.submit(Note(number, before=lambda: seen.append(numbers(path))))
    release.set()
    store.settle()
    assert seen == [[0]] * 49
    assert numbers(path) == list(range(50))


def test_a_job_that_fails_by_its_own_fault_is_undone_alone(open_store, path: Path) -> None:
    """The rest of the group is committed, and the store goes on."""
    store = open_store()
    started, release = threading.Event(), threading.Event()
    store.submit(Note(1, before=lambda: (started.set(), release.wait(10))))
    started.wait(10)
    good, bad, last = Note(2), Note(3, 1), Note(4)
    for job in (good, bad, last):
        store.submit(job)
    release.set()
    store.settle()
    assert good.ends == last.ends == [(None, True)]
    ((error, definite),) = bad.ends
    assert isinstance(error, sqlite3.IntegrityError)
    assert definite
    assert numbers(path) == [1, 2, 4]
    assert store.trouble is None


def test_files_are_for_their_owner_only(open_store, path: Path) -> None:
    """The folder is 0700 and every file in it 0600, also those that SQLite makes."""
    store = open_store()
    store.submit(Note(1))
    store.settle()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(modes) >= {"inbox.db", "inbox.db-wal", "inbox.db.lock"}
    assert set(modes.values()) == {0o600}


def test_a_folder_that_others_may_write_in_is_refused(open_store, path: Path) -> None:
    """Whoever may put files there could put a store there."""
    path.parent.mkdir()
    path.parent.chmod(0o777)
    with pytest.raises(StoreUnavailable, match="mkdir -m 700"):
        open_store()


def test_a_store_has_one_owner(open_store) -> None:
    """A second opening is refused in words, a later one works."""
    first = open_store()
    with pytest.raises(StoreInUse, match="another process has it open"):
        open_store()
    first.close()
    open_store()


def test_a_killed_owner_leaves_no_lock(open_store, path: Path) -> None:
    """Another process holds the store; after `kill -9` it is free."""
    open_store().close()
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(StoreInUse):
        open_store()
    child.kill()
    child.wait()
    child.stdout.close()
    child.stdin.close()
    open_store()


HOLD = """
import sys
from pathlib import Path
from agt.transport.durable._files import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 + 100)


def _scribble(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096))


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _other(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE somebody_elses (x)")
    connection.close()


@pytest.mark.parametrize("damage", [_cut, _scribble, _empty, _other], ids=lambda damage: damage.__name__.strip("_"))
def test_a_damaged_file_is_refused_and_left_as_it_is(open_store, path: Path, damage: Callable[[Path], None]) -> None:
    """Cut, overwritten, emptied or replaced: said in words at opening, never made anew."""
    store = open_store()
    store.submit(Note(*range(2000)))
    store.settle()
    store.close()
    damage(path)
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match="restore a copy"):
        open_store()
    assert path.read_bytes() == before


def test_a_half_made_store_is_made_again(open_store, path: Path) -> None:
    """A process that died while making its store has left only the young file, which counts for nothing."""
    path.parent.mkdir(mode=0o700)
    path.with_name("inbox.db.new").write_bytes(b"half")
    store = open_store()
    store.submit(Note(7))
    store.settle()
    assert numbers(path) == [7]


def test_an_error_of_the_file_closes_the_store_until_it_was_checked(open_store, path: Path) -> None:
    """After a write that failed everything is refused; `check` finds the file sound and goes on."""
    store = open_store()
    store.submit(Note(1))
    store.settle()
    job, later = Note(2, before=_raise_io_error), Note(3)
    store.submit(job)
    store.settle()
    store.submit(later)
    store.settle()
    ((error, definite),) = job.ends
    assert isinstance(error, StoreUnavailable)
    assert definite
    assert "call check()" in str(error)
    assert isinstance(later.ends[0][0], StoreUnavailable)
    store.check()
    assert store.trouble is None
    store.submit(Note(4))
    store.settle()
    assert numbers(path) == [1, 4]


def _raise_io_error() -> None:
    raise OSError(5, "Input/output error")


def test_a_check_of_a_damaged_file_says_so_and_keeps_the_store_closed(open_store, path: Path) -> None:
    """What is damaged stays refused."""
    store = open_store()
    store.submit(Note(*range(2000)))
    store.settle()
    store.submit(Note(9000, before=_raise_io_error))
    store.settle()
    _scribble(path)
    with pytest.raises(StoreDamaged):
        store.check()
    refused = Note(9001)
    store.submit(refused)
    store.settle()
    assert isinstance(refused.ends[0][0], StoreUnavailable)

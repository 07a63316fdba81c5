"""The files of a store: private, owned by one process at a time, made whole or not at all.

A store is a database, what SQLite keeps beside it (`-wal`, `-shm`), and a `.lock` that its owner holds. The lock is a
file of its own because closing any descriptor of the database would drop SQLite's own locks. A new database is made
under another name and renamed: whoever finds a database without its tables has found a damaged one, not a young one.
"""

import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agt.transport.durable._errors import StoreDamaged, StoreInUse, StoreUnavailable

MAGIC: Final = b"SQLite format 3\0"
"""What every SQLite database begins with."""
OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def private_folder(path: Path) -> None:
    """Make the folder of a store, or hold that nobody else can put files there.

    Raises:
        StoreUnavailable: when it can't be made, or others may write in it.
    """
    folder = path.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = folder.stat().st_mode
    except OSError as error:
        raise StoreUnavailable(path, f"its folder can't be used: {error}", "choose another") from error
    if mode & OTHERS_WRITE:
        raise StoreUnavailable(
            path,
            f"others may write in its folder (mode {stat.S_IMODE(mode):o})",
            "give it a folder of its own: mkdir -m 700",
        )


class Lock:
    """The right to a store, held until released or until the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Take it.

        Raises:
            StoreInUse: when somebody has it.
            StoreUnavailable: when its file can't be made.
        """
        self._file = path.with_name(path.name + ".lock")
        try:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StoreUnavailable(path, f"its lock can't be opened: {error}", "mend that first") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise StoreInUse(
                path, "another process has it open", "end that one, or give each process a store of its own"
            ) from error

    def release(self) -> None:
        """Give it up; the file stays, since removing it would race with the next owner."""
        os.close(self._descriptor)


def make_database(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make a database whole: fill it under another name, flush it, then give it its own.

    The caller holds the lock.

    Raises:
        sqlite3.Error: when it can't be filled.
        OSError: when it can't be flushed or renamed.
    """
    young = path.with_name(path.name + ".new")
    for suffix in ("", "-wal", "-shm", "-journal"):
        young.with_name(young.name + suffix).unlink(missing_ok=True)
    os.close(os.open(young, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
    connection = sqlite3.connect(young, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        fill(connection)
    finally:
        connection.close()
    young.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_header(path: Path) -> None:
    """Hold that an existing file is an SQLite database, before SQLite may take an empty one for new.

    Raises:
        StoreDamaged: when it isn't.
        OSError: when it can't be read.
    """
    with path.open("rb") as file:
        head = file.read(len(MAGIC))
    if head != MAGIC:
        raise StoreDamaged(path, "is empty" if not head else "is no SQLite database", damaged_hint(path))


def damaged_hint(path: Path) -> str:
    """Say what to do with a damaged store."""
    return (
        f"restore a copy, or keep it for inspection and start anew: mkdir {path}.damaged && mv {path} {path}-* "
        f"{path}.damaged/ (what only it knew is lost; see docs/runbooks/durable-stores.md)"
    )

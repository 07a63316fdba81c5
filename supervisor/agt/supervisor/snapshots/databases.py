"""Databases as parts of a snapshot; apart from the rest, since reading a list of snapshots needs no database."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path


def back_up_database(source: Path) -> Callable[[Path], None]:
    """Return a writer that copies a live SQLite database, whole, while others write to it (sqlite3's online backup)."""

    def write(target: Path) -> None:
        try:
            with (
                closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as origin,
                closing(sqlite3.connect(target)) as copy,
            ):
                origin.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            raise OSError(f"{source.name} can't be copied: {error}") from error

    return write

"""Which SQLite errors are the fault of one job, and which close the store.

A statement that can't be run, or breaks a constraint, is its author's fault: its own part of the transaction is
undone and everything else goes on. All other errors say that the file and our idea of it may differ.
"""

import sqlite3
from typing import Final

PRIMARY: Final = 0xFF
"""Extended result codes carry the primary one in their low byte."""
JOBS_OWN: Final = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_AUTH,
    }
)

HINTS: Final = {
    sqlite3.SQLITE_FULL: "free some space, then call check()",
    sqlite3.SQLITE_BUSY: "something else writes to it: end that, then call check()",
    sqlite3.SQLITE_LOCKED: "something else writes to it: end that, then call check()",
    sqlite3.SQLITE_READONLY: "make file and folder writable, then call check()",
    sqlite3.SQLITE_IOERR: "look after the disk, then call check()",
}
"""What to do about errors of the world."""


def code_of(error: BaseException) -> int:
    """Return the primary result code of an error, `SQLITE_INTERNAL` for one that carries none."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_INTERNAL)
    return code & PRIMARY


def is_jobs_own(error: BaseException) -> bool:
    """Whether only the job that met this error has failed."""
    if isinstance(error, sqlite3.Error):
        if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError | sqlite3.IntegrityError):
            return True
        return code_of(error) in JOBS_OWN
    return not isinstance(error, OSError | MemoryError)


def is_damage(error: BaseException) -> bool:
    """Whether this error says that the file is not what was written."""
    return code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def hint_for(error: BaseException) -> str:
    """Say what to do about an error of the world."""
    return HINTS.get(code_of(error), "look after the disk and the file, then call check()")

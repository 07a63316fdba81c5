"""The writes of one commit, gathered on the event loop and run in one go on the store's thread.

Statements don't run when they are called: they run, in order, when the `async with` is left, in the same transaction
as the sender's mark. So a commit costs one round trip to the store's thread however many statements it has, and
commits that wait at the same time share one flush.
"""

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from agt.transport._errors import UsageError

Parameters = Sequence[Any] | dict[str, Any]
_CONTROL: Final = ("BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "ATTACH", "DETACH", "VACUUM", "PRAGMA")


class SQLiteTransaction:
    """What an application writes in one commit."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        self._steps: list[Callable[[sqlite3.Connection], object]] = []

    def execute(self, statement: str, parameters: Parameters = ()) -> None:
        """Run a statement at the commit.

        Raises:
            UsageError: when it would end or begin a transaction.
        """
        _check(statement)
        self._steps.append(lambda connection: connection.execute(statement, parameters))

    def executemany(self, statement: str, rows: Iterable[Parameters]) -> None:
        """Run a statement once for each row at the commit.

        Each row costs the store's thread a race for Python's lock; for many rows beside a busy event loop, `insert`
        is several times faster.

        Raises:
            UsageError: when it would end or begin a transaction.
        """
        _check(statement)
        kept = list(rows)
        self._steps.append(lambda connection: connection.executemany(statement, kept))

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert many rows with as few statements as possible; each row has a value for every column, in order.

        Args:
            table: the table, or `table (column, ...)`; not to be taken from anybody's input.
            rows: their values.
        """
        if rows:
            self._steps.append(lambda connection: _insert(connection, table, rows))

    def run(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Call a function with the connection at the commit, on the store's thread; it may read and decide.

        It must do nothing but use the connection, must not end the transaction, and may be called twice.
        """
        self._steps.append(work)

    def write(self, connection: sqlite3.Connection) -> None:
        """Do everything, on the store's thread."""
        for step in self._steps:
            step(connection)


def _check(statement: str) -> None:
    if statement.lstrip().upper().startswith(_CONTROL):
        raise UsageError(f"a commit is one transaction already; it can't run {statement.split(maxsplit=1)[0]}")


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Sequence[Any]]) -> None:
    width = len(rows[0])
    most = max(1, connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // width)
    most = min(most, connection.getlimit(sqlite3.SQLITE_LIMIT_COMPOUND_SELECT), 250)
    marks = f"({', '.join('?' * width)})"
    for start in range(0, len(rows), most):
        part = rows[start : start + most]
        values = [value for row in part for value in row]
        # The table's name is the program's own, the values are bound.
        connection.execute(f"INSERT INTO {table} VALUES {', '.join([marks] * len(part))}", values)  # noqa: S608

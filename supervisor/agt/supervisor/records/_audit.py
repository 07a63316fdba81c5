"""The audit: every operator action, each row sealed with the hash of the one before.

A row's hash covers its own fields and its predecessor's hash, so that a row that was changed, taken out or put in shows
at the next one. Rows cut off at the end show against a head that was noted elsewhere: reports print it for that
reason. A refused action is a row too. What an action was given is kept, but never a secret: callers hand in what may
be seen.

Source: the linked hashes of S. Haber, W. Stornetta, "How to time-stamp a digital document", Journal of Cryptology 3
(1991).
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from agt.supervisor.records._store import Store, StoreUnavailable
from agt.supervisor.rows import AuditRow

SHOWN_MAX: Final = 1000
"""Rows that one question returns."""
VERIFY_BATCH: Final = 1000
DETAIL_MAX: Final = 4096
"""Bytes of one action's detail; more is cut, and says so."""
GENESIS: Final = "0" * 64
"""What the first row follows."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, by_whom TEXT NOT NULL, action TEXT NOT NULL,
    detail TEXT NOT NULL, outcome TEXT NOT NULL, says TEXT NOT NULL, hash TEXT NOT NULL) STRICT;
"""


@dataclass(frozen=True, slots=True)
class AuditHead:
    """The end of the chain; noted elsewhere, it shows whether rows were cut off."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "AuditHead":
        """Read what `str` wrote.

        Raises:
            ValueError: if it isn't a number, a colon and 64 hexadecimal digits.
        """
        number, colon, digest = text.strip().partition(":")
        if not (colon and number.isascii() and number.isdigit() and len(digest) == len(GENESIS)):
            raise ValueError("an audit head is written NUMBER:HASH, as reports and `agt audit verify` print it")
        if set(digest) - set("0123456789abcdef"):
            raise ValueError("an audit head's hash is 64 hexadecimal digits")
        return cls(int(number), digest)


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """What a walk over the chain found."""

    rows: int
    head: AuditHead
    problem: str = ""
    """The first thing that is wrong; empty when the chain is whole."""

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


def sealed(row: AuditRow, previous: str) -> AuditRow:
    """Return the row with its hash, given the hash of the one before."""
    fields = (previous, row.number, row.at, row.by, row.action, row.detail, row.outcome, row.says)
    return msgspec.structs.replace(row, hash=hashlib.sha256(msgspec.json.encode(fields)).hexdigest())


def verify_chain(rows: Iterable[AuditRow], *, head: AuditHead | None = None) -> AuditVerdict:
    """Walk a chain from its first row; with `head`, also see whether it still reaches one that was noted."""
    previous, number, noted = GENESIS, 0, head is None or head.number == 0
    for row in rows:
        if row.number != number + 1:
            problem = f"row {number + 1} is missing: after {number} comes {row.number}"
            return AuditVerdict(number, AuditHead(number, previous), problem)
        if sealed(row, previous).hash != row.hash:
            problem = f"row {row.number} was changed, or a row before it ({row.action} by {row.by})"
            return AuditVerdict(number, AuditHead(number, previous), problem)
        previous, number = row.hash, row.number
        if head is not None and head.number == number:
            if head.hash != previous:
                problem = f"row {number} is not the one that was noted: the chain was written anew"
                return AuditVerdict(number, AuditHead(number, previous), problem)
            noted = True
    problem = "" if noted or head is None else f"rows {number + 1} to {head.number} were cut off"
    return AuditVerdict(number, AuditHead(number, previous), problem)


class Audit:
    """The chain in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, *rows: AuditRow) -> AuditHead:
        """Seal rows in order and make them durable, all or none.

        Raises:
            StoreUnavailable: if that is impossible now; the caller keeps them, since going back waits for no record.
        """

        def job(connection: sqlite3.Connection) -> AuditHead:
            head = _head(connection)
            for row in rows:
                cut = row.detail if len(row.detail) <= DETAIL_MAX else row.detail[:DETAIL_MAX] + " (cut)"
                numbered = msgspec.structs.replace(row, number=head.number + 1, detail=cut)
                done = sealed(numbered, head.hash)
                connection.execute(
                    "INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (done.number, done.at, done.by, done.action, done.detail, done.outcome, done.says, done.hash),
                )
                head = AuditHead(done.number, done.hash)
            return head

        return await self._store.run(job)

    async def head(self) -> AuditHead:
        """Return the end of the chain."""
        return await self._store.run(_head)

    async def newest(self, limit: int = 100) -> list[AuditRow]:
        """Return the newest rows, newest first."""
        bound = max(0, min(limit, SHOWN_MAX))
        return await self._store.run(lambda connection: list(_rows(connection, "ORDER BY number DESC LIMIT ?", bound)))

    async def verify(self, head: AuditHead | None = None) -> AuditVerdict:
        """Walk the whole chain."""
        return await self._store.run(lambda connection: verify_chain(_all(connection), head=head))


def verify_file(connection: sqlite3.Connection, head: AuditHead | None = None) -> AuditVerdict:
    """Walk the chain of a database that somebody else has open or left behind."""
    return verify_chain(_all(connection), head=head)


def verify_at(path: Path, head: AuditHead | None = None) -> AuditVerdict:
    """Walk the chain of a database file; it is only read.

    Raises:
        StoreUnavailable: when it can't be read.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return verify_file(connection, head)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{path} can't be read: {error}", "give the run directory with --run-dir") from error


def _all(connection: sqlite3.Connection) -> Iterator[AuditRow]:
    after = 0
    while batch := list(_rows(connection, "WHERE number > ? ORDER BY number LIMIT ?", after, VERIFY_BATCH)):
        yield from batch
        after = batch[-1].number


def _rows(connection: sqlite3.Connection, clause: str, *bound: int) -> Iterator[AuditRow]:
    names = "number, at, by_whom, action, detail, outcome, says, hash"
    for row in connection.execute(f"SELECT {names} FROM audit {clause}", bound):  # noqa: S608 - our own clauses only.
        number, at, by, action, detail, outcome, says, digest = row
        yield AuditRow(
            number=number, at=at, by=by, action=action, detail=detail, outcome=outcome, says=says, hash=digest
        )


def _head(connection: sqlite3.Connection) -> AuditHead:
    found = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return AuditHead(*found) if found else AuditHead(0, GENESIS)

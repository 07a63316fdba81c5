"""The tables of an outbox, and how its writes and its past become rows and come back."""

import random
import sqlite3
from pathlib import Path
from typing import Final

from agt.transport.durable._errors import StoreDamaged, StoreUnavailable
from agt.transport.durable._files import damaged_hint
from agt.transport.durable._writes import ChannelPast, OutboxWrite, Past, Segment, unpack

VERSION: Final = 1
SCHEMA: Final = """
BEGIN;
CREATE TABLE agt_store (opened INTEGER NOT NULL) STRICT;
INSERT INTO agt_store VALUES (0);
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL, epoch INTEGER NOT NULL, peer_memory INTEGER NOT NULL
) STRICT;
CREATE TABLE channels (channel INTEGER PRIMARY KEY, base INTEGER NOT NULL) STRICT;
CREATE TABLE segments (
    channel INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL, checksum INTEGER NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY (channel, first)) STRICT;
CREATE TABLE ended (channel INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (channel, sequence))
    STRICT, WITHOUT ROWID;
COMMIT;
"""


class OutboxLayout:
    """A new outbox for a sender, or an existing one that must be this sender's."""

    kind = "outbox"
    application_id = 0x61677401

    def __init__(self, name: str, epoch: int) -> None:
        """Say who it is for.

        Args:
            name: the sender; empty to take the one that an existing outbox has.
            epoch: the incarnation that a new one begins.
        """
        self._name = name
        self._epoch = epoch

    def create(self, connection: sqlite3.Connection) -> None:
        """Fill a new database."""
        name = self._name or f"outbox-{random.SystemRandom().getrandbits(64):016x}"
        connection.execute(f"PRAGMA application_id = {self.application_id}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.executescript(SCHEMA)
        connection.execute("INSERT INTO outbox VALUES (1, ?, ?, 0)", (name, self._epoch))

    def verify(self, connection: sqlite3.Connection, path: Path) -> None:
        """Hold that it is an outbox, of our version, of this sender."""
        verify_kind(connection, path, self.kind, self.application_id, VERSION)
        row = connection.execute("SELECT name FROM outbox").fetchone()
        if row is None:
            raise StoreDamaged(path, "it has lost its sender", damaged_hint(path))
        if self._name and row[0] != self._name:
            raise StoreUnavailable(
                path, f"it belongs to the sender {row[0]!r}, not {self._name!r}", "give each sender its own"
            )


def verify_kind(connection: sqlite3.Connection, path: Path, kind: str, application_id: int, version: int) -> None:
    """Hold that a database is of this kind and of a version that we read.

    Raises:
        StoreDamaged: when it is of another kind.
        StoreUnavailable: when it is newer than we are.
    """
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    if found != application_id:
        raise StoreDamaged(path, f"it is a database, but no {kind} of ours", damaged_hint(path))
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found != version:
        raise StoreUnavailable(
            path, f"it was written by version {found}, this is version {version}", "use the agt that wrote it"
        )


def read_past(connection: sqlite3.Connection, path: Path) -> Past:
    """Return everything that an outbox still has to say.

    Raises:
        StoreDamaged: when something is missing or not what was written.
    """
    name, epoch, peer_memory = connection.execute("SELECT name, epoch, peer_memory FROM outbox").fetchone()
    bases: dict[int, int] = dict(connection.execute("SELECT channel, base FROM channels ORDER BY channel"))
    past = Past(name, epoch, peer_memory, {channel: ChannelPast(base) for channel, base in bases.items()})
    rows = connection.execute("SELECT channel, first, count, body, checksum FROM segments ORDER BY channel, first")
    ended = set(connection.execute("SELECT channel, sequence FROM ended"))
    for channel, first, count, body, checksum in rows:
        into = past.channels.setdefault(channel, ChannelPast())
        expected = into.base + len(into.messages) + 1
        if first > expected or (into.messages and first != expected):
            raise StoreDamaged(path, f"messages {expected} to {first - 1} are missing", damaged_hint(path))
        try:
            messages = unpack(Segment(channel, first, count, body), checksum)
        except ValueError as error:
            raise StoreDamaged(path, str(error), damaged_hint(path)) from error
        into.messages += messages[expected - first :]
    for channel, into in past.channels.items():
        for sequence, message in enumerate(into.messages, into.base + 1):
            if (channel, sequence) in ended:
                message.ended, message.payload = True, b""
    return past


def write(connection: sqlite3.Connection, change: OutboxWrite) -> None:
    """Write a change; few statements with much in each."""
    for channel, through in change.keep_through.items():
        connection.execute("DELETE FROM segments WHERE channel = ? AND first > ?", (channel, through))
    for segment in change.segments:
        connection.execute(
            "INSERT INTO segments VALUES (?, ?, ?, ?, ?)",
            (segment.channel, segment.first, segment.count, segment.checksum, segment.body),
        )
    if change.ended:
        connection.executemany("INSERT OR IGNORE INTO ended VALUES (?, ?)", change.ended)
    for channel, base in change.bases.items():
        connection.execute("INSERT OR REPLACE INTO channels VALUES (?, ?)", (channel, base))
        connection.execute(
            "DELETE FROM segments WHERE channel = ? AND first + count - 1 <= ? AND first <= ?", (channel, base, base)
        )
        if change.ended or connection.execute("SELECT 1 FROM ended LIMIT 1").fetchone():
            connection.execute("DELETE FROM ended WHERE channel = ? AND sequence <= ?", (channel, base))
    if change.peer_memory:
        connection.execute("UPDATE outbox SET peer_memory = ?", (change.peer_memory,))

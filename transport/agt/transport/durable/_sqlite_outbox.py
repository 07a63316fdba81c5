"""The outbox that comes with us: the link's bookkeeping, joined to a database and to the running loop."""

import random
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import msgspec

from agt.transport._config import ReliableConfig
from agt.transport._errors import Closed, UsageError
from agt.transport._message_id import new_epoch
from agt.transport._native import native_config
from agt.transport._timers import running_clock
from agt.transport.durable._database import Database
from agt.transport.durable._errors import StoreUnavailable
from agt.transport.durable._faults import hint_for
from agt.transport.durable._outbox_layout import OutboxLayout, read_past, write
from agt.transport.durable._outbox_link import OutboxLink
from agt.transport.durable._soon import CallSoon, running_loop
from agt.transport.durable._writes import OutboxWrite, Past
from agt.transport.wires.native import KeepingLink

MESSAGES_MAX: Final = 100_000
"""Messages that an outbox holds when not said otherwise."""
BYTES_MAX: Final = 64 << 20
"""Bytes of their payloads."""
SPAN_SHARE: Final = 2
"""So many times the messages held may lie between the oldest number and the newest: those that gave way included."""


class SQLiteOutbox:
    """Keeps what a `ReliableTransport` has accepted until it has ended, over restarts and `kill -9`.

    Give it to one transport, which opens and closes it. One process at a time can have it open.
    """

    def __init__(self, path: str | Path, *, max_messages: int = MESSAGES_MAX, max_bytes: int = BYTES_MAX) -> None:
        """Remember where; nothing is touched yet.

        Args:
            path: the database; made, mode 0600, where there is none. Its folder must be writable by nobody else.
            max_messages: messages held at most; one more meets the transport's overflow policy.
            max_bytes: bytes of their payloads held at most; the same.

        Raises:
            UsageError: when there would be room for nothing.
        """
        if max_messages < 1 or max_bytes < 1:
            raise UsageError(f"an outbox needs room, not for {max_messages} messages and {max_bytes} bytes")
        self.path = Path(path)
        self._max_messages, self._max_bytes = max_messages, max_bytes
        self._database: Database | None = None
        self._link: OutboxLink | None = None
        self._soon: CallSoon | None = None
        self._clock: Callable[[], float] = time.monotonic
        self._asked = False
        self._writing = False
        self._ended: anyio.Event | None = None

    @property
    def trouble(self) -> StoreUnavailable | None:
        """Why nothing is accepted now; None while all is well, or before it is opened."""
        return self._link.trouble if self._link is not None else None

    async def check(self) -> None:
        """Open the file again after trouble, if it is sound and can be written to; sends are accepted again then.

        Raises:
            StoreUnavailable: when it can't be used yet.
            Closed: when it isn't open.
        """
        database, link = self._opened()
        await anyio.to_thread.run_sync(database.check)
        if link.trouble is not None:
            link.reopened()

    async def stored(self) -> None:
        """Wait until everything accepted so far is durable: from then on it outlives this process.

        Raises:
            StoreUnavailable: when it can't be stored; what was accepted ends in words.
            Closed: when the outbox isn't open.
        """
        _, link = self._opened()
        wanted = link.accepted_count
        while link.stored_count < wanted:
            if link.trouble is not None:
                raise link.trouble.again()
            if self._ended is None:
                self._ended = anyio.Event()
            await self._ended.wait()

    # Called by the transport

    async def open(self, name: str, config: ReliableConfig) -> OutboxLink:
        """Open the database and return the link over it, for the running loop; see `start` for what it raises."""
        soon, clock = running_loop(), running_clock()
        return await anyio.to_thread.run_sync(lambda: self.start(name, config, call_soon=soon, clock=clock))

    def start(
        self, name: str, config: ReliableConfig, *, call_soon: CallSoon, clock: Callable[[], float]
    ) -> OutboxLink:
        """Open the database and return the link over it; blocks.

        Args:
            name: who sends; empty to go on as whom the outbox is for, drawn when it is made.
            config: limits and waits; the outbox's own limits stand in for `send_queue_max`.
            call_soon: how the store's thread reaches the thread that drives the link.
            clock: that thread's clock, the one of the link's `now`.

        Raises:
            UsageError: when it is open already.
            StoreInUse: when another process has it open.
            StoreDamaged: when the file is not what was written.
            StoreUnavailable: when it can't be used for another reason, or is another sender's.
        """
        if self._database is not None:
            raise UsageError(f"{self.path}: this outbox is in use by another transport")
        database = Database(
            self.path, OutboxLayout(name, new_epoch(time.time_ns() // 1_000_000, random.SystemRandom())), call_soon
        )
        try:
            past = read_past(database.connection, self.path)
        except BaseException as error:
            database.close()
            if isinstance(error, sqlite3.Error):
                raise StoreUnavailable(self.path, f"it can't be read: {error}", hint_for(error)) from error
            raise
        self._database, self._soon, self._clock = database, call_soon, clock
        self._asked = self._writing = False
        self._link = self._make_link(past, config)
        return self._link

    async def aclose(self) -> None:
        """Write what the link still has to write and close the file; safe to call twice."""
        if self._database is None:
            return
        database, _ = self._opened()
        with anyio.CancelScope(shield=True):
            while self._submit() or self._writing:
                await anyio.to_thread.run_sync(lambda: database.call(_nothing))
                database.report()
            await anyio.to_thread.run_sync(database.stop)
        self._forget()

    def close(self) -> None:
        """The same, blocking; for drivers without a loop, on the thread that drives the link."""
        if self._database is not None:
            self.flush()
            self._database.close()
            self._forget()

    def flush(self) -> None:
        """Have everything written before this returns, if the store can; blocks the link's thread."""
        database, _ = self._opened()
        while self._submit() or self._writing:
            database.settle()

    # Within

    def _make_link(self, past: Past, config: ReliableConfig) -> OutboxLink:
        native = msgspec.structs.replace(
            native_config(config, kept=True),
            send_queue_max=SPAN_SHARE * self._max_messages,
            send_queue_bytes_max=sys.maxsize,
        )
        link = KeepingLink(
            past.name,
            rng=random.SystemRandom(),
            config=native,
            epoch=past.epoch,
            peer_memory=past.peer_memory,
        )
        return OutboxLink(
            link,
            past,
            max_messages=self._max_messages,
            max_bytes=self._max_bytes,
            on_write=self._ask,
            flush=self.flush,
        )

    def _opened(self) -> tuple[Database, OutboxLink]:
        if self._database is None or self._link is None:
            raise Closed(f"{self.path}: the outbox is not open; it opens with the transport it was given to")
        return self._database, self._link

    def _forget(self) -> None:
        self._database = self._link = self._soon = None

    def _ask(self) -> None:
        """There may be something to write: look at the end of this turn, so that a burst is one write."""
        if not (self._asked or self._writing) and self._soon is not None:
            self._asked = True
            self._soon(self._look)

    def _look(self) -> None:
        self._asked = False
        self._submit()

    def _submit(self) -> bool:
        """Start a write if there is something and none is on its way."""
        if self._database is None or self._link is None:
            return False
        change = self._link.next_write(now=self._clock(), wall_now=time.time())
        if change is None:
            return False
        self._writing = True
        self._database.submit(_Write(self, change))
        return True

    def written(self, error: Exception | None, *, definite: bool) -> None:
        """A write has ended; called by it."""
        link, now = self._link, self._clock()
        self._writing = False
        if link is None:
            return
        if error is None:
            link.written(now=now)
        else:
            if not isinstance(error, StoreUnavailable):
                error = StoreUnavailable(self.path, f"it can't be written: {error}", hint_for(error))
            link.failed(error, definite=definite, now=now)
        self._submit()
        if self._ended is not None:
            self._ended.set()
            self._ended = None
        link.on_change()


class _Write:
    """One write on its way to the disk."""

    def __init__(self, outbox: SQLiteOutbox, change: OutboxWrite) -> None:
        self._outbox = outbox
        self._change = change

    def write(self, connection: sqlite3.Connection) -> None:
        write(connection, self._change)

    def done(self, error: Exception | None, *, definite: bool) -> None:
        self._outbox.written(error, definite=definite)


def _nothing(_: Database) -> None:
    """Do nothing, after everything that was submitted before."""

"""A simulated disk: a database in memory whose writes take time, may fail, and are cut off by a crash.

What SQLite promises is taken as given: a transaction is whole or not there. Everything between is open: a crash may
come before a commit, or after it and before anybody was told; a failed write may leave nobody able to say which.
"""

import sqlite3
from collections.abc import Callable
from random import Random
from typing import Final

from agt.chaos.sim._clock import Clock

SOUND_WRITE_S: Final = 0.02
"""The longest write of a disk that is well."""

Work = Callable[[sqlite3.Connection], None]
Done = Callable[[bool, bool], None]
"""Told whether the write failed, and whether nothing was written for certain."""


class _Write:
    """One write on its way."""

    __slots__ = ("committed", "definite", "done", "failed", "work")

    def __init__(self, work: Work, done: Done) -> None:
        self.work, self.done = work, done
        self.committed = self.failed = False
        self.definite = True


class Disk:
    """One host's database; it outlives the host's processes."""

    def __init__(self, clock: Clock, rng: Random, *, write_s: float, fail: float, note: Callable[[str], None]) -> None:
        """Format it.

        Args:
            clock: the world's.
            rng: the disk's own.
            write_s: how long a write takes at most, to its commit and again until it is told.
            fail: chance that a write fails.
            note: takes what happened, for the trace.
        """
        self._clock, self._rng, self._note = clock, rng, note
        self._write_s = write_s
        self._writes: list[_Write] = []
        self._fail = fail
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        """The database itself, for reading what a process finds when it starts."""

    def submit(self, work: Work, done: Done) -> None:
        """Have `work` done in a transaction, and `done` told afterwards."""
        write = _Write(work, done)
        self._writes.append(write)
        self._later(write)

    def heal(self) -> None:
        """Let no write fail any more, or take long: two processes may fight over a name for as long as that takes."""
        self._fail = 0.0
        self._write_s = min(self._write_s, SOUND_WRITE_S)

    def settle(self) -> None:
        """Finish and tell at once what was submitted; the process blocks on it."""
        while self._writes:
            write = self._writes[0]
            if not write.committed:
                self._commit(write)
            self._tell(write)

    def crash(self) -> None:
        """The process is gone: what wasn't committed never will be, what was committed is told to nobody."""
        self._writes.clear()

    def _later(self, write: _Write) -> None:
        self._clock.after(self._rng.random() * self._write_s, lambda: self._advance(write))

    def _advance(self, write: _Write) -> None:
        if write not in self._writes:
            return
        if write.committed:
            self._tell(write)
        else:
            self._commit(write)
            self._later(write)

    def _commit(self, write: _Write) -> None:
        write.committed = True
        write.failed = self._rng.random() < self._fail
        written = not write.failed
        if write.failed:
            write.definite = self._rng.random() < 0.5
            written = not write.definite and self._rng.random() < 0.5
            self._note(f"a write fails, {'undone' if write.definite else 'in doubt'}")
        if written:
            self.connection.execute("BEGIN IMMEDIATE")
            write.work(self.connection)
            self.connection.execute("COMMIT")

    def _tell(self, write: _Write) -> None:
        self._writes.remove(write)
        write.done(write.failed, write.definite)

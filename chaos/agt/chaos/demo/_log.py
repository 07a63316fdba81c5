"""Logs of the demo's processes: records gathered and appended in one write a turn, flushed to the kernel only.

What must survive is the death of a process, not of the machine, so there is no fsync.
"""

import os
from pathlib import Path

import msgspec

from agt.chaos.checkers import Record

FLUSH_S = 0.05
"""How long a record may wait in memory."""


class RecordLog:
    """Appends records to one file."""

    def __init__(self, path: Path) -> None:
        """Open or make the file.

        Raises:
            OSError: when it can't be written.
        """
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._encoder = msgspec.json.Encoder()
        self._pending: list[bytes] = []

    def add(self, record: Record) -> None:
        """Gather a record for the next flush."""
        self._pending.append(self._encoder.encode(record))

    def flush(self) -> None:
        """Hand what was gathered to the kernel."""
        if self._pending:
            pending, self._pending = self._pending, []
            os.write(self._handle, b"\n".join(pending) + b"\n")

    def close(self) -> None:
        """Flush and close."""
        self.flush()
        os.close(self._handle)

"""What a component writes: kept in a file without a reader, bounded, looked at from where it began.

The process holds the file's descriptor, so the file is never renamed. When it is full, its beginning moves to
`NAME.log.1` and is cut off; so the two together hold the last one to two limits' worth, without a gap. Where a
filesystem can't cut, the file is copied and emptied, and a line written between the two is lost: `Moved.sure` says
which it was. Positions count from the first byte that this supervisor has known, so that they stay true over a cut.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from agt.supervisor.components._cut import cut_beginning

CHUNK: Final = 64 << 10
LINE_MAX: Final = 4096
"""Bytes of a line that are matched; what is longer is matched in pieces."""
READ_MAX: Final = 4 << 20
"""Bytes that are read at one look; the rest waits for the next."""
TAIL_BYTES: Final = 8192
TAIL_LINES: Final = 5
TAIL_LINE_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Moved:
    """A full log was made room in."""

    kept: int
    """Bytes that moved to the older file."""
    dropped: int
    """Bytes that are gone: what the older file held, and what had outgrown the limit meanwhile."""
    sure: bool
    """Whether nothing can have been lost between copy and cut."""


class Output:
    """The log of one component and the older one beside it."""

    def __init__(self, log: Path) -> None:
        self.log, self.older = log, log.with_suffix(".log.1")
        self._cut = 0

    @property
    def end(self) -> int:
        """The position behind the last byte."""
        try:
            return self._cut + self.log.stat().st_size
        except OSError:
            return self._cut

    def bound(self, max_bytes: int) -> Moved | None:
        """Make room when the log is larger than its limit; None when there was nothing to do, or the disk said no."""
        try:
            if self.log.stat().st_size <= max_bytes:
                return None
            with self.log.open("r+b") as log:
                return self._make_room(log, max_bytes)
        except OSError:
            return None

    def read(self, position: int, size: int) -> tuple[bytes, int]:
        """Return bytes from a position on, and the position behind them; what was cut off by now is skipped."""
        try:
            with self.log.open("rb") as log:
                start = max(position - self._cut, 0)
                log.seek(start)
                found = log.read(size)
        except OSError:
            return b"", position
        return found, self._cut + start + len(found)

    def last_lines(self, count: int = TAIL_LINES) -> tuple[str, ...]:
        """Return the last lines, oldest first, each cut to what fits a screen."""
        text = _tail(self.log)
        if text.count(b"\n") < count:
            text = _tail(self.older) + text
        lines = text.decode("utf-8", "replace").splitlines()[-count:]
        return tuple(line[:TAIL_LINE_MAX] for line in lines)

    def _make_room(self, log: BinaryIO, max_bytes: int) -> Moved:
        descriptor = log.fileno()
        before = self.older.stat().st_size if self.older.exists() else 0
        block = max(os.fstat(descriptor).st_blksize, 1)
        whole = (os.fstat(descriptor).st_size - 1) // block * block
        kept = _copy(log, max(whole - max_bytes, 0), whole, self.older)
        cut = cut_beginning(descriptor, whole)
        if cut is None:
            whole = os.fstat(descriptor).st_size
            kept = _copy(log, max(whole - max_bytes, 0), whole, self.older)
            os.ftruncate(descriptor, 0)
        self._cut += whole if cut is None else cut
        return Moved(kept, dropped=before + whole - kept, sure=cut is not None)


class LineWatch:
    """Looks for a line in what is written from a position on."""

    def __init__(self, output: Output, since: int, pattern: str) -> None:
        """Prepare.

        Raises:
            re.error: when the pattern is none.
        """
        self._output, self._position = output, since
        self._pattern = re.compile(pattern)
        self._part = b""

    def seen(self) -> bool:
        """Look at what came since the last look; true when a line matches that is whole, or too long to wait for."""
        for _ in range(READ_MAX // CHUNK):
            found, self._position = self._output.read(self._position, CHUNK)
            *lines, self._part = (self._part + found).split(b"\n")
            if len(self._part) > LINE_MAX:
                lines.append(self._part)
                self._part = b""
            if any(self._matches(line) for line in lines):
                return True
            if len(found) < CHUNK:
                return False
        return False

    def _matches(self, line: bytes) -> bool:
        pieces = (line[start : start + LINE_MAX] for start in range(0, max(len(line), 1), LINE_MAX))
        return any(self._pattern.search(piece.decode("utf-8", "replace")) for piece in pieces)


def _copy(source: BinaryIO, start: int, end: int, target: Path) -> int:
    """Copy a range of an open file over another file, whole or not at all, and return its size."""
    temporary = target.with_name(f"{target.name}.new")
    source.seek(start)
    left = end - start
    with temporary.open("wb") as copy:
        while left > 0 and (part := source.read(min(CHUNK, left))):
            copy.write(part)
            left -= len(part)
    temporary.replace(target)
    return end - start - left


def _tail(path: Path) -> bytes:
    try:
        with path.open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - TAIL_BYTES, 0))
            return log.read(TAIL_BYTES)
    except OSError:
        return b""

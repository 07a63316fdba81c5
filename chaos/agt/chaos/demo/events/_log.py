"""A source's events, numbered and kept: in the kernel's hands before anybody is offered them.

The log outlives the process. It keeps the last events as far back as a safe rewind may reach, and for each device its
newest state and how many events it has had: that is what a full resync is answered with. A cursor outside of what is
kept is invalid, and is told so.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

EVENTS_KEPT: Final = 12_000
"""More than a safe rewind (10,000 events) reaches back."""
COMPACT_AT: Final = 2 * EVENTS_KEPT
"""Events in the file at which it is written anew."""


class Event(msgspec.Struct, frozen=True, array_like=True):
    """A device has another state."""

    n: int
    """Numbered from 1 in each source, without gaps."""
    t: float
    """When, in seconds since the Unix epoch."""
    device: str
    value: int
    number: int
    """Of the command that did it."""


class Row(msgspec.Struct, frozen=True, array_like=True):
    """What a source knows of one device."""

    device: str
    value: int
    number: int
    events: int
    """How many events it has had in all."""


class InvalidCursor(Exception):
    """Raised when events are asked for that this log no longer has, or never had."""

    def __init__(self, after: int, oldest: int, newest: int) -> None:
        super().__init__(f"no events after {after}: there are {oldest} to {newest}")
        self.after, self.oldest, self.newest = after, oldest, newest


class EventLog:
    """The log of one source; one writer."""

    def __init__(self, path: Path, *, kept: int = EVENTS_KEPT) -> None:
        """Open the log, or make one.

        Raises:
            OSError: when it can't be opened.
        """
        self._path, self._kept, self._encoder = path, kept, msgspec.json.Encoder()
        self._events: deque[Event] = deque(maxlen=kept)
        self._rows: dict[str, Row] = {}
        self.newest = 0
        """Number of the last event; 0 before the first."""
        self._in_file = 0
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = self._load()
        os.ftruncate(self._handle, self._size)  # The half line of a process that was killed.

    @property
    def oldest(self) -> int:
        """Number of the first event that is kept; one more than the newest when there is none."""
        return self._events[0].n if self._events else self.newest + 1

    @property
    def rows(self) -> list[Row]:
        """What is known of each device, by name."""
        return [self._rows[device] for device in sorted(self._rows)]

    def append(self, states: Sequence[tuple[float, str, int, int]]) -> bool:
        """Number states (time, device, value, command) and write them; False when the disk refuses, then none is in.

        What is written is in the kernel's hands: it survives the death of the process.
        """
        fresh = [Event(self.newest + place, *state) for place, state in enumerate(states, start=1)]
        body = b"".join(self._encoder.encode(event) + b"\n" for event in fresh)
        if not self._write(body):
            return False
        for event in fresh:
            self._take(event)
        if self._in_file >= 2 * self._kept:
            self._compact()
        return True

    def after(self, cursor: int, most: int) -> list[Event]:
        """Return up to `most` events behind a cursor.

        Raises:
            InvalidCursor: when that place is no longer, or not yet, in the log.
        """
        if not self.oldest - 1 <= cursor <= self.newest:
            raise InvalidCursor(cursor, self.oldest, self.newest)
        start = cursor + 1 - self.oldest
        return [self._events[place] for place in range(start, min(len(self._events), start + most))]

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _write(self, body: bytes) -> bool:
        try:
            written = os.write(self._handle, body)
        except OSError:
            written = -1
        if written != len(body):
            os.ftruncate(self._handle, self._size)
            return False
        self._size += written
        return True

    def _load(self) -> int:
        """Read the log back; return the length of its whole lines."""
        size = 0
        with self._path.open("rb") as lines:
            for line in lines:
                try:
                    if not line.endswith(b"\n"):
                        return size
                    for item in _decode(line):
                        self._take(item)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    return size  # Nothing behind a damaged line was ever ours: each write ends with a whole one.
                size += len(line)
        return size

    def _take(self, item: Event | Row) -> None:
        if isinstance(item, Row):
            self._rows[item.device] = item
            return
        before = self._rows.get(item.device)
        events = 1 + (before.events if before else 0)
        self._rows[item.device] = Row(item.device, item.value, item.number, events)
        self._events.append(item)
        self.newest, self._in_file = item.n, self._in_file + 1

    def _compact(self) -> None:
        """Write the file anew: first the rows as they were before the kept events, then those."""
        past: dict[str, int] = {}
        for event in self._events:
            past[event.device] = past.get(event.device, 0) + 1
        rows = [msgspec.structs.replace(row, events=row.events - past.get(row.device, 0)) for row in self.rows]
        body = self._encoder.encode({"rows": rows}) + b"\n"
        body += b"".join(self._encoder.encode(event) + b"\n" for event in self._events)
        fresh = self._path.with_suffix(".tmp")
        try:
            fresh.write_bytes(body)
            fresh.chmod(0o600)
            handle = os.open(fresh, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            fresh.replace(self._path)
        except OSError:
            fresh.unlink(missing_ok=True)
            self._in_file = self._kept  # The disk is full: the log grows on, and this is tried again later.
            return
        os.close(self._handle)
        self._handle, self._size, self._in_file = handle, len(body), len(self._events)


def _decode(line: bytes) -> Iterator[Event | Row]:
    if line.startswith(b"{"):
        found: dict[str, list[Any]] = msgspec.json.decode(line, type=dict[str, list[Any]])
        yield from msgspec.convert(found["rows"], list[Row])
    else:
        yield msgspec.json.decode(line, type=Event)

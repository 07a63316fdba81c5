"""The files of one component in the run directory: lock, record, past, order and log.

The lock is an flock on `NAME.lock`, taken by the supervisor and inherited by the process: held means that somebody
lives. The record, `NAME.json`, says who; it is written by the launcher in the child and once more by the supervisor
when the component has become ready. Neither is ever deleted: an old record is recognised by what it says. The past,
`NAME.past.json`, is what its restart policy has counted; `NAME.order.json` is an operator's order to rest.
"""

import fcntl
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from agt.supervisor.components._launch import write_record
from agt.supervisor.components._past import Past

RECORD_MAX_BYTES = 64 << 10


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs as a component."""

    pid: Annotated[int, Meta(gt=1)]
    start_ticks: int
    """Field 22 of /proc/PID/stat; together with pid and boot id it names one process for ever."""
    boot_id: str
    digest: str
    """Of the command and environment it was started with."""
    restarts: int = 0
    """How often the component had been restarted when this process was started."""
    log_size: int = 0
    """Size of its log when it was started: what it has written begins there."""
    ready: bool = False
    """Whether it has been ready: a notification is said only once, and the next supervisor wasn't there to hear it."""


@dataclass(frozen=True, slots=True)
class ComponentFiles:
    """Where a component's files are."""

    folder: Path
    name: str

    @property
    def lock(self) -> Path:
        """The file whose flock means that the component lives."""
        return self.folder / f"{self.name}.lock"

    @property
    def record(self) -> Path:
        """Who holds the lock."""
        return self.folder / f"{self.name}.json"

    @property
    def past(self) -> Path:
        """What the restart policy has counted."""
        return self.folder / f"{self.name}.past.json"

    @property
    def order(self) -> Path:
        """An operator's order to rest; not there when there is none."""
        return self.folder / f"{self.name}.order.json"

    @property
    def log(self) -> Path:
        """What the component wrote to its standard output and error."""
        return self.folder / f"{self.name}.log"

    def try_lock(self) -> int | None:
        """Take the lock and return its descriptor, or None when somebody holds it."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def read_record(self) -> Record | None:
        """Return the record, or None when there is none that can be read."""
        try:
            return msgspec.json.decode(self.record.read_bytes()[:RECORD_MAX_BYTES], type=Record)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def write_record(self, record: Record) -> None:
        """Replace the record.

        Raises:
            OSError: when the disk says no; the old record stays.
        """
        write_record(str(self.record), msgspec.json.encode(record).decode() + "\n")

    def open_log(self) -> int:
        """Open the log for appending and return the descriptor."""
        return os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read_past(self) -> Past:
        """Return what is remembered of its failures; nothing when that can't be read."""
        try:
            return msgspec.json.decode(self.past.read_bytes()[:RECORD_MAX_BYTES], type=Past)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return Past()

    def write_past(self, past: Past) -> None:
        """Replace what is remembered of its failures.

        Raises:
            OSError: when the disk says no; the old one stays.
        """
        write_record(str(self.past), msgspec.json.encode(past).decode() + "\n")


def command_digest(command: Sequence[str], environment: dict[str, str]) -> str:
    """Name a command, so that a running one can be compared with what the plan asks for."""
    text = msgspec.json.encode((list(command), sorted(environment.items())))
    return hashlib.sha256(text).hexdigest()[:16]

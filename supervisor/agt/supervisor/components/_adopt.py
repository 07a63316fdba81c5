"""Find out whether a component already runs, and take it over: never doubled, never mistaken.

Theory of operation. The lock decides. When it is free, nobody runs, whatever the record says, and our copy of the lock
goes to the child that we start. When it is held, the record must name its holder: same boot, and a live process with
that pid and that start time. The process is opened as a pidfd *before* its start time is compared, so that a pid which
is reused in between can't deceive us. When the record doesn't fit (not written yet, or the holder is something that the
component left behind), the answer is a refusal in words: to start a second one would be worse than to wait.
"""

import os
from dataclasses import dataclass

from agt.supervisor._errors import LockHeld
from agt.supervisor.components._files import ComponentFiles, Record
from agt.supervisor.components._launch import boot_id, start_ticks


@dataclass(frozen=True, slots=True)
class Vacant:
    """Nobody runs; the lock is ours."""

    lock_fd: int
    """Belongs to the caller: hand it to the child and close it."""


@dataclass(frozen=True, slots=True)
class Occupied:
    """The component runs already."""

    record: Record
    pidfd: int
    """Belongs to the caller; readable once the process is gone."""


def look(files: ComponentFiles) -> Vacant | Occupied:
    """Say who runs as this component, and take hold of it or of its lock.

    Raises:
        LockHeld: when somebody holds the lock who is not in the record.
        OSError: when the lock file can't be opened.
    """
    lock_fd = files.try_lock()
    if lock_fd is not None:
        return Vacant(lock_fd)
    record = files.read_record()
    if record is None:
        raise _refusal(files, f"{files.record.name} can't be read")
    if record.boot_id != boot_id():
        raise _refusal(files, f"{files.record.name} is from before the last boot")
    try:
        pidfd = os.pidfd_open(record.pid)
    except OSError:
        raise _refusal(files, f"pid {record.pid} of {files.record.name} is gone") from None
    if mismatch := _mismatch(record):
        os.close(pidfd)
        raise _refusal(files, mismatch)
    return Occupied(record, pidfd)


def _mismatch(record: Record) -> str:
    """Why the live process with the record's pid is not the recorded one; empty when it is."""
    try:
        same = start_ticks(record.pid) == record.start_ticks
    except OSError:
        return f"pid {record.pid} is gone"
    return "" if same else f"pid {record.pid} is another process by now"


def _refusal(files: ComponentFiles, why: str) -> LockHeld:
    return LockHeld(
        f"{files.name} is not started: its lock is held by a process that can't be named ({why})",
        f"find it with `fuser {files.lock}` and end it",
    )

"""A run's directory: made for it, and taken away again unless somebody wants to look into it.

A headless run counts what is written in its directory, so it wants one that is its own: neither an earlier run's nor
one that another supervisor is at work in.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOCKET_PATH_MAX = 107
"""Bytes of a Unix socket's path on Linux, without the closing zero."""
LONGEST_SOCKET = "gateway.sock"
ROOM_MIN_BYTES = 16 << 20
"""Free disk that a run wants; a minute with 50 devices writes about 6 MB."""
FULL_BYTES = 64 << 10
"""With less than this free a disk counts as full."""
LOCK = "supervisor.lock"
"""Held by the running supervisor; holds its pid."""


class FolderUnusable(ValueError):
    """Raised when a run can't have the directory that was asked for; says what to do instead."""


@dataclass(slots=True)
class RunFolder:
    """Where a run keeps its sockets, logs and records."""

    path: Path
    keep: bool
    """Whether it stays when the run is over."""


@contextmanager
def run_folder(given: Path | None, *, fresh: bool) -> Iterator[RunFolder]:
    """Give a run its directory: the one that was asked for, which stays, or a new one with a short path.

    Args:
        given: What was asked for; None takes a new one.
        fresh: Whether one that has a run in it is refused.

    Raises:
        FolderUnusable: when it can't be had.
    """
    try:
        folder = RunFolder(_made(given), keep=given is not None)
    except OSError as error:
        raise FolderUnusable(f"the run directory {given or ''} can't be made: {error.strerror}") from error
    try:
        if fresh:
            _refuse_used(folder.path)
            _refuse_full(folder.path)
        yield folder
    finally:
        if not folder.keep:
            shutil.rmtree(folder.path, ignore_errors=True)


def disk_full(run: Path) -> bool:
    """Whether there is no room left for logs."""
    return shutil.disk_usage(run).free < FULL_BYTES


def holder(run: Path) -> str:
    """Return the pid of the supervisor that is at work in a directory, empty when none is."""
    try:
        with (run / LOCK).open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return last_supervisor(run) or "unknown"
    except OSError:
        pass  # Nobody has ever been here.
    return ""


def last_supervisor(run: Path) -> str:
    """Return the pid of the supervisor that was the last to be at work in a directory, empty when none was."""
    try:
        return (run / LOCK).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _made(given: Path | None) -> Path:
    if given is None:
        return Path(tempfile.mkdtemp(prefix="agt-demo-"))
    path = given.absolute()
    over = len(os.fsencode(path / LONGEST_SOCKET)) - SOCKET_PATH_MAX
    if over > 0:
        raise FolderUnusable(f"the run directory's path is {over} bytes too long for a Unix socket: {given}")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _refuse_used(path: Path) -> None:
    if pid := holder(path):
        raise FolderUnusable(f"a supervisor is at work in {path} (pid {pid}); choose another directory")
    if (path / LOCK).exists():
        raise FolderUnusable(f"{path} has an earlier run in it; choose an empty directory")


def _refuse_full(path: Path) -> None:
    free = shutil.disk_usage(path).free
    if free < ROOM_MIN_BYTES:
        raise FolderUnusable(
            f"{path} has {free >> 10} KiB of disk left and a run wants {ROOM_MIN_BYTES >> 20} MiB; make room there, "
            "or choose another directory"
        )

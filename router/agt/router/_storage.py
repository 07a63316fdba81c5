"""The few things that the router asks of a file system, so that the same code runs on a simulated one.

Two files outlive a gateway: the ledger's journal and the selector. What is promised of them when a process is killed
between two of these calls, or in the middle of one, is tried out in the simulated world, whose disk counts the calls
and crashes at each (`agt.chaos.sim.moves`). So whatever changes a file goes through here, one method a durable step.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class AppendOnly(Protocol):
    """A file that only grows."""

    def write(self, data: bytes) -> int:
        """Hand bytes to the kernel and return how many it took; raises OSError when it takes none."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


class Storage(Protocol):
    """Files by path; everything raises OSError as the operating system does."""

    def read(self, path: Path, limit: int) -> bytes:
        """Return the beginning of a file, at most `limit` bytes."""
        ...

    def read_with_inode(self, path: Path, limit: int) -> tuple[bytes, int]:
        """Return the same and the file's inode, of one and the same file."""
        ...

    def lines(self, path: Path) -> Iterator[bytes]:
        """Yield a file's lines, each with its newline; nothing when there is no file."""
        ...

    def exists(self, path: Path) -> bool:
        """Tell whether there is something under that name."""
        ...

    def inode(self, path: Path) -> int:
        """Return the inode of what is there."""
        ...

    def size(self, path: Path) -> int:
        """Return the size in bytes; 0 when there is no file."""
        ...

    def ends_with_newline(self, path: Path) -> bool:
        """Tell whether a file is empty, missing, or ends in a whole line."""
        ...

    def append(self, path: Path) -> AppendOnly:
        """Open a file to add to it, readable by its owner alone; made when it is missing."""
        ...

    def write(self, path: Path, data: bytes) -> None:
        """Put bytes there; neither atomic nor synced."""
        ...

    def write_beside(self, path: Path, data: bytes) -> Path:
        """Write a new file in the same folder, sync it and return its name; nothing is left when that fails."""
        ...

    def rename(self, path: Path, target: Path) -> None:
        """Put a file in the place of another, at once or not at all."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a file; a no-op when it is missing."""
        ...

    def touch(self, path: Path) -> None:
        """Make an empty file, readable by its owner alone, unless it exists."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Make what was renamed there survive a loss of power."""
        ...

    def locked(self, path: Path) -> AbstractContextManager[None]:
        """Hold a lock file; the lock goes with the process, however that ends."""
        ...


class DiskStorage:
    """The operating system's own files."""

    def read(self, path: Path, limit: int) -> bytes:
        """Return the beginning of a file."""
        return self.read_with_inode(path, limit)[0]

    def read_with_inode(self, path: Path, limit: int) -> tuple[bytes, int]:
        """Return the beginning of a file, and its inode."""
        with path.open("rb") as file:
            return file.read(limit), os.fstat(file.fileno()).st_ino

    def lines(self, path: Path) -> Iterator[bytes]:
        """Yield a file's lines."""
        try:
            with path.open("rb") as file:
                yield from file
        except FileNotFoundError:
            return

    def exists(self, path: Path) -> bool:
        """Tell whether there is something under that name."""
        return path.exists()

    def inode(self, path: Path) -> int:
        """Return the inode of what is there."""
        return path.stat().st_ino

    def size(self, path: Path) -> int:
        """Return the size in bytes."""
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0

    def ends_with_newline(self, path: Path) -> bool:
        """Tell whether a file is empty, missing, or ends in a whole line."""
        size = self.size(path)
        if size == 0:
            return True
        with path.open("rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"

    def append(self, path: Path) -> AppendOnly:
        """Open a file to add to it."""
        return _DiskAppend(path)

    def write(self, path: Path, data: bytes) -> None:
        """Put bytes there."""
        path.write_bytes(data)
        path.chmod(0o600)

    def write_beside(self, path: Path, data: bytes) -> Path:
        """Write a new file in the same folder and sync it."""
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return Path(name)

    def rename(self, path: Path, target: Path) -> None:
        """Put a file in the place of another."""
        path.replace(target)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink(missing_ok=True)

    def touch(self, path: Path) -> None:
        """Make an empty file, unless it exists."""
        path.touch(mode=0o600)

    def sync_folder(self, folder: Path) -> None:
        """Make what was renamed there survive a loss of power."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def locked(self, path: Path) -> Iterator[None]:
        """Hold a lock file."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class _DiskAppend:
    """One open file that only grows."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes) -> int:
        """Hand bytes to the kernel."""
        return os.write(self._handle, data)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._handle)

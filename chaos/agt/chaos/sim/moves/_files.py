"""A simulated folder of files: what `agt.router` keeps on a disk, with a crash possible at each durable step.

What a kernel promises a process that is killed is taken as given: what a call has done stays done, a rename is there
or not. Everything between is open: a process may die before a step, after it, or, where a step writes bytes, with a
part of them written. `Killed` unwinds to whoever runs the process; from then on its mount refuses everything, so that
no `finally` of the dead process touches the disk. A loss of power also takes what was never synced.
"""

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

Fate = Literal["", "before", "torn", "after"]
"""What becomes of a process at a durable step: nothing, or it dies there."""
FATES: tuple[Fate, ...] = ("before", "torn", "after")


class Killed(BaseException):
    """Raised when a process dies in a durable step; nobody but its host may catch it."""


class Files:
    """One machine's folder; it outlives the processes that mount it."""

    def __init__(self) -> None:
        self._names: dict[Path, int] = {}
        self._data: dict[int, bytearray] = {}
        self._synced: dict[int, bytes] = {}
        self._last = 0
        self.full = False
        """Whether there is no room for another byte."""

    def mount(self, fate: Callable[[str], Fate]) -> "Mount":
        """Return one process's view; `fate` is asked at each durable step, with its name."""
        return Mount(self, fate)

    def lose_power(self) -> None:
        """Take away every byte that nobody has synced."""
        for inode, data in self._data.items():
            data[:] = self._synced.get(inode, b"")

    def content(self, path: Path) -> bytearray:
        """Return a file's bytes; raises FileNotFoundError."""
        return self._data[self.inode(path)]

    def inode(self, path: Path) -> int:
        """Return a file's inode; raises FileNotFoundError."""
        if path not in self._names:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return self._names[path]

    def has(self, path: Path) -> bool:
        """Whether there is such a file."""
        return path in self._names

    def make(self, path: Path) -> bytearray:
        """Make a fresh file under a name and return its bytes."""
        self._last += 1
        self._names[path] = self._last
        return self._data.setdefault(self._last, bytearray())

    def sync(self, path: Path) -> None:
        """Let a file's bytes survive a loss of power."""
        self._synced[self.inode(path)] = bytes(self.content(path))

    def move(self, path: Path, target: Path) -> None:
        """Give a file another name, at the cost of whoever had that."""
        self._names[target] = self.inode(path)
        del self._names[path]

    def remove(self, path: Path) -> None:
        """Take a name away."""
        self._names.pop(path, None)

    def edit(self, path: Path, data: bytes) -> None:
        """Put a text there by hand, as an editor does."""
        self.make(path)[:] = data
        self.sync(path)


class Mount:
    """The files as one process sees them: an `agt.router` storage that can die."""

    def __init__(self, files: Files, fate: Callable[[str], Fate]) -> None:
        self._files, self._fate = files, fate
        self._temporary = 0
        self.dead = False
        """Whether the process is gone."""

    # Looking

    def read(self, path: Path, limit: int) -> bytes:
        """Return the beginning of a file."""
        return self.read_with_inode(path, limit)[0]

    def read_with_inode(self, path: Path, limit: int) -> tuple[bytes, int]:
        """Return the beginning of a file, and its inode."""
        self._check()
        return bytes(self._files.content(path)[:limit]), self._files.inode(path)

    def lines(self, path: Path) -> Iterator[bytes]:
        """Yield a file's lines."""
        self._check()
        if self._files.has(path):
            yield from bytes(self._files.content(path)).splitlines(keepends=True)

    def exists(self, path: Path) -> bool:
        """Tell whether there is something under that name."""
        self._check()
        return self._files.has(path)

    def inode(self, path: Path) -> int:
        """Return the inode of what is there."""
        self._check()
        return self._files.inode(path)

    def size(self, path: Path) -> int:
        """Return the size in bytes."""
        self._check()
        return len(self._files.content(path)) if self._files.has(path) else 0

    def ends_with_newline(self, path: Path) -> bool:
        """Tell whether a file is empty, missing, or ends in a whole line."""
        return self.size(path) == 0 or self._files.content(path).endswith(b"\n")

    # Durable steps

    def append(self, path: Path) -> "Append":
        """Open a file to add to it."""
        self._check()
        if not self._files.has(path):
            self.step(f"make {path.name}", lambda: self._files.make(path))
        return Append(self, self._files, path)

    def write(self, path: Path, data: bytes) -> None:
        """Put bytes there, neither atomic nor synced."""
        self._room()
        self.step(f"write {path.name}", lambda: self._put(path, data), lambda: self._put(path, data[: len(data) // 2]))

    def write_beside(self, path: Path, data: bytes) -> Path:
        """Write a new file in the same folder and sync it."""
        self._room()
        self._temporary += 1
        fresh = path.with_name(f".{path.name}.{self._temporary}.tmp")

        def whole() -> None:
            self._put(fresh, data)
            self._files.sync(fresh)

        self.step(f"write {fresh.name}", whole, lambda: self._put(fresh, data[: len(data) // 2]))
        return fresh

    def rename(self, path: Path, target: Path) -> None:
        """Put a file in the place of another."""
        self._check()
        self._files.inode(path)
        self.step(f"rename {path.name} to {target.name}", lambda: self._files.move(path, target))

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        self.step(f"unlink {path.name}", lambda: self._files.remove(path))

    def touch(self, path: Path) -> None:
        """Make an empty file, unless it exists."""
        self._check()
        if not self._files.has(path):
            self._room()
            self.step(f"touch {path.name}", lambda: self._files.make(path))

    def sync_folder(self, folder: Path) -> None:
        """Nothing to do: what was renamed stays renamed, as on a file system with a journal."""
        del folder
        self._check()

    @contextlib.contextmanager
    def locked(self, path: Path) -> Iterator[None]:
        """Hold a lock; who writes here does so in one turn, so nobody ever waits for it."""
        del path
        self._check()
        yield

    # How a process dies

    def step(self, name: str, whole: Callable[[], object], torn: Callable[[], object] | None = None) -> None:
        """Take a durable step, unless the process dies at it."""
        self._check()
        fate = self._fate(name)
        if fate == "torn" and torn is not None:
            torn()
        elif fate in ("", "after"):
            whole()
        if fate:
            self.dead = True
            raise Killed(name)

    def _check(self) -> None:
        if self.dead:
            raise Killed("dead already")

    def _room(self) -> None:
        self._check()
        if self._files.full:
            raise no_space()

    def _put(self, path: Path, data: bytes) -> None:
        self._files.make(path)[:] = data


class Append:
    """One open file that only grows; it stays the file that it was opened as, whatever is renamed."""

    def __init__(self, mount: Mount, files: Files, path: Path) -> None:
        self._mount, self._files, self._name = mount, files, path.name
        self._data = files.content(path)

    def write(self, data: bytes) -> int:
        """Add bytes; a full disk takes none of them, and one that is just becoming full a part."""
        taken = len(data)

        def add(size: int) -> None:
            self._data.extend(data[:size])

        if self._files.full:
            raise no_space()
        self._mount.step(f"append to {self._name}", lambda: add(taken), lambda: add(taken // 2))
        return taken

    def close(self) -> None:
        """Let go of the file."""


def no_space() -> OSError:
    """Return what a full disk says."""
    return OSError(errno.ENOSPC, "No space left on device")

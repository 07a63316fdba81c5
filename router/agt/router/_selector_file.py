"""Where the selector lives: one file, written whole or not at all, and taken away by a kill.

Writers go by compare-and-swap on `generation` under a lock file; readers take no lock, since a rename shows them
either the old file or the new one. A kill renames the file aside, which needs no free space and no lock: the
absent file *is* the latch. A writer that a kill overtook notices it by the inode it started from, and takes
its own file away again: a kill always wins.
"""

import contextlib
import enum
import fcntl
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agt.router._errors import GenerationConflict, SelectorInvalid, SelectorKilled, SelectorUnwritable
from agt.router._problem import Problem
from agt.router._selector import Runtimes, Selector
from agt.router._selector_text import SELECTOR_MAX_BYTES, check_selector, format_selector, parse_selector

KILLED_SUFFIX = ".killed"


class SelectorState(enum.StrEnum):
    """What a look at the selector found."""

    OK = "ok"
    MISSING = "missing"
    """No file, and no kill either: everything is on control."""
    KILLED = "killed"
    """Renamed aside by a kill: everything is on control until an operator ends it."""
    BAD = "bad"
    """There, and not usable: whoever has an older one keeps it."""


@dataclass(frozen=True, slots=True)
class SelectorReading:
    """One look at the selector."""

    state: SelectorState
    selector: Selector | None = None
    """The selector when `state` is ok, else None."""
    problems: tuple[Problem, ...] = ()
    """What is wrong when `state` is bad."""
    says: str = ""
    """One sentence for people, empty when ok."""


class SelectorFile:
    """The selector as a TOML file beside a `.killed` one."""

    def __init__(self, path: Path | str, *, runtimes: Runtimes | None = None) -> None:
        self.path = Path(path)
        self.killed_path = self.path.with_name(self.path.name + KILLED_SUFFIX)
        self._runtimes = runtimes

    def read(self) -> SelectorReading:
        """Look at the file; never raises for what it finds there."""
        try:
            data = _read_bounded(self.path)
        except FileNotFoundError:
            if self.killed_path.exists():
                return SelectorReading(SelectorState.KILLED, says=f"kill switch is on: {self.killed_path.name}")
            return SelectorReading(SelectorState.MISSING, says=f"{self.path} does not exist")
        except OSError as error:
            return _bad(Problem("", f"can't be read: {error.strerror}"), self.path)
        try:
            return SelectorReading(SelectorState.OK, self._parse(data))
        except SelectorInvalid as error:
            return SelectorReading(SelectorState.BAD, problems=error.problems, says=str(error))

    def write(self, selector: Selector, *, expected: int, after_kill: bool = False) -> Selector:
        """Write a selector if the file is still at the expected generation.

        Args:
            selector: What to write; its generation becomes `expected + 1`, or its own when that is higher.
            expected: The generation that the change was based on; 0 when there is no file yet.
            after_kill: Whether this may end a kill; then `expected` is the killed file's generation, and
                that file is removed once the new one stands.

        Returns:
            The selector as written, with its generation.

        Raises:
            SelectorInvalid: when it contradicts itself.
            GenerationConflict: when somebody wrote first.
            SelectorKilled: when a kill holds, or came while writing.
            SelectorUnwritable: when the disk refused.
        """
        check_selector(selector, origin=str(self.path))
        written = selector.at_generation(max(expected + 1, selector.generation))
        with self._translated_errors(), self._locked():
            if self.killed_path.exists() and not self.path.exists() and not after_kill:
                raise SelectorKilled(str(self.killed_path))
            inode, found = self._present(after_kill=after_kill)
            if found != expected:
                raise GenerationConflict(expected, found)
            self._replace(format_selector(written))
            self._yield_to_kill(inode)
            if after_kill:
                self.killed_path.unlink(missing_ok=True)
        return written

    def kill(self) -> bool:
        """Take the selector away; true when the latch holds (also where there was none to take). Never raises."""
        try:
            self.path.rename(self.killed_path)
        except FileNotFoundError:
            # Nothing to rename, but the latch must stand all the same, or the next selector would end the kill.
            with contextlib.suppress(OSError):
                self.killed_path.touch(mode=0o600)
            return self.killed_path.exists()
        except OSError:
            return False
        with contextlib.suppress(OSError):
            _sync_folder(self.path.parent)
        return True

    def killed_selector(self) -> Selector | None:
        """Return the selector that a kill took away, to put it back; None when there is none or it is bad."""
        try:
            return self._parse(_read_bounded(self.killed_path))
        except (OSError, SelectorInvalid):
            return None

    def _parse(self, data: bytes) -> Selector:
        return parse_selector(data, origin=str(self.path), runtimes=self._runtimes)

    def _present(self, *, after_kill: bool) -> tuple[int | None, int]:
        """Return the inode and generation that the file has now; a bad file counts as generation 0."""
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            killed = self.killed_selector() if after_kill else None
            return None, killed.generation if killed else 0
        reading = self.read()
        return inode, reading.selector.generation if reading.selector else 0

    def _replace(self, text: str) -> None:
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".tmp", dir=self.path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_folder(self.path.parent)

    def _yield_to_kill(self, inode: int | None) -> None:
        """Undo our own write when a kill took the file away that it was based on."""
        with contextlib.suppress(FileNotFoundError):
            if inode is not None and self.killed_path.stat().st_ino == inode:
                self.kill()
                raise SelectorKilled(str(self.killed_path))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the writers' lock; the lock goes with the process, however that ends."""
        handle = os.open(self.path.with_name(f".{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SelectorUnwritable(str(self.path), error.strerror or str(error)) from error


class MemorySelector:
    """A selector without a file, for embedding and for tests."""

    def __init__(self, selector: Selector | None = None) -> None:
        self._selector = selector
        self._killed = False

    def read(self) -> SelectorReading:
        """Return what was put there last."""
        if self._killed:
            return SelectorReading(SelectorState.KILLED, says="kill switch is on")
        if self._selector is None:
            return SelectorReading(SelectorState.MISSING, says="no selector was given")
        return SelectorReading(SelectorState.OK, self._selector)

    def put(self, selector: Selector) -> None:
        """Put a selector there; ends a kill.

        Raises:
            SelectorInvalid: when it contradicts itself.
        """
        check_selector(selector)
        self._selector, self._killed = selector, False

    def kill(self) -> bool:
        """Take the selector away."""
        self._killed = True
        return True


def _bad(problem: Problem, path: Path) -> SelectorReading:
    return SelectorReading(SelectorState.BAD, problems=(problem,), says=f"{path}: {problem}")


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SELECTOR_MAX_BYTES + 1)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive power loss."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

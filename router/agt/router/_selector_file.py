"""Where the selector lives: one file, written whole or not at all, and taken away by a kill.

Writers go by compare-and-swap on `generation` under a lock file; readers take no lock, since a rename shows them
either the old file or the new one. An editor knows neither lock nor generation, so a writer may also say which selector
it has read, and looks at the bytes again just before it replaces them: who edits by hand is not overwritten. Comments
are kept. A kill renames the file aside, which needs no free space and no lock: the
absent file *is* the latch. A writer that a kill overtook notices it by the inode it started from, and takes
its own file away again; should it die before that, readers know by the note that it left (which inode it was about to
put in the place of which) that the file counts as taken away: a kill always wins.
"""

import contextlib
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agt.router._errors import (
    CommentsWouldGo,
    GenerationConflict,
    SelectorInvalid,
    SelectorKilled,
    SelectorUnwritable,
)
from agt.router._problem import Problem
from agt.router._selector import Runtimes, Selector
from agt.router._selector_comments import CannotKeep, amended, comments
from agt.router._selector_text import SELECTOR_MAX_BYTES, check_selector, format_selector, parse_selector
from agt.router._storage import DiskStorage, Storage

KILLED_SUFFIX = ".killed"
NOTE_MAX_BYTES = 64
DROPPED_SUFFIX = ".before"
"""Where a text goes whose comments, or whose mistakes, a way back had to write over."""


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

    def __init__(self, path: Path | str, *, runtimes: Runtimes | None = None, storage: Storage | None = None) -> None:
        """Look at a file, which need not be there yet.

        Args:
            path: where it is.
            runtimes: the names to use when the text has no `[runtimes]`.
            storage: whose files; the operating system's when not given.
        """
        self.path = Path(path)
        self._storage = storage if storage is not None else DiskStorage()
        self.killed_path = self.path.with_name(self.path.name + KILLED_SUFFIX)
        self._lock_path = self.path.with_name(f".{self.path.name}.lock")
        self._note_path = self.path.with_name(f".{self.path.name}.writing")
        self._runtimes = runtimes

    def read(self) -> SelectorReading:
        """Look at the file; never raises for what it finds there."""
        try:
            data = self._read(self.path)
        except FileNotFoundError:
            if self._storage.exists(self.killed_path):
                return SelectorReading(SelectorState.KILLED, says=f"kill switch is on: {self.killed_path.name}")
            return SelectorReading(SelectorState.MISSING, says=f"{self.path} does not exist")
        except OSError as error:
            return _bad(Problem("", f"can't be read: {error.strerror}"), self.path)
        if self._overtaken():
            return SelectorReading(SelectorState.KILLED, says=f"kill switch is on: {self.killed_path.name}")
        try:
            return SelectorReading(SelectorState.OK, self._parse(data))
        except SelectorInvalid as error:
            return SelectorReading(SelectorState.BAD, problems=error.problems, says=str(error))

    def write(
        self,
        selector: Selector,
        *,
        expected: int,
        read: Selector | None = None,
        after_kill: bool = False,
        force: bool = False,
    ) -> Selector:
        """Write a selector if the file is still as it was when the change was thought of.

        Args:
            selector: What to write; its generation becomes `expected + 1`, or its own when that is higher.
            expected: The generation that the change was based on; 0 when there is no file yet.
            read: The selector that the change was based on: then an edit by hand that left the number alone is
                noticed too.
            after_kill: Whether this may end a kill; then `expected` is the killed file's generation, and
                that file is removed once the new one stands.
            force: Whether to go on when comments that can't be kept, or a text that can't be read, would be lost;
                the old text is then kept beside the file, if the disk takes it.

        Returns:
            The selector as written, with its generation.

        Raises:
            SelectorInvalid: when it contradicts itself, or somebody has left a text there that has to be mended.
            GenerationConflict: when somebody wrote first.
            CommentsWouldGo: when comments can't be kept.
            SelectorKilled: when a kill holds, or came while writing.
            SelectorUnwritable: when the disk refused.
        """
        check_selector(selector, origin=str(self.path))
        written = selector.at_generation(max(expected + 1, selector.generation))
        with self._translated_errors(), self._storage.locked(self._lock_path):
            overtaken = self._overtaken()
            killed = self._storage.exists(self.killed_path) and not self._storage.exists(self.path)
            if (killed or overtaken) and not after_kill:
                raise SelectorKilled(str(self.killed_path))
            if overtaken:
                self._storage.unlink(self.path)
            inode, before = self._present(after_kill=after_kill)
            found = self._selector_in(before, force=force or inode is None)
            generation = found.generation if found else 0
            if generation != expected or (read is not None and found != read):
                raise GenerationConflict(expected, generation)
            text = self._text(written, before, force=force)
            self._replace(text, before, expected, inode)
            self._yield_to_kill(inode)
            self._storage.unlink(self._note_path)
            if after_kill:
                self._storage.unlink(self.killed_path)
        return written

    def kill(self) -> bool:
        """Take the selector away; true when the latch holds (also where there was none to take). Never raises."""
        try:
            self._storage.rename(self.path, self.killed_path)
        except FileNotFoundError:
            # Nothing to rename, but the latch must stand all the same, or the next selector would end the kill.
            with contextlib.suppress(OSError):
                self._storage.touch(self.killed_path)
            return self._storage.exists(self.killed_path)
        except OSError:
            return False
        with contextlib.suppress(OSError):
            self._storage.sync_folder(self.path.parent)
        return True

    def killed_selector(self) -> Selector | None:
        """Return the selector that a kill took away, to put it back; None when there is none or it is bad."""
        try:
            return self._parse(self._read(self.killed_path))
        except (OSError, SelectorInvalid):
            return None

    def _read(self, path: Path) -> bytes:
        return self._storage.read(path, SELECTOR_MAX_BYTES + 1)

    def _parse(self, data: bytes) -> Selector:
        return parse_selector(data, origin=str(self.path), runtimes=self._runtimes)

    def _present(self, *, after_kill: bool) -> tuple[int | None, bytes]:
        """Return the inode and bytes that the file has now; after a kill those of the killed one, without inode."""
        try:
            before, inode = self._storage.read_with_inode(self.path, SELECTOR_MAX_BYTES + 1)
        except FileNotFoundError:
            pass
        else:
            return inode, before
        with contextlib.suppress(OSError):
            if after_kill:
                return None, self._read(self.killed_path)
        return None, b""

    def _selector_in(self, data: bytes, *, force: bool) -> Selector | None:
        """Return the selector in a text; with `force`, or where there is no file, a bad one counts as none."""
        try:
            return self._parse(data)
        except SelectorInvalid:
            if force:
                return None
            raise

    def _text(self, selector: Selector, before: bytes, *, force: bool) -> str:
        """Return what to write over a text, with the comments that it has."""
        old = before.decode("utf-8", "replace")
        count, why = comments(old), ""
        if count:
            try:
                return amended(old, selector)
            except CannotKeep as error:
                why = str(error)
            except SelectorInvalid:
                why = "it can't be read"
        if why and not force:
            raise CommentsWouldGo(str(self.path), count, why)
        if why or (before and self._bad(before)):
            with contextlib.suppress(OSError):
                self._storage.write(self.path.with_name(self.path.name + DROPPED_SUFFIX), before)
        return format_selector(selector)

    def _bad(self, data: bytes) -> bool:
        return self._selector_in(data, force=True) is None

    def _overtaken(self) -> bool:
        """Tell whether the file is a write that a kill overtook and whose writer died before it took that away."""
        if not self._storage.exists(self.killed_path):
            return False
        try:
            base, fresh = self._storage.read(self._note_path, NOTE_MAX_BYTES).split()
            return self._storage.inode(self.killed_path) == int(base) and self._storage.inode(self.path) == int(fresh)
        except (OSError, ValueError):
            return False

    def _replace(self, text: str, before: bytes, expected: int, inode: int | None) -> None:
        """Put a text in the file's place, unless somebody changed that meanwhile."""
        fresh = self._storage.write_beside(self.path, text.encode())
        try:
            if inode is not None:
                self._unchanged(before, expected)
                self._storage.write(self._note_path, b"%d %d" % (inode, self._storage.inode(fresh)))
            self._storage.rename(fresh, self.path)
        except BaseException:
            self._storage.unlink(fresh)
            raise
        self._storage.sync_folder(self.path.parent)

    def _unchanged(self, before: bytes, expected: int) -> None:
        """Make sure that nobody has edited the file by hand while ours was being written.

        Raises:
            GenerationConflict: when somebody has.
        """
        with contextlib.suppress(FileNotFoundError):  # Gone: a kill took it, which is looked at afterwards.
            if self._read(self.path) != before:
                raise GenerationConflict(expected, expected)

    def _yield_to_kill(self, inode: int | None) -> None:
        """Undo our own write when a kill took the file away that it was based on."""
        with contextlib.suppress(FileNotFoundError):
            if inode is not None and self._storage.inode(self.killed_path) == inode:
                self.kill()
                raise SelectorKilled(str(self.killed_path))

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

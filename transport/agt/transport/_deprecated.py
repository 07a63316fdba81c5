"""`@deprecated`: marks what goes when a migration is over, warns whoever calls it, and remembers who that was.

The mark is PEP 702's (`__deprecated__`), so that tools which look for it at run time find it; `warnings.deprecated`
itself begins with Python 3.13. The warning is a `DeprecationWarning` at the caller's line, which Python shows in tests
and in `__main__`, and hides elsewhere. The memory is for a controller that nobody watches: `legacy_uses` names each
line of code that still goes the old way, and routers show it in their status.
"""

import functools
import inspect
import sys
import threading
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, TypeVar, cast

import msgspec

SITES_MAX: Final = 1000
"""Lines of code that are remembered; further ones are counted together under `more`."""
_MORE: Final = ("more", "", 0, "")

T = TypeVar("T", bound=Callable[..., Any])


class LegacyUse(msgspec.Struct, frozen=True, kw_only=True):
    """One line of code that uses something deprecated."""

    name: str
    """What it uses."""
    file: str
    line: int
    function: str
    """Where the line is."""
    count: int
    """How often it was reached since the process began."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}: {self.name}, {self.count:,} times"


class _Memory:
    """Counts by line; calls may come from any thread."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int, str], int] = {}
        self._lock = threading.Lock()

    def note(self, name: str, caller: FrameType | None) -> None:
        key = (name, caller.f_code.co_filename, caller.f_lineno, caller.f_code.co_name) if caller else _MORE
        with self._lock:
            if key not in self._counts and len(self._counts) >= SITES_MAX:
                key = _MORE
            self._counts[key] = self._counts.get(key, 0) + 1

    def uses(self) -> tuple[LegacyUse, ...]:
        with self._lock:
            counts = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return tuple(
            LegacyUse(name=name, file=file, line=line, function=function, count=count)
            for (name, file, line, function), count in counts
        )


_memory: Final = _Memory()


def legacy_uses() -> tuple[LegacyUse, ...]:
    """Return every line of code that has used something deprecated in this process, the most frequent first."""
    return _memory.uses()


def deprecated(says: str) -> Callable[[T], T]:
    """Mark a class or function as one that goes, as PEP 702 does.

    Making an instance, or calling the function, warns at the caller's line and is counted; a coroutine function does
    so when it is awaited. A subclass is named at the line where it calls the deprecated `__init__`.

    Args:
        says: What to do instead: `Use ReliableTransport instead`.
    """

    def mark(target: T) -> T:
        if inspect.isclass(target):
            return cast("T", _marked_class(target, says))
        return cast("T", _marked_function(target, says))

    return mark


def _marked_class(target: type, says: str) -> type:
    made = target.__init__  # type: ignore[misc]  # The class itself, not an instance of a subclass.

    @functools.wraps(made)
    def __init__(self: object, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it takes the place of one.
        _note(target.__qualname__, says)
        made(self, *args, **kwargs)

    target.__init__ = __init__  # type: ignore[misc]  # As above.
    target.__deprecated__ = says  # type: ignore[attr-defined]  # PEP 702's own attribute.
    return target


def _marked_function(target: Callable[..., Any], says: str) -> Callable[..., Any]:
    name = getattr(target, "__qualname__", repr(target))
    if inspect.iscoroutinefunction(target):

        @functools.wraps(target)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            _note(name, says)
            return await target(*args, **kwargs)

        marked: Callable[..., Any] = awaited
    else:

        @functools.wraps(target)
        def called(*args: Any, **kwargs: Any) -> Any:
            _note(name, says)
            return target(*args, **kwargs)

        marked = called
    marked.__deprecated__ = says  # type: ignore[attr-defined]  # PEP 702's own attribute.
    return marked


def _note(name: str, says: str) -> None:
    """Count the caller of our caller, then warn there; counted first, since a warning may be an error."""
    _memory.note(name, sys._getframe(2) if sys._getframe(1).f_back else None)  # noqa: SLF001 - as `warnings` does.
    warnings.warn(f"{name} is deprecated: {says}", DeprecationWarning, stacklevel=3)

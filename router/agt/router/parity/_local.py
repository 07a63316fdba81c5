"""Answers that need no other process: a Python function, and a file.

A function may be plain (it runs in a thread, so that a slow one holds up nothing but itself) or async. A plain one
that never returns can't be ended from outside: it is left behind after the time limit, and that is said.
"""

import importlib
import inspect
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from agt.router.parity._json import plain
from agt.router.parity._source import Answer, Call, Limits, SourceFailed
from agt.router.parity._values import ABSENT, shown


class FunctionSource:
    """Calls a function for each answer: without arguments, or with a call's body and its seed."""

    def __init__(self, function: Callable[..., Any], *, name: str = "", limits: Limits | None = None) -> None:
        self._function = function
        self._limits = limits or Limits()
        self.name = f"function {name or getattr(function, '__name__', 'without a name')}"
        """What messages call it."""

    async def ask(self, call: Call | None = None) -> Answer:
        """Call the function.

        Raises:
            SourceFailed: when it raises, takes too long, or returns what is no JSON.
        """
        started = anyio.current_time()
        value: object = None
        arguments = () if call is None else (None if call.body is ABSENT else call.body, call.seed)
        try:
            with anyio.move_on_after(self._limits.timeout_s) as scope:
                value = await self._call(arguments)
        except Exception as error:  # Anything can come out of somebody's function.
            raise SourceFailed(self.name, _raises(error)) from error
        if scope.cancelled_caught:
            raise SourceFailed(self.name, f"takes longer than {self._limits.timeout_s:g} s")
        took_s = anyio.current_time() - started
        if isinstance(value, bytes):
            return Answer(data=value, took_s=took_s)
        try:
            return Answer(value=plain(value), took_s=took_s)
        except ValueError as error:
            raise SourceFailed(self.name, str(error)) from None

    async def _call(self, arguments: tuple[object, ...]) -> object:
        if inspect.iscoroutinefunction(self._function):
            return await self._function(*arguments)
        # Abandoned on cancellation: the time limit must hold even when the function doesn't return.
        return await anyio.to_thread.run_sync(partial(self._function, *arguments), abandon_on_cancel=True)


class ImportedSource:
    """Calls a function that is named by module, imported when it is first asked."""

    def __init__(self, path: str, *, limits: Limits | None = None) -> None:
        self._path, self._limits = path, limits
        self.name = f"function {shown(path)}"
        """What messages call it."""

    async def ask(self, call: Call | None = None) -> Answer:
        """Import and call the function.

        Raises:
            SourceFailed: when it can't be imported, or as a `FunctionSource`.
        """
        return await FunctionSource(self._imported(), name=self._path, limits=self._limits).ask(call)

    def _imported(self) -> Callable[..., Any]:
        module, _, name = self._path.partition(":")
        try:
            found: object = getattr(importlib.import_module(module), name)
        except Exception as error:  # Importing runs somebody's code.
            raise SourceFailed(self.name, f"can't be imported: {type(error).__name__}: {shown(str(error))}") from error
        if not callable(found):
            raise SourceFailed(self.name, "is no function")
        return found


class FileSource:
    """Reads a file for each answer."""

    def __init__(self, path: Path, *, limits: Limits | None = None) -> None:
        self._path = path
        self._limits = limits or Limits()
        self.name = f"file {shown(str(path))}"
        """What messages call it."""

    async def ask(self, call: Call | None = None) -> Answer:  # noqa: ARG002 - a file answers every question alike.
        """Read the file.

        Raises:
            SourceFailed: when it can't be read or is too large.
        """
        started = anyio.current_time()
        try:
            data = await anyio.to_thread.run_sync(read_bounded, self._path, self._limits.max_bytes)
        except OSError as error:
            raise SourceFailed(self.name, f"can't be read: {(error.strerror or str(error)).lower()}") from None
        except ValueError as error:
            raise SourceFailed(self.name, str(error)) from None
        return Answer(data=data, took_s=anyio.current_time() - started)


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        OSError: when it can't be read.
        ValueError: when it is no regular file (a pipe would hang), or too large.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123 - needs flags.
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("is no regular file")
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"is larger than {max_bytes} bytes")
    return data


def _raises(error: Exception) -> str:
    return f"raises {type(error).__name__}: {shown(str(error))}"

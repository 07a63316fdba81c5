"""Settings out of a TOML file, with everything that is wrong said at once.

msgspec stops at the first problem; whoever edits a configuration under pressure wants them all, each with the file,
the key path and the nearest name that exists. So the tables are walked here key by key, and msgspec converts one value
at a time. A file may hold other tables, which are their readers' business; one whose name is nearly ours is taken for
a slip.
"""

import difflib
import math
import os
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from agt.transport._errors import UsageError

CONFIG_MAX_BYTES = 1 << 20
"""Largest file that is read."""
NONE = "none"
"""How a file writes "no limit", since TOML has no word for it."""

Config = TypeVar("Config", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration."""

    path: str
    """Where: `reliable_transport.max_retries`; empty when the whole text is meant."""
    says: str
    """What is wrong, and what to write instead."""

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.path}: {self.says}" if self.path else self.says


class ConfigInvalid(UsageError):
    """Raised when a configuration can't be used; carries every problem with its key path."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source, self.problems = source, tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


def read_tables(source: str | os.PathLike[str]) -> tuple[dict[str, Any], str]:
    """Read TOML: a path object is a file, a string is the text itself.

    Returns:
        The tables, and what to call the source in messages.

    Raises:
        ConfigInvalid: when there is no such file, or it is no TOML.
    """
    origin = "the text" if isinstance(source, str) else os.fspath(source)
    try:
        text = source if isinstance(source, str) else _read(Path(source))
        return tomllib.loads(text), origin
    except OSError as error:
        says = f"cannot be read: {(error.strerror or str(error)).lower()}"
    except RecursionError:
        says = "is not TOML: nested too deeply"
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors.
        says = f"is not TOML: {error}"
        if isinstance(source, str) and "\n" not in source and source.endswith(".toml"):
            says = f"is not TOML; for the file {source!r} give a pathlib.Path"
    raise ConfigInvalid(origin, (Problem("", says),))


def table_problems(tables: Mapping[str, Any], kinds: Mapping[str, type[msgspec.Struct]]) -> Iterator[Problem]:
    """Yield everything in `tables` that does not fit the kinds of the tables that are ours."""
    homes = {field: table for table, kind in kinds.items() for field in kind.__struct_fields__}
    for name in tables:
        if name in kinds:
            continue
        if name in homes:
            yield Problem(name, f"belongs under [{homes[name]}]")
        elif difflib.get_close_matches(name, kinds, n=1, cutoff=0.75):
            yield Problem(name, f"unknown table; {nearest(name, kinds)}")
    for name, kind in kinds.items():
        if name in tables:
            yield from _key_problems(name, tables[name], kind)


def table_of(tables: Mapping[str, Any], name: str, kind: type[Config]) -> Config:
    """Convert one table in which `table_problems` found nothing; a table that isn't there is all defaults."""
    types = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    return msgspec.convert({key: _plain(given, types[key]) for key, given in tables.get(name, {}).items()}, kind)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the words that lead from a wrong name to a right one."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"


def _read(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(CONFIG_MAX_BYTES + 1)
    if len(data) > CONFIG_MAX_BYTES:
        raise ValueError(f"it is larger than {CONFIG_MAX_BYTES} bytes")
    return data.decode()


def _key_problems(name: str, value: object, kind: type[msgspec.Struct]) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(name, f"must be a table: [{name}]")
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key, given in value.items():
        path = f"{name}.{key}"
        if key not in fields:
            yield Problem(path, f"unknown key; {nearest(key, fields)}")
        elif isinstance(given, float) and not math.isfinite(given):
            yield Problem(path, f"must be a number, not {given}")
        else:
            yield from _value_problems(path, _plain(given, fields[key].type), fields[key].type)


def _plain(value: object, kind: Any) -> object:
    """Read the word for None where a key may be None."""
    return None if value == NONE and type(None) in typing.get_args(kind) else value


def _value_problems(path: str, value: object, kind: Any) -> Iterator[Problem]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        says, _, inner = str(error).partition(" - at `$")
        yield Problem(path + inner.removesuffix("`"), says[:1].lower() + says[1:])

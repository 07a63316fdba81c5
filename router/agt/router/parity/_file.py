"""A parity file: several named projections with their sources, as TOML."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from agt.router._problem import Problem, nearest
from agt.router.parity._errors import ParityInvalid
from agt.router.parity._local import read_bounded
from agt.router.parity._projection import Projection, check_projection
from agt.router.parity._spec import SourceSpec, check_source, parse_source

FILE_MAX_BYTES: Final = 1 << 20
"""Largest file of settings that is read."""
PROJECTIONS_MAX: Final = 100


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """One projection of a file, with where its two listings come from."""

    projection: Projection
    control: SourceSpec
    candidate: SourceSpec


def load_parity(path: Path) -> tuple[Named, ...]:
    """Read a parity file.

    Raises:
        ParityInvalid: with every problem that was found.
    """
    return parse_parity(read_settings(path), str(path))


def parse_parity(data: bytes, origin: str = "parity file") -> tuple[Named, ...]:
    """Read the text of a parity file.

    Raises:
        ParityInvalid: with every problem that was found.
    """
    tables = toml_tables(data, origin)
    problems = unknown_keys(tables, ("schema", "projection"))
    if tables.get("schema", 1) != 1:
        problems.append(Problem("schema", "must be 1"))
    found = tables.get("projection")
    if not isinstance(found, list) or not found:
        problems.append(Problem("projection", "is missing: write one [[projection]] for each listing"))
        found = []
    if len(found) > PROJECTIONS_MAX:
        problems.append(Problem("projection", f"has {len(found)} entries; at most {PROJECTIONS_MAX}"))
        found = []
    named = [_named(table, f"projection[{index}]", problems) for index, table in enumerate(found)]
    names = [one.projection.name for one in named if one is not None]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [Problem("projection", f"{name} is there twice; give each a name of its own") for name in twice]
    if problems:
        raise ParityInvalid(tuple(problems), origin)
    return tuple(one for one in named if one is not None)


def read_settings(path: Path) -> bytes:
    """Return the bytes of a file of settings.

    Raises:
        ParityInvalid: when it can't be read.
    """
    try:
        return read_bounded(path, FILE_MAX_BYTES)
    except OSError as error:
        says = f"can't be read: {(error.strerror or str(error)).lower()}"
    except ValueError as error:
        says = str(error)
    raise ParityInvalid((Problem("", says),), str(path))


def toml_tables(data: bytes, origin: str) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises:
        ParityInvalid: when it is none.
    """
    says = f"is larger than {FILE_MAX_BYTES} bytes"
    if len(data) <= FILE_MAX_BYTES:
        try:
            return tomllib.loads(data.decode())
        except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors.
            says = f"is not TOML: {error}"
        except RecursionError:
            says = "is not TOML: nested too deeply"
    raise ParityInvalid((Problem("", says),), origin)


def unknown_keys(tables: dict[str, Any], known: Sequence[str]) -> list[Problem]:
    """Return a problem for each key that the file's top level doesn't know."""
    return [Problem(key, f"unknown key; {nearest(key, known)}") for key in tables if key not in known]


def source_in(value: object, key: str, problems: list[Problem]) -> SourceSpec | None:
    """Read a source that is written as a text or a table; what is wrong is added to `problems`."""
    try:
        if isinstance(value, str):
            return parse_source(value)
        spec = msgspec.convert(value, SourceSpec)
    except msgspec.ValidationError as error:
        problems.append(shape_problem(key, error))
    except ValueError as error:
        problems.append(Problem(key, str(error)))
    else:
        wrong = list(check_source(spec, key))
        problems.extend(wrong)
        return None if wrong else spec
    return None


def shape_problem(key: str, error: msgspec.ValidationError) -> Problem:
    """Return what msgspec says of a table, at its place in the file."""
    says, _, where = str(error).partition(" - at `$")
    return Problem(f"{key}{where.removesuffix('`')}", says[:1].lower() + says[1:])


def _named(table: object, key: str, problems: list[Problem]) -> Named | None:
    if not isinstance(table, dict):
        problems.append(Problem(key, "must be a table: [[projection]]"))
        return None
    sides: dict[str, SourceSpec | None] = {}
    for side in ("control", "candidate"):
        if side in table:
            sides[side] = source_in(table[side], f"{key}.{side}", problems)
        else:
            problems.append(
                Problem(f"{key}.{side}", 'is missing: say where the listing comes from, "unix:/run/x.sock"')
            )
    rest = {name: value for name, value in table.items() if name not in {"control", "candidate"}}
    try:
        projection = msgspec.convert(rest, Projection)
    except msgspec.ValidationError as error:
        problems.append(shape_problem(key, error))
        return None
    problems.extend(check_projection(projection, f"{key}."))
    control, candidate = sides.get("control"), sides.get("candidate")
    if control is None or candidate is None:
        return None
    return Named(projection=projection, control=control, candidate=candidate)

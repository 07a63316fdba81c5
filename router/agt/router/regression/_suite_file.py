"""A suite file (TOML): `control` and `candidate`, `[[request]]` or a file of requests, `[limits]`, `[[invariant]]`."""

from pathlib import Path
from typing import Any, Final

import msgspec

from agt.router._problem import Problem
from agt.router.parity import ParityInvalid, SourceSpec
from agt.router.parity._file import read_settings, shape_problem, source_in, toml_tables, unknown_keys
from agt.router.parity._json import parse_json_lines
from agt.router.parity._local import read_bounded
from agt.router.regression._suite import REQUESTS_MAX, Request, Suite, check_suite

REQUESTS_MAX_BYTES: Final = 16 << 20
"""Largest file of requests."""
_PLAIN: Final = ("name", "seeds", "repeats", "at_least", "at_once", "output", "numbers", "categories", "limits")
_KNOWN: Final = (
    "schema",
    "control",
    "candidate",
    "request",
    "requests_file",
    "seed_count",
    "ignore",
    "invariant",
    *_PLAIN,
)


class SuiteFile(msgspec.Struct, frozen=True, kw_only=True):
    """A suite with its two sides; either may be named on the command line instead."""

    suite: Suite
    control: SourceSpec | None
    candidate: SourceSpec | None


def load_suite(path: Path) -> SuiteFile:
    """Read a suite file; a file of requests is looked for beside it.

    Raises:
        ParityInvalid: with every problem that was found.
    """
    return parse_suite(read_settings(path), str(path), folder=path.parent)


def parse_suite(data: bytes, origin: str = "suite file", *, folder: Path | None = None) -> SuiteFile:
    """Read the text of a suite file.

    Args:
        data: The TOML.
        origin: What messages call it.
        folder: Where a file of requests is looked for; None takes none.

    Raises:
        ParityInvalid: with every problem that was found.
    """
    tables = toml_tables(data, origin)
    problems = unknown_keys(tables, _KNOWN)
    if tables.get("schema", 1) != 1:
        problems.append(Problem("schema", "must be 1"))
    sides = {
        side: source_in(tables[side], side, problems) if side in tables else None for side in ("control", "candidate")
    }
    settings: dict[str, Any] = {name: tables[name] for name in _PLAIN if name in tables}
    settings["requests"] = _requests(tables, folder, problems)
    settings["ignore"], settings["invariants"] = tables.get("ignore", []), tables.get("invariant", [])
    if "seed_count" in tables:
        settings["seeds"] = _seeds(tables, problems)
    suite = None
    try:
        suite = msgspec.convert(settings, Suite)
    except msgspec.ValidationError as error:
        if settings["requests"]:  # Without any, that has been said already.
            problems.append(shape_problem("", error))
    if suite is not None:
        problems.extend(check_suite(suite))
    if problems or suite is None:
        raise ParityInvalid(tuple(problems), origin)
    return SuiteFile(suite=suite, control=sides["control"], candidate=sides["candidate"])


def _seeds(tables: dict[str, Any], problems: list[Problem]) -> list[int]:
    count = tables["seed_count"]
    if "seeds" in tables:
        problems.append(Problem("seed_count", "contradicts seeds; keep one of the two"))
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= REQUESTS_MAX:
        problems.append(Problem("seed_count", f"must be a number from 1 to {REQUESTS_MAX}"))
        return [0]
    return list(range(1, count + 1))


def _requests(tables: dict[str, Any], folder: Path | None, problems: list[Problem]) -> list[Request]:
    """Return the requests of the file and of the file that it names, each with a name."""
    entries: list[Any] = []
    here = tables.get("request", [])
    if isinstance(here, list):
        entries += [("request", index, value) for index, value in enumerate(here)]
    else:
        problems.append(Problem("request", "must be an array of tables: [[request]]"))
    if "requests_file" in tables:
        entries += [
            (str(tables["requests_file"]), index, value)
            for index, value in enumerate(_lines(tables["requests_file"], folder, problems))
        ]
    if not entries and not problems:
        problems.append(Problem("request", "is missing: write a [[request]], or requests_file"))
    found: list[Request] = []
    for number, (where, index, value) in enumerate(entries, 1):
        try:
            request = msgspec.convert(value, Request)
        except msgspec.ValidationError as error:
            problems.append(shape_problem(f"{where}[{index}]", error))
            continue
        found.append(request if request.name else msgspec.structs.replace(request, name=f"request-{number}"))
    return found


def _lines(name: object, folder: Path | None, problems: list[Problem]) -> list[Any]:
    if not isinstance(name, str) or folder is None:
        problems.append(Problem("requests_file", "must be the path of a file beside this one"))
        return []
    try:
        return parse_json_lines(read_bounded(folder / name, REQUESTS_MAX_BYTES), lines_max=REQUESTS_MAX)
    except OSError as error:
        problems.append(Problem("requests_file", f"{name} can't be read: {(error.strerror or str(error)).lower()}"))
    except ValueError as error:
        problems.append(Problem("requests_file", f"{name} {error}"))
    return []

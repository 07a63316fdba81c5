"""What a version matrix is: the file that names components, the matrix, and its page. Pure.

Document 000's matrix maps UI, Runner, Engine, Snapshot schema and Telemetry policy versions, and keeps the hash salt's
version with them. A component whose version nobody could tell is named as missing; a matrix with one is not complete.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from agt.supervisor._errors import SupervisorError

DOCUMENT_COMPONENTS: Final = ("ui", "runner", "engine", "snapshot-schema", "telemetry-policy", "hash-salt")
"""What document 000's matrix holds."""
COMPONENTS_MAX: Final = 200
FILE_MAX_BYTES: Final = 256 << 10
VERSION_MAX: Final = 120
"""Characters of a version; more is no version."""
Side = Literal["control", "candidate"]


class MatrixInvalid(SupervisorError):
    """Raised when the file that names components can't be used."""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where one side's version is asked: exactly one of these."""

    value: str = ""
    """The version itself, where only a person knows it."""
    command: tuple[str, ...] = ()
    """Program and arguments, no shell; the version is in what it prints. `{python}` and `{run}` are filled in."""
    file: str = ""
    """A file beside the matrix file."""
    http: str = ""
    """An address that answers a GET."""
    key: str = ""
    """Where the answer is JSON or TOML: the path to the version in it, `build.version`."""
    pattern: str = ""
    """Otherwise a regular expression; its first group is the version. Without it the first word with a digit is."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which of the sources are given."""
        return tuple(name for name in ("value", "command", "file", "http") if getattr(self, name))


class Component(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row as the file writes it."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9 ._-]{0,63}$")]
    says: str = ""
    control: Source | None = None
    candidate: Source | None = None
    equal: bool = False
    """Whether both sides have to have the same version: a hash salt, say."""


class MatrixFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file that names components."""

    schema: Literal[1]
    control: str = "control"
    """What control is called, with its release: `v2.5H+`."""
    candidate: str = "candidate"
    component: Annotated[tuple[Component, ...], Meta(min_length=1, max_length=COMPONENTS_MAX)]
    require: tuple[str, ...] = DOCUMENT_COMPONENTS
    """Components that have to be there; document 000's when the file says nothing."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What one side answered."""

    version: str = ""
    why: str = ""
    """Why there is no version; empty when there is."""


class MatrixRow(msgspec.Struct, frozen=True, kw_only=True):
    """One component on both sides."""

    name: str
    control: Asked
    candidate: Asked
    says: str = ""
    problem: str = ""
    """What is wrong beside missing versions; empty when nothing is."""


class VersionMatrix(msgspec.Struct, frozen=True, kw_only=True):
    """Every component on both sides."""

    made_at: float
    control: str
    candidate: str
    rows: tuple[MatrixRow, ...]
    missing: tuple[str, ...]
    """What keeps it from being complete, in words."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def load_matrix_file(path: Path) -> MatrixFile:
    """Read the file that names components.

    Raises:
        MatrixInvalid: with everything that is wrong with it.
    """
    try:
        with path.open("rb") as file:
            body = file.read(FILE_MAX_BYTES + 1)
        if len(body) > FILE_MAX_BYTES:
            raise MatrixInvalid(f"{path} is larger than {FILE_MAX_BYTES:,} bytes")
        found = msgspec.convert(tomllib.loads(body.decode("utf-8")), MatrixFile)
    except OSError as error:
        raise MatrixInvalid(f"{path} can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise MatrixInvalid(f"{path}: {error}", "docs/reference/version-matrix.md has every key") from error
    problems = list(_problems(found))
    if problems:
        raise MatrixInvalid("\n".join(f"{path}: {problem}" for problem in problems))
    return found


def _problems(file: MatrixFile) -> list[str]:
    found = []
    names = [one.name for one in file.component]
    found += [f"component {name!r} is named twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for one in file.component:
        for side, source in (("control", one.control), ("candidate", one.candidate)):
            if source is None:
                continue
            if len(source.kinds) != 1:
                found.append(f"{one.name}.{side}: give exactly one of value, command, file and http")
            if source.key and source.pattern:
                found.append(f"{one.name}.{side}: a key reads JSON or TOML, a pattern reads text; give one of them")
    return found


def build_matrix(file: MatrixFile, asked: Mapping[tuple[str, Side], Asked], *, now: float) -> VersionMatrix:
    """Return the matrix of what was answered, with what is missing."""
    rows = tuple(_row(one, asked) for one in file.component)
    missing = [f"{name} is not in the file" for name in file.require if name not in {row.name for row in rows}]
    for row in rows:
        missing += [f"{row.name} of {side}: {one.why}" for side, one in _sides(row) if not one.version]
        missing += [row.problem] if row.problem else []
    return VersionMatrix(made_at=now, control=file.control, candidate=file.candidate, rows=rows, missing=tuple(missing))


def _row(one: Component, asked: Mapping[tuple[str, Side], Asked]) -> MatrixRow:
    control = asked.get((one.name, "control"), Asked(why="nobody was asked"))
    candidate = asked.get((one.name, "candidate"), Asked(why="nobody was asked"))
    differ = one.equal and control.version and candidate.version and control.version != candidate.version
    problem = f"{one.name} has to be equal: {control.version} and {candidate.version}" if differ else ""
    return MatrixRow(name=one.name, control=control, candidate=candidate, says=one.says, problem=problem)


def _sides(row: MatrixRow) -> tuple[tuple[str, Asked], tuple[str, Asked]]:
    return ("control", row.control), ("candidate", row.candidate)


def matrix_page(matrix: VersionMatrix) -> str:
    """Return the matrix as Markdown."""
    lines = ["# Version matrix", "", f"| component | {matrix.control} | {matrix.candidate} | |", "|---|---|---|---|"]
    for row in matrix.rows:
        cells = [one.version or f"*missing: {one.why}*" for _, one in _sides(row)]
        note = row.problem or row.says
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in (row.name, *cells, note)) + " |")
    lines += ["", "Complete." if matrix.complete else "Not complete:"]
    return "\n".join([*lines, *(f"- {one}" for one in matrix.missing)]) + "\n"

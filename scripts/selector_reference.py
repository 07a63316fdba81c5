"""Write the tables of docs/reference/selector.md from the types; `--check` says whether they are current.

A key's line is its docstring. What a table can't say stands around it, written by hand.
"""

import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from agt.router import ForcedMode, Meaning, Override, Route, Runtimes, Selector
from agt.router.schemas import docs_under

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "selector.md"
END = "<!-- end -->"
TABLES: dict[str, type[msgspec.Struct]] = {
    "selector": Selector,
    "runtimes": Runtimes,
    "runtime": Route,
    "overrides": Override,
    "forced_mode": ForcedMode,
}


def table(kind: type[msgspec.Struct]) -> Iterator[str]:
    """Yield the lines of a struct's table."""
    docs = docs_under(kind)
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for field in msgspec.structs.fields(kind):
        yield f"| `{field.encode_name}` | {_default(field)} | {_cell(docs[field.name])} |"


def meanings() -> Iterator[str]:
    """Yield the lines of what variables can mean."""
    docs = docs_under(Meaning)
    yield "| meaning | effect |"
    yield "|---|---|"
    for meaning in Meaning:
        yield f"| `{meaning.value}` | {_cell(docs[meaning.name])} |"


def written(page: str) -> str:
    """Return the page with the tables of now between their marks."""
    bodies = {name: table(kind) for name, kind in TABLES.items()} | {"meanings": meanings()}
    for name, lines in bodies.items():
        mark = f"<!-- {name}: written by scripts/selector_reference.py -->"
        before, found, rest = page.partition(mark)
        _, end, after = rest.partition(END)
        if not (found and end):
            raise SystemExit(f"{PAGE.name} has no place for {name}: {mark} ... {END}")
        page = "\n".join([before + mark, *lines, END]) + after
    return page


def main() -> int:
    """Write the page, or check it."""
    page = PAGE.read_text(encoding="utf-8")
    current = written(page)
    if "--check" in sys.argv[1:]:
        if page != current:
            sys.stderr.write(
                "docs/reference/selector.md is not current; run: .venv/bin/python scripts/selector_reference.py\n"
            )
            return 1
        return 0
    PAGE.write_text(current, encoding="utf-8")
    return 0


def _default(field: Any) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or isinstance(value, msgspec.Struct):
        return "none"
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list | dict):
        return "empty"
    return f'`"{value}"`' if isinstance(value, str) else f"{value:g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())

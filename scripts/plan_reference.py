"""Write the table of every key into docs/reference/plan.md, from the structs; `--check` says whether it is current.

The structs are the reference: names, defaults and the sentence under each field. What belongs together, and why, is
said in the rest of the page by hand.
"""

import inspect
import re
import sys
import types
import typing
from pathlib import Path
from typing import Any

import msgspec

from agt.router.schemas import docs_under
from agt.supervisor.rollout import PlanFile

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "plan.md"
BEGIN = "<!-- written by scripts/plan_reference.py; edit the structs instead -->"
END = "<!-- end -->"
_SKIPPED = ("component",)
"""Tables that have a page of their own."""


def tables() -> str:
    """Return the whole part: one table of keys for each table of the file."""
    parts = ["", *(_table(title, kind) for title, kind in _structs(PlanFile, "the top"))]
    return "\n\n".join(parts) + "\n\n"


def _structs(kind: type[msgspec.Struct], title: str) -> list[tuple[str, type[msgspec.Struct]]]:
    """Return a struct and those inside it, outer ones first, each with the title that its table has."""
    found: list[tuple[str, type[msgspec.Struct]]] = [(title, kind)]
    for field in msgspec.structs.fields(kind):
        inner = _inner(field.type)
        if inner is None or field.encode_name in _SKIPPED:
            continue
        struct, repeated = inner
        path = field.encode_name if kind is PlanFile else f"{title.strip('`[]')}.{field.encode_name}"
        found += _structs(struct, f"`[[{path}]]`" if repeated else f"`[{path}]`")
    return found


def _inner(kind: Any) -> tuple[type[msgspec.Struct], bool] | None:
    """Return the struct that a field holds, and whether it holds several."""
    if typing.get_origin(kind) is typing.Annotated:
        return _inner(typing.get_args(kind)[0])
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        inners = [found for one in typing.get_args(kind) if (found := _inner(one))]
        return inners[0] if len(inners) == 1 else None
    if typing.get_origin(kind) is tuple:
        inner = _inner(typing.get_args(kind)[0])
        return (inner[0], True) if inner else None
    return (kind, False) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _table(title: str, kind: type[msgspec.Struct]) -> str:
    says: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if isinstance(each, type) and issubclass(each, msgspec.Struct) and each is not msgspec.Struct:
            says |= docs_under(each)
    rows = [
        f"| `{field.encode_name}` | {_default(field)} | {_prose(says.get(field.name) or _about(field.type))} |"
        for field in msgspec.structs.fields(kind)
    ]
    return "\n".join([f"### {title}", "", "| key | default | meaning |", "|---|---|---|", *rows])


def _about(kind: Any) -> str:
    """Return the first sentence about the table that a field holds."""
    inner = _inner(kind)
    return (inspect.getdoc(inner[0]) or "").split("\n\n")[0] if inner else ""


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if value is None or value in ("", (), {}) or isinstance(value, msgspec.Struct):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f'`"{value}"`' if isinstance(value, str) else f"`{msgspec.json.encode(value).decode()}`"


def _prose(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def page() -> str:
    """Return the page with the tables as they are now."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{tables()}{END}{after}"


def main() -> int:
    """Write the page, or compare it."""
    wanted = page()
    if "--check" not in sys.argv:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if wanted == PAGE.read_text(encoding="utf-8"):
        return 0
    print(f"{PAGE.name} is not current: run scripts/plan_reference.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

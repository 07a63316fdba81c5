"""Write docs/reference/api/ from the docstrings of every public door; `--check` says whether it is current.

A page a door: what is in its `__all__`, in that order, with signatures, fields and the docstrings as they stand in the
code. Whatever is unclear on a page is unclear in the code, and is mended there.
"""

import ast
import enum
import functools
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import msgspec

FOLDER = Path(__file__).parents[1] / "docs" / "reference" / "api"
DOORS = (
    "agt.transport",
    "agt.transport.blocking",
    "agt.transport.durable",
    "agt.transport.metrics",
    "agt.transport.testing",
    "agt.transport.wires.cync",
    "agt.transport.wires.lines",
    "agt.transport.wires.native",
    "agt.router",
    "agt.router.http",
    "agt.router.modes",
    "agt.router.parity",
    "agt.router.regression",
    "agt.router.shadow",
    "agt.router.shadow.cync",
    "agt.router.shadow.lines",
)
NOTE = "<!-- written by scripts/api_reference.py; edit the docstrings instead -->"
_OURS = re.compile(r"\bagt(?:\.\w+)+\.(?=\w)|\bcollections\.abc\.|\btyping\.|\banyio\.abc\._?\w+\.")
_SECTIONS = ("Args:", "Returns:", "Raises:", "Yields:")


def pages() -> dict[str, str]:
    """Return every page by its file name, the index among them."""
    found = {f"{door}.md": page(importlib.import_module(door)) for door in DOORS}
    rows = [f"| [`{door}`]({door}.md) | {_first(importlib.import_module(door))} |" for door in DOORS]
    index = "\n".join(["# API reference", "", NOTE, "", "| import | what it is |", "|---|---|", *rows, ""])
    return {"README.md": index, **found}


def page(door: ModuleType) -> str:
    """Return the page of one door."""
    parts = [f"# {door.__name__}", NOTE, _prose(inspect.getdoc(door) or "")]
    names = (name for name in sorted(door.__all__, key=str.casefold) if not name.startswith("__"))
    parts.extend(_entry(name, getattr(door, name)) for name in names)
    return "\n\n".join(parts) + "\n"


def _entry(name: str, value: object) -> str:
    if inspect.isclass(value):
        return _class(name, value)
    if inspect.isfunction(value):
        return f"## {name}\n\n{_signature(name, value)}\n\n{_prose(inspect.getdoc(value) or '')}"
    return f"## {name}\n\n`{name}` is {_plain(value)}."


def _plain(value: object) -> str:
    """Return a constant or an alias in words that don't change from run to run."""
    if isinstance(value, int | float | str | bytes):
        return f"`{value!r}`"
    text = _OURS.sub("", str(value))
    return f"`{text}`" if " at 0x" not in text else f"a `{type(value).__name__}`"


def _class(name: str, kind: type) -> str:
    parts = [f"## {name}"]
    if issubclass(kind, enum.Enum):
        parts.append(_prose(_own_doc(kind)))
        parts.append("\n".join(f"- `{member.name}` = `{member.value!r}`{_says(kind, member.name)}" for member in kind))
        return "\n\n".join(parts)
    if not issubclass(kind, BaseException) and not getattr(kind, "_is_protocol", False):
        parts.append(_signature(name, kind))
    parts.append(_prose(_own_doc(kind)))
    initialiser = kind.__dict__.get("__init__")
    if inspect.isfunction(initialiser) and initialiser.__doc__:
        parts.append(_prose(inspect.getdoc(initialiser) or ""))
    fields = _fields(kind)
    if fields:
        parts.append("\n".join(fields))
    parts.extend(_members(kind))
    return "\n\n".join(part for part in parts if part)


def _own_doc(kind: type) -> str:
    return inspect.cleandoc(kind.__dict__.get("__doc__") or "")


def _fields(kind: type) -> list[str]:
    if not issubclass(kind, msgspec.Struct):
        return []
    return [
        f"- `{field.name}`{_says(kind, field.name)}"
        for field in msgspec.structs.fields(kind)
        if not field.name.startswith("_")
    ]


def _says(kind: type, attribute: str) -> str:
    """Return the sentence that stands under a field or member, where there is one."""
    for owner in kind.__mro__:
        said = _sentences(owner).get(attribute)
        if said:
            return f": {' '.join(said.split())}"
    return ""


@functools.cache
def _sentences(kind: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return {}
    (definition,) = tree.body
    assert isinstance(definition, ast.ClassDef), "the source of a class"
    found: dict[str, str] = {}
    for statement, after in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign | ast.Assign) and isinstance(after, ast.Expr):
            target = statement.target if isinstance(statement, ast.AnnAssign) else statement.targets[0]
            if isinstance(target, ast.Name) and isinstance(after.value, ast.Constant):
                found[target.id] = str(after.value.value)
    return found


def _members(kind: type) -> Iterator[str]:
    for name, member in kind.__dict__.items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield f"### {kind.__name__}.{name}\n\n{_prose(inspect.getdoc(member) or '')}"
        elif isinstance(member, classmethod | staticmethod) or inspect.isfunction(member):
            function = getattr(kind, name)
            title = f"### {kind.__name__}.{name}"
            yield f"{title}\n\n{_signature(name, function)}\n\n{_prose(inspect.getdoc(function) or '')}"


def _signature(name: str, value: object) -> str:
    assert callable(value), "only what can be called has a signature"
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    kept = [one for one in signature.parameters.values() if one.name != "self" and not one.name.startswith("_")]
    text = f"{name}{signature.replace(parameters=kept)}"
    text = re.sub(r" at 0x[0-9a-f]+", "", _OURS.sub("", text)).replace("'", '"')
    text = re.sub(r"<(\w+\.\w+): [^>]*>", r"\1", text)
    if inspect.isclass(value):
        text = text.removesuffix(" -> None")
    text = re.sub(r'(: |-> |\[|, )"([^"]*)"', r"\1\2", text)  # Annotations that were written as strings.
    if inspect.iscoroutinefunction(value):
        text = f"async {text}"
    return f"```\n{_folded(text)}\n```"


def _folded(text: str) -> str:
    """Break a signature at its commas where it is too long for a page."""
    if len(text) <= 110:
        return text
    parts, depth, start = [], 0, text.index("(") + 1
    end = text.rindex(")")
    for position in range(start, end):
        depth += (text[position] in "([{") - (text[position] in ")]}")
        if text[position] == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    parts.append(text[start:end].strip())
    inner = ",\n    ".join(part for part in parts if part)
    return f"{text[: text.index('(') + 1]}\n    {inner},\n{text[end:]}"


def _prose(doc: str) -> str:
    """Turn a google-style docstring into Markdown: its sections become lists."""
    lines: list[str] = []
    inside = False
    for line in doc.splitlines():
        if line.strip() in _SECTIONS:
            lines += ["", f"**{line.strip()[:-1]}**", ""]
            inside = True
        elif inside and line.strip():
            indent = len(line) - len(line.lstrip())
            if indent <= 4 and ":" in line:
                key, _, rest = line.strip().partition(":")
                lines.append(f"- `{key}`:{rest}")
            else:
                lines.append(f"  {line.strip()}")
        else:
            inside = inside and bool(line.strip())
            lines.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _first(door: ModuleType) -> str:
    return " ".join((inspect.getdoc(door) or "").split("\n\n")[0].split())


def main(arguments: list[str]) -> int:
    """Write the pages, or hold them against what they should be."""
    wanted = pages()
    if "--check" in arguments:
        present = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
        stale = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
        if stale:
            print(f"{', '.join(stale)}: not what the docstrings say; run `.venv/bin/python scripts/api_reference.py`")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.md"):
        path.unlink()
    for name, text in wanted.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Write docs/reference/transport-config.md from the types; `--check` says whether it is current.

The types are the reference: names, defaults, limits, and the sentence under each field. A page written by hand would be
a second one.
"""

import ast
import enum
import inspect
import re
import sys
import textwrap
import types
import typing
from pathlib import Path
from typing import Any

import msgspec

from agt.transport import ConnectBudget, Overflow, ReliableConfig
from agt.transport.trust import AdmissionLimits
from agt.transport.wires.cync import CyncConfig
from agt.transport.wires.lines import LinesConfig
from agt.transport.wires.native import NativeConfig

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "transport-config.md"
INTRODUCTION = """\
# Transport settings

<!-- written by scripts/config_reference.py; edit the types instead -->

A file holds tables of TOML; names and defaults of `[reliable_transport]` are those of document 004's `config.yaml`:

```toml
[reliable_transport]
max_retries = 3               # or "none": until the message's deadline, as with an outbox where it isn't said
ack_timeout_seconds = 5.0
dedup_cache_size = 1000
dedup_ttl_seconds = 300
send_queue_max = 100
recv_queue_max = 100

[connect_budget]
connects_per_s = 1000
```

`load_config(path)` reads it, `ReliableConfig.from_toml(text_or_path)` only its first table. Unknown keys and values out
of range are refused, all at once, each with file, key path and the nearest name that exists. Tables of other names are
left to whoever they belong to. What is not there has its default. The settings of single wires are given in code.
"""
SECTIONS: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    ("`[reliable_transport]`", ReliableConfig),
    ("`[connect_budget]`", ConnectBudget),
    ("`AdmissionLimits`", AdmissionLimits),
    ("`NativeConfig`", NativeConfig),
    ("`CyncConfig`", CyncConfig),
    ("`LinesConfig`", LinesConfig),
)


def page() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    for title, kind in SECTIONS:
        parts.append(f"## {title}\n\n{_prose(inspect.getdoc(kind) or '')}\n\n{_table(kind)}")
        if kind is ReliableConfig:
            parts.append(_overflow())
    return "\n".join(parts)


def _table(kind: type[msgspec.Struct]) -> str:
    says = _sentences(kind)
    rows = [
        f"| `{field.name}` | {_default(field.default)} | {_limits(field.type)} | {_prose(says[field.name])} |"
        for field in msgspec.structs.fields(kind)
    ]
    return "\n".join(["| key | default | limits | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _overflow() -> str:
    says = _sentences(Overflow)
    lines = ["| `overflow` | meaning |", "|---|---|"]
    lines += [f'| `"{each.value}"` | {_prose(says[each.name])} |' for each in Overflow]
    return "\n".join(lines) + "\n"


def _sentences(kind: type) -> dict[str, str]:
    """Return the docstring under each attribute of a class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for node, after in zip(tree.body, tree.body[1:], strict=False):
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if isinstance(target, ast.Name) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[target.id] = inspect.cleandoc(str(after.value.value))
    return found


def _prose(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def _default(value: Any) -> str:
    special = {msgspec.NODEFAULT: "required", None: '`"none"`', "": "empty", b"": "empty", True: "true", False: "false"}
    if isinstance(value, enum.Enum):
        return f'`"{value.value}"`'
    if isinstance(value, frozenset):
        return ", ".join(f"0x{code:02x}" for code in sorted(value))
    if callable(value):
        return f"`{value.__name__}`"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    return special.get(value, f'`"{value}"`')


def _limits(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(f'`"{word}"`' for word in typing.get_args(kind))
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        parts = typing.get_args(kind)
        named = [_limits(part) for part in parts if part is not type(None)]
        return ", or ".join([*filter(None, named), *(['`"none"`'] if type(None) in parts else [])])
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    metas = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    given = [(word, getattr(meta, name)) for meta in metas for name, word in words.items()]
    return ", ".join(f"{word} {_number(bound)}" for word, bound in given if bound is not None)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def main() -> int:
    """Write the page, or compare."""
    text = page()
    if "--check" in sys.argv[1:]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
            return 0
        print(f"{PAGE.name} is not what the types say: run python scripts/config_reference.py", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

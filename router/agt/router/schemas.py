"""JSON Schemas of our files, made from the types that read them; for editors and for `agt plan schema`.

Descriptions are the docstrings under the fields. They live in the source and not in the running program, so they are
read from there, and left out where there is no source (a frozen build).
"""

import ast
import enum
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import inspect as shapes

from agt.router._selector import Selector

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_FLAGS: Final = {
    "^([Ff]orce).+([Mm]ode)$": {"type": "boolean", "description": "`kill_switch`, as document 002 calls it."},
    "^.+(_rollout_percentage|RolloutPercentage)$": {
        "type": "number",
        "minimum": 0,
        "maximum": 100,
        "description": "`percentage`, as document 002 calls it; alone it also enables the candidate.",
    },
    "^([Ee]nable).+$": {"type": "boolean", "description": "A flag of `[components]`, as document 002 calls it."},
}
"""Document 002's names, where `[runtime]` and `[flags]` take them."""

__all__ = ("DIALECT", "docs_under", "schema_of", "selector_schema")


def docs_under(kind: type) -> dict[str, str]:
    """Return the docstring under each field or member of a class, on one line; empty without its source."""
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError):
        return {}
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef), "a class was asked about"
    found: dict[str, str] = {}
    for before, after in zip(node.body, node.body[1:], strict=False):
        named: ast.expr | None = before.target if isinstance(before, ast.AnnAssign) else None
        if isinstance(before, ast.Assign):
            named = before.targets[0]
        says = after.value if isinstance(after, ast.Expr) else None
        if isinstance(named, ast.Name) and isinstance(says, ast.Constant) and isinstance(says.value, str):
            found[named.id] = " ".join(says.value.split())
    return found


def schema_of(kind: type[msgspec.Struct], *, title: str) -> dict[str, Any]:
    """Return the JSON Schema of a file whose whole is `kind`, every key described."""
    schema = {"$schema": DIALECT, "title": title, **_without_null(msgspec.json.schema(kind))}
    for inner in _structs(kind):
        properties = schema["$defs"][inner.__name__]["properties"]
        docs = {name: says for base in reversed(inner.__mro__[:-2]) for name, says in docs_under(base).items()}
        for field in msgspec.structs.fields(inner):
            if field.name in docs:
                properties[field.encode_name].setdefault("description", docs[field.name])
    return schema


def selector_schema() -> dict[str, Any]:
    """Return the JSON Schema of `selector.toml`, the keys' other names included."""
    schema = schema_of(Selector, title="agt selector")
    route = schema["$defs"]["Route"]
    route["patternProperties"] = {
        f"^.+{key.removeprefix('candidate')}$": route["properties"][key]
        for key in ("candidate_enabled", "candidate_canary_sessions")
    } | _FLAGS
    schema["$defs"]["Flags"] = {
        "title": "Flags",
        "description": "Document 002's flags as one table.",
        "type": "object",
        "patternProperties": _FLAGS,
        "additionalProperties": False,
    }
    schema["$defs"]["Selector"]["properties"]["flags"] = {"$ref": "#/$defs/Flags"}
    return schema


def _structs(kind: object) -> Iterator[type[msgspec.Struct]]:
    """Every struct that is reachable from a type, each once."""
    found: dict[type[msgspec.Struct], None] = {}
    waiting: list[object] = [shapes.type_info(kind)]
    while waiting:
        shape = waiting.pop()
        if isinstance(shape, shapes.StructType) and shape.cls not in found:
            found[shape.cls] = None
            waiting += [field.type for field in shape.fields]
        waiting += [inner for name in ("item_type", "value_type") if (inner := getattr(shape, name, None))]
        waiting += getattr(shape, "types", ())
    return iter(found)


def _without_null(schema: Any) -> Any:
    """Take `null` out: TOML has none, a key is left away instead."""
    if isinstance(schema, list):
        return [_without_null(one) for one in schema]
    if not isinstance(schema, dict):
        return schema.value if isinstance(schema, enum.Enum) else schema
    kept = {key: _without_null(value) for key, value in schema.items() if not (key == "default" and value is None)}
    variants = [one for one in kept.get("anyOf", ()) if one != {"type": "null"}]
    if len(variants) == 1:
        kept.pop("anyOf")
        kept = {**variants[0], **kept}
    return kept

"""Write openapi.json and api-reference.md in docs/reference from the control API; `--check`: are they current?"""

import sys
from pathlib import Path
from typing import Any

import msgspec

from agt.supervisor.control import openapi_document

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
METHODS = ("get", "post", "delete")
INTRODUCTION = """\
# The control API: routes

<!-- written by scripts/control_reference.py; edit agt.supervisor.control instead -->

How to get in, who may do what, and the limits: [the control API](../guides/control-api.md). The same as OpenAPI 3.1:
[openapi.json](openapi.json), served as `GET /v1/openapi.json`. Bodies are JSON; every answer that isn't 200 is an
[ErrorBody](#errorbody), and 429 says in `Retry-After` when to come again.

| route | what it does | takes | answers | errors beside 401, 403, 421, 429, 500 and 503 |
|---|---|---|---|---|
"""
ALWAYS = {"401", "403", "421", "429", "500", "503"}


def pages() -> dict[str, str]:
    """Return the contents of both pages by file name."""
    document = openapi_document()
    return {
        "openapi.json": msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2).decode() + "\n",
        "api-reference.md": _reference(document),
    }


def _reference(document: dict[str, Any]) -> str:
    lines = [INTRODUCTION.rstrip("\n")]
    for path, methods in sorted(document["paths"].items()):
        lines += [_row(method, path, methods[method]) for method in METHODS if method in methods]
    lines += ["", "## Bodies", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += [f"### {name}", "", *_body(schema), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    asked = [f"`{one['name']}`: {one['description']}" for one in operation.get("parameters", ())]
    content = operation.get("requestBody", {}).get("content", {})
    asked = [_kind(part["schema"]) for part in content.values()] + asked
    answers = [
        _kind(part["schema"]) if kind == "application/json" and part["schema"] else f"`{kind}`"
        for kind, part in operation["responses"]["200"]["content"].items()
    ]
    errors = ", ".join(sorted(operation["responses"].keys() - ALWAYS - {"200"}))
    cells = (f"`{method.upper()} {path}`", operation["summary"], "<br>".join(asked), ", ".join(answers), errors)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _body(schema: dict[str, Any]) -> list[str]:
    lines = [schema["description"], ""] if "description" in schema else []
    if "properties" not in schema:
        return [*lines, _kind(schema)]
    needed = set(schema.get("required", ()))
    lines += ["| field | type | needed |", "|---|---|---|"]
    lines += [
        f"| `{name}` | {_kind(field).replace('|', chr(92) + '|')} | {'yes' if name in needed else ''} |"
        for name, field in schema["properties"].items()
    ]
    return lines


def _kind(schema: dict[str, Any]) -> str:
    """Say in a few words what a schema takes."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{one}`" if one != "" else '`""`' for one in schema["enum"])
    return _plain(schema)


def _plain(schema: dict[str, Any]) -> str:
    match schema.get("type"):
        case "array":
            return f"list of {_kind(schema['items'])}" if isinstance(schema.get("items"), dict) else "list"
        case "object":
            inner = schema.get("additionalProperties")
            return f"map of {_kind(inner)}" if isinstance(inner, dict) and inner else "map"
        case str(kind):
            limits = {"minimum": "from", "maximum": "to", "maxLength": "at most", "exclusiveMinimum": "above"}
            said = [f"{word} {schema[key]:g}" for key, word in limits.items() if key in schema]
            return " ".join([kind, *said])
        case _:
            return "anything"


def main(arguments: list[str]) -> int:
    """Write or check both pages."""
    stale = []
    for name, text in pages().items():
        page = FOLDER / name
        if page.exists() and page.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(page))
        if "--check" not in arguments:
            page.write_text(text, encoding="utf-8")
            print(f"wrote {page}")
    if stale and "--check" in arguments:
        print(f"{', '.join(stale)}: not what the API is; run python scripts/control_reference.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Write docs/reference/http-config.md from the types; `--check` says whether it is current.

A key's line is its docstring.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from agt.router.http import (
    Files,
    HttpConfig,
    KeySource,
    Limits,
    Listen,
    Mirroring,
    Retired,
    RouteRule,
    Upstream,
)
from agt.router.schemas import docs_under

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "http-config.md"
TABLES: dict[str, type[msgspec.Struct]] = {
    "": HttpConfig,
    "[listen]": Listen,
    "[upstreams.NAME]": Upstream,
    "[router]": Files,
    "[[key]]": KeySource,
    "[[route]]": RouteRule,
    "[[retired]]": Retired,
    "[mirror]": Mirroring,
    "[limits]": Limits,
}
HEAD = """# Keys of `http.toml`

<!-- written by scripts/http_reference.py; edit agt.router.http._config instead -->

What `agt http --config http.toml` can be told ([how it works](../guides/http.md)). `agt http --check` says everything
that is wrong with a file, `agt http --schema` prints its JSON Schema. Paths are matched percent-decoded and without the
query: `*` is anything within a segment, `{name}` one segment by name, `/**` at the end everything from there on. Times
are in seconds."""


def page() -> str:
    """Return the page as it should be."""
    parts = [HEAD]
    for title, kind in TABLES.items():
        parts.append("\n".join([*([f"## `{title}`", ""] if title else ["## At the top", ""]), *table(kind)]))
    return "\n\n".join(parts) + "\n"


def table(kind: type[msgspec.Struct]) -> Iterator[str]:
    """Yield the lines of a struct's table."""
    docs = docs_under(kind)
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for field in msgspec.structs.fields(kind):
        yield f"| `{field.encode_name}` | {_default(field)} | {docs[field.name].replace('|', chr(92) + '|')} |"


def main() -> int:
    """Write the page, or check it."""
    current = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != current:
            sys.stderr.write("docs/reference/http-config.md is old; run: .venv/bin/python scripts/http_reference.py\n")
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
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple) and value:
        return ", ".join(f'`"{item}"`' for item in value)
    if isinstance(value, tuple | dict):
        return "empty"
    return f'`"{value}"`' if isinstance(value, str) else f"{value:,g}" if isinstance(value, float) else f"{value:,}"


if __name__ == "__main__":
    sys.exit(main())

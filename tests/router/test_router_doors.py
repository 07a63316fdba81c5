"""What the package shows to the outside: light to import, and documented key by key."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import fields

from agt.router import Override, Route, Runtimes, Selector, parse_selector
from agt.router.schemas import selector_schema

ROOT = Path(__file__).parents[2]


def test_router_loads_no_extra() -> None:
    """A controller that embeds it needs neither server, watcher nor metrics library."""
    heavy = ("starlette", "uvicorn", "watchfiles", "prometheus_client", "httpx", "h11", "textual", "typer", "tomlkit")
    script = f"import sys, agt.router; print(*[name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_reference_is_what_the_types_say() -> None:
    """Every key and every meaning, with its default and its docstring, as they are now."""
    command = [sys.executable, str(ROOT / "scripts" / "selector_reference.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_example_of_the_reference_is_a_selector() -> None:
    """What people copy from there works."""
    page = (ROOT / "docs" / "reference" / "selector.md").read_text("utf-8")
    example = page.partition("```toml\n")[2].partition("```")[0]
    assert parse_selector(example).overrides[0].owner == "ana"


@pytest.mark.parametrize("kind", [Selector, Runtimes, Route, Override])
def test_schema_describes_every_key(kind: type) -> None:
    """Type and docstring; nothing that the selector doesn't know is let through."""
    shape = selector_schema()["$defs"][kind.__name__]
    assert shape["additionalProperties"] is False
    for field in fields(kind):
        described = shape["properties"][field.encode_name]
        assert described.get("description"), field.name
        assert {"type", "$ref", "enum"} & set(described), field.name
        assert "null" not in str(described)


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("v5_enabled", True),
        ("v5_canary_sessions", True),
        ("ForceV1Mode", True),
        ("force_v1_mode", True),
        ("V3RolloutPercentage", True),
        ("EnableV3StateSync", True),
        ("percentag", False),
    ],
)
def test_schema_knows_the_other_names(key: str, *, known: bool) -> None:
    """Those that carry a runtime's name, and document 002's."""
    patterns = selector_schema()["$defs"]["Route"]["patternProperties"]
    assert any(re.search(pattern, key) for pattern in patterns) is known

"""What the package shows to the outside: light to import, and documented key by key."""

import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import fields

from agt.router import Meaning, Override, Route, Runtimes, Selector

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "selector.md"


def test_router_loads_no_extra() -> None:
    """A controller that embeds it needs neither server, watcher nor metrics library."""
    heavy = ("starlette", "uvicorn", "watchfiles", "prometheus_client", "httpx", "textual", "typer")
    script = f"import sys, agt.router; print(*[name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


@pytest.mark.parametrize("kind", [Selector, Runtimes, Route, Override])
def test_every_key_is_in_the_reference(kind: type) -> None:
    """A key without a line there is a key that nobody finds."""
    text = REFERENCE.read_text()
    for field in fields(kind):
        name = field.encode_name
        assert f"`{name}`" in text or f"[{name}]" in text, name


def test_every_meaning_of_a_variable_is_in_the_reference() -> None:
    """The same for what variables can mean."""
    text = REFERENCE.read_text()
    assert [meaning for meaning in Meaning if f"`{meaning.value}`" not in text] == []

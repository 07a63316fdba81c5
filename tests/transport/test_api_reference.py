"""The API reference is made from docstrings, of every public name."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "api_reference.py"


def test_every_public_name_has_its_entry() -> None:
    """Whatever a door offers is described on that door's page."""
    spec = importlib.util.spec_from_file_location("api_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    pages = script.pages()
    for door in script.DOORS:
        offered = [name for name in importlib.import_module(door).__all__ if not name.startswith("__")]
        assert [name for name in offered if f"\n## {name}\n" not in pages[f"{door}.md"]] == []


def test_pages_are_what_the_docstrings_say() -> None:
    """Whoever changes a docstring writes the pages anew, with the command that the failure names."""
    checked = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr

"""The API reference is made from docstrings, of every public name."""

import importlib
import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "api_reference.py"


def test_pages_are_what_the_docstrings_say() -> None:
    """Whatever a door offers is described on that door's page, as the code has it now."""
    spec = importlib.util.spec_from_file_location("api_reference", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    pages = script.pages()
    present = {path.name: path.read_text(encoding="utf-8") for path in script.FOLDER.glob("*.md")}
    stale = sorted(name for name in pages.keys() | present.keys() if pages.get(name) != present.get(name))
    assert stale == [], "the docstrings have changed: run `.venv/bin/python scripts/api_reference.py`"
    for door in script.DOORS:
        offered = [name for name in importlib.import_module(door).__all__ if not name.startswith("__")]
        assert [name for name in offered if f"\n## {name}\n" not in pages[f"{door}.md"]] == []

"""The security page names tests as its evidence: each of them must be there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", PAGE)))


def test_the_page_names_its_evidence():
    """A pattern that finds nothing would prove everything."""
    assert len(NAMED) > 20


@pytest.mark.parametrize(("file", "name"), NAMED, ids=lambda value: value or "whole")
def test_what_the_security_page_names_is_there(file: str, name: str):
    """A promise whose test was renamed or removed has lost its proof."""
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    assert f"def {name}(" in text if name else "def test_" in text


@pytest.mark.parametrize(
    "limit", sorted(set(re.findall(r"`([A-Z_]+_(?:MAX|LIMIT|S|BYTES_MAX))`", PAGE)) | {"half_open_max"})
)
def test_the_limits_of_the_page_have_these_names(limit: str):
    """Whoever looks a limit up finds it in the code."""
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "transport").rglob("*.py"))
    assert any(re.search(rf"^\s*{limit}\b.*=", source, re.MULTILINE) for source in sources)

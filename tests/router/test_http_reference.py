"""The page of `http.toml` is what the types say, and what the guide shows works."""

import subprocess
import sys
from pathlib import Path

from agt.router.http import parse_http_config

ROOT = Path(__file__).parents[2]


def test_http_reference_is_what_the_types_say() -> None:
    """Every key with its default and its docstring, as they are now."""
    command = [sys.executable, str(ROOT / "scripts" / "http_reference.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_what_people_copy_from_the_guide_works() -> None:
    """Its first file is a whole one."""
    page = (ROOT / "docs" / "guides" / "http.md").read_text("utf-8")
    example, retired = (part.partition("```")[0] for part in page.split("```toml\n")[1:3])
    config = parse_http_config(example + retired)
    assert [bool(source.cookie) for source in config.key] == [False, True, False]
    assert config.retired[0].successor == "/api/v2/{rest}"

"""The page of settings says what the types say."""

import subprocess
import sys
from pathlib import Path

from agt.transport import ReliableConfig, TransportConfig

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "transport-config.md"


def test_the_page_is_what_the_types_say_now() -> None:
    """Made by a script, so that there is one place where a setting is described."""
    command = [sys.executable, str(ROOT / "scripts" / "config_reference.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_example_on_the_page_is_read_and_is_the_default() -> None:
    """Whoever copies it gets what they would have had anyway, but for an outbox, which would have tried on."""
    example = PAGE.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    found = ReliableConfig.from_toml(example)
    assert found.retries(kept=False) == ReliableConfig().retries(kept=False)
    assert found == ReliableConfig(max_retries=found.max_retries)


def test_every_table_of_a_file_has_its_section() -> None:
    """A table without a description is one that nobody finds."""
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in TransportConfig.__struct_fields__ if f"## `[{name}]`" not in text] == []

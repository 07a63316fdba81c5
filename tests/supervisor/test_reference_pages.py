"""The pages that people read say what the code says: the state diagram, and every key of a component."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from agt.supervisor.components import _spec as spec

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "components.md").read_text(encoding="utf-8")


def test_the_state_diagram_is_the_table() -> None:
    """The guide's drawing is what the table gives now."""
    command = [sys.executable, str(ROOT / "scripts" / "state_diagram.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("shape", [spec.ComponentSpec, spec.Liveness, spec.RestartPolicy], ids=lambda one: one.__name__)
def test_every_key_of_a_component_has_its_line_and_default(shape: type[msgspec.Struct]) -> None:
    """`| key | default |` as the structs have it."""
    for field in msgspec.structs.fields(shape):
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{field.name}` |"))
        default = line.split("|")[2].strip().strip("`")
        if field.required:
            assert default == "required"
        elif isinstance(field.default, int | float):
            assert float(default) == field.default


def test_every_probe_has_its_line_and_keys() -> None:
    """One line a way of asking, with the keys that it takes."""
    probes = PAGE.partition("| `by` |")[2].splitlines()
    for probe in (spec.NotifyProbe, spec.TcpProbe, spec.UnixProbe, spec.HttpProbe, spec.CommandProbe, spec.LogProbe):
        (line,) = [line for line in probes if line.startswith(f"| `{probe.__struct_config__.tag}` |")]
        assert all(f"`{name}`" in line or f" {name}`" in line for name in probe.__struct_fields__), line


def test_no_key_is_made_up() -> None:
    """Every key in the tables belongs to a struct."""
    shapes = (spec.ComponentSpec, spec.Liveness, spec.RestartPolicy)
    known = {name for shape in shapes for name in shape.__struct_fields__} | {
        "by",
        "notify",
        "tcp",
        "unix",
        "http",
        "command",
        "log",
    }
    lines = [line for line in PAGE.splitlines() if line.startswith("| `") and not line.startswith("| `agt ")]
    keys = {line.split("`")[1] for line in lines}
    assert keys - known == set()


def test_every_variable_that_is_read_is_on_the_page_of_configuration() -> None:
    """And none that isn't; whoever looks for what can be set finds all of it in one place."""
    page = (ROOT / "docs" / "reference" / "configuration-reference.md").read_text(encoding="utf-8")
    sources = (
        path for part in ("transport", "router", "supervisor", "tui", "chaos") for path in (ROOT / part).rglob("*.py")
    )
    read = {name for path in sources for name in re.findall(r"AGT_[A-Z_]+", path.read_text(encoding="utf-8"))}
    read = {"AGT_DEMO_EVENTS_" if name.startswith("AGT_DEMO_EVENTS_") else name for name in read}
    named = set(re.findall(r"`(AGT_[A-Z_]+)", page)) - {"AGT_HYPOTHESIS", "AGT_DEMO_EVENTS_HEARTBEAT_S"}
    assert named == read

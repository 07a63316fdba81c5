"""The README's controller runs as printed, and its selector moves a device."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def block(language: str) -> str:
    """Return the README's only block of a language."""
    _, *after = (ROOT / "README.md").read_text(encoding="utf-8").split(f"```{language}\n")
    assert len(after) == 1
    return after[0].split("```")[0]


def test_the_controller_moves_a_device_when_the_selector_appears(tmp_path: Path) -> None:
    """Legacy without a selector, reliable soon after it was put there: nobody restarted anything."""
    (tmp_path / "controller.py").write_text(block("python"), encoding="utf-8")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-u", tmp_path / "controller.py", tmp_path], **pipes) as controller:
        _, legacy, _, reliable = controller.stdout.readline().split()
        device = ROOT / "examples" / "device.py"
        with subprocess.Popen([sys.executable, "-u", device, "lamp", legacy, reliable], **pipes) as lamp:
            try:
                assert lamp.stdout.readline() == "lamp ready\n"

                def ask(value: str) -> str:
                    controller.stdin.write(f"lamp {value}\n")
                    controller.stdin.flush()
                    return controller.stdout.readline().strip()

                assert any(ask("on").startswith("lamp on written by legacy") for _ in range(500))
                (tmp_path / "selector.toml").write_text(block("toml"), encoding="utf-8")
                assert any(ask("off").startswith("lamp off delivered by reliable") for _ in range(20_000)), (
                    "never moved"
                )
            finally:
                lamp.kill()
                controller.kill()


def test_the_readme_needs_two_commands() -> None:
    """The first block is all that a newcomer types."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = text.split("```\n")[1]
    assert [line.split("#")[0].strip() for line in first.splitlines()] == ["make demo", "make test"]


def test_every_link_of_the_readme_and_the_design_finds_its_file() -> None:
    """Pages move."""
    for page in (ROOT / "README.md", ROOT / "docs" / "design.md"):
        links = re.findall(r"\]\(([^)#:]+)", page.read_text(encoding="utf-8"))
        assert links
        assert [link for link in links if not (page.parent / link).exists()] == []

"""The first migration works as printed: its files, its plan and its commands, from an empty folder."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agt.supervisor.rollout import load_plan

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "first-migration.md"
NAMES = {"python": ("lamps.py", "controller.py"), "toml": ("plan.toml",)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that a newcomer has after section 3."""
    text = GUIDE.read_text(encoding="utf-8")
    for language, names in NAMES.items():
        blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for name, block in zip(names, blocks, strict=True):
            (tmp_path / name).write_text(block, encoding="utf-8")
    return tmp_path


def commands(heading: str) -> list[list[str]]:
    """Return the commands of one section, as printed."""
    section = GUIDE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.startswith("agt ")]


def test_what_is_printed_is_sound(folder: Path) -> None:
    """The plan passes its check, and the programs are Python."""
    assert [phase.name for phase in load_plan(folder / "plan.toml").phases] == ["before", "two-lamps", "half", "all"]
    for name in NAMES["python"]:
        compile((folder / name).read_text(encoding="utf-8"), name, "exec")


@pytest.mark.soak
@pytest.mark.timeout(400)
def test_a_newcomer_gets_through_by_following_it(folder: Path) -> None:
    """Every command in its order: `half` waits for the sign-off, `all` is rolled back on purpose, then completed."""
    environment = {**os.environ, "AGT_RUN_DIR": str(folder / "run")}

    def agt(words: list[str]) -> str:
        line = [sys.executable, "-m", "agt.supervisor.cli", *words[1:]]
        done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        unproven = words[1:] == ["report", "completion"]  # The guide says so: two minutes are no thirty days.
        assert done.returncode == unproven, f"{shlex.join(words)}: {done.stderr}"
        return done.stdout

    def reach(phase: str, status: str = "running") -> None:
        deadline = time.monotonic() + 120
        while (view := json.loads(agt(["agt", "status", "--json"]))) and (view["phase"], view["status"]) != (
            phase,
            status,
        ):
            assert time.monotonic() < deadline, f"never came to {phase}"

    try:
        for words in [*commands("3. The plan"), *commands("4. Carry it out")]:
            if words[1] == "explain":
                reach("half")
            agt(words)
        reach("all")
        for words in commands("5. Go back, on purpose"):
            agt(words)
        reach("half")
        sign, status, *rest = commands("6. Finish")
        assert "signed off by ann" in agt(sign)
        reach("all", "complete")
        assert "lamps: complete" in agt(status)
        said = [agt(words) for words in rest]
        assert any("nobody is on legacy" in one for one in said)
    finally:  # The guide's last command is `agt down`; this is for when something before it failed.
        down = [sys.executable, "-m", "agt.supervisor.cli", "down"]
        subprocess.run(down, cwd=folder, env=environment, capture_output=True, check=False)
    reports = {path.name.split("-")[0] for path in folder.glob("run/reports/migration/migration-lamps-*/*.md")}
    assert reports == {"incident", "slo", "retrospective", "completion"}

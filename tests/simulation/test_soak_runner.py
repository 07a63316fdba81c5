"""The soak's runner: what it sums up, and what it says when something broke."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script."""
    command = [sys.executable, str(ROOT / "scripts" / "soak.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_figures_end_on_the_screen_and_in_a_file(tmp_path: Path) -> None:
    """Seeds, events a second and failures, for people and for programs."""
    run = soak("worlds", "--seeds", "60", "--jobs", "1", "--out", str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert "soak: 0 failures" in run.stdout
    assert "60 seeds, 0 broken" in run.stdout
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["failures"] == []
    assert summary["parts"]["worlds"]["seeds"] == 60
    assert summary["parts"]["worlds"]["events_per_s"] > 0


def test_an_unknown_part_is_refused_in_words(tmp_path: Path) -> None:
    """Before anything long begins."""
    run = soak("wolrds", "--out", str(tmp_path))
    assert run.returncode == 2
    assert "there are worlds, fuzz, tests" in run.stderr

"""Where a supervisor works: in its plan's folder, whatever folder its operator was in."""

from pathlib import Path

import pytest

from agt.supervisor import service
from agt.supervisor._rundir import RunDirectory
from agt.supervisor.rollout import load_plan

PLAN = """
schema = 1
name = "tiny"
[runtimes]
control = "old"
candidate = "new"
[[phase]]
name = "all-old"
soak = "1h"
"""


def test_relative_paths_are_beside_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`agt up greenhouse/plan.toml` starts greenhouse/controller.py, and finds the plan's own files as before."""
    folder = tmp_path / "greenhouse"
    folder.mkdir()
    (folder / "plan.toml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    worked_in: list[Path] = []
    monkeypatch.setattr(service.anyio, "run", lambda _main: worked_in.append(Path.cwd()))
    plan = load_plan(Path("greenhouse/plan.toml"))
    service.run_supervisor(plan, RunDirectory(tmp_path / "run"))
    assert worked_in == [folder]
    assert plan.at_home().folder != plan.folder
    monkeypatch.chdir(tmp_path)
    assert plan.at_home().folder == folder

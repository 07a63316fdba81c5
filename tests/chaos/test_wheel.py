"""The wheel: what is installed from it finds everything it needs, far from any checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_demo_installed_from_the_wheel_finds_its_plan_and_its_scenarios(tmp_path: Path) -> None:
    """Plans live beside the packages in a checkout, and beside the code where there is none."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=50)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    look = (
        "from agt.chaos.demo.cli import demo_plan; from agt.chaos.scenario import find_scenario;"
        "print(demo_plan(), find_scenario('packet-loss'))"
    )
    found = subprocess.run(
        [sys.executable, "-c", look],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
    )
    plan, scenario = map(Path, found.stdout.split())
    assert plan == installed / "agt/chaos/plans/demo.toml"
    assert plan.read_bytes() == (ROOT / "plans/demo.toml").read_bytes()
    assert scenario == installed / "agt/chaos/scenarios/packet-loss.toml"

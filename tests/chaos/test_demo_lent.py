"""What a demo lends to a plan for a real controller: components in a copy of it, and traffic for its samples."""

from pathlib import Path

import pytest

from agt.chaos.demo._lent import RATE_MAX, SPARE, playable, rate_for
from agt.supervisor.rollout import Plan, load_plan, parse_plan

PLANS = Path(__file__).parents[2] / "plans"
SMALL = """
schema = 1
name = "own"
[runtimes]
control = "old"
candidate = "new"
[[objective]]
name = "loss"
metric = "packet_loss"
below = 0.01
samples = 60
[[phase]]
name = "watch"
soak = "10s"
[[phase.gate]]
metric = "samples"
runtime = "control"
at_least = 100
[[phase]]
name = "fifth"
route = { percent = 20 }
soak = "10s"
[[phase.gate]]
metric = "success_ratio"
at_least = 0.9
samples = 80
"""
THRICE = '[[phase.gate]]\nobjective = "all"\nwindow = "5s"\nconsecutive = 3\n'


def test_a_plan_without_components_gets_ours_in_a_copy(tmp_path: Path) -> None:
    """Its own text is untouched and first; its runtimes' names reach the gateway; only the owner may read the copy."""
    own = tmp_path / "own.toml"
    own.write_text(SMALL)
    lent = playable(load_plan(own), own, tmp_path)
    assert lent.read_text().startswith(SMALL.rstrip())
    assert lent.stat().st_mode & 0o777 == 0o600
    plan = load_plan(lent)
    assert [component.name for component in plan.components] == ["fleet", "gateway", "daemon"]
    assert plan.components[1].command[-4:] == ("--control", "old", "--candidate", "new")
    assert own.read_text() == SMALL


def test_a_plan_with_components_is_run_as_it_is(tmp_path: Path) -> None:
    """Nothing is written."""
    path = PLANS / "demo.toml"
    assert playable(load_plan(path), path, tmp_path) == path
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        (SMALL, 80 / 0.2 / 10),
        (SMALL + THRICE, 60 / 0.2 / 5),
        (SMALL.replace("at_least = 100", "at_least = 700"), 700 / 10),
        (SMALL.replace("at_least = 100", "at_least = 70000"), RATE_MAX / SPARE),
    ],
)
def test_the_rate_fills_the_hungriest_phase_or_window_in_its_time(text: str, needed: float) -> None:
    """By the share that the gate's runtime carries; no more than two cores can."""
    assert rate_for(parse_plan(text)) == pytest.approx(SPARE * needed)


def test_document_004_asks_for_more_than_a_demo_fleet_says() -> None:
    """Squeezed into two minutes it needs all that we carry."""
    plan: Plan = load_plan(PLANS / "cync-tcp.toml")
    assert rate_for(plan.squeezed(plan.factor_for(120))) == RATE_MAX

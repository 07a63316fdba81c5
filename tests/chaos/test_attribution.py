"""Whom the engine blames: a table of injected causes, at least 95 % of them right."""

import subprocess
import sys
from pathlib import Path

import pytest

from agt.chaos.rehearsal import Blamed, judge_causes, load_causes, share_right

ROOT = Path(__file__).parents[2]
WANTED = 0.95


def test_the_table_is_large_and_names_everyone():
    """At least forty causes, and several for each that can be to blame."""
    causes = load_causes().values()
    assert len(causes) >= 40
    for blame in ("candidate", "gateway", "control", "environment"):
        assert sum(cause.blame == blame for cause in causes) >= 5, blame


@pytest.mark.soak
def test_the_right_one_is_blamed():
    """95 % right; nothing of control's or the gateway's goes back; a stall is seen by the third check."""
    table = list(judge_causes(load_causes().values()))
    _hold(table)
    for one in table:
        if "stall" in one.cause.name and one.cause.blame == "candidate":
            assert one.after_checks <= 3, one


@pytest.mark.soak
@pytest.mark.parametrize("rate", [50.0, 100.0, 1000.0])
@pytest.mark.parametrize("seed", range(2, 7))
def test_the_right_one_is_blamed_in_other_traffic(rate, seed):
    """The same with other noise, and with less and more to see."""
    _hold(list(judge_causes(load_causes().values(), rate=rate, seed=seed)))


@pytest.mark.soak
def test_the_page_is_what_the_engine_does():
    """The table in the docs is the one that the script makes now."""
    command = [sys.executable, str(ROOT / "scripts" / "attribution_table.py"), "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def _hold(table: list[Blamed]) -> None:
    wrong = [f"{one.cause.name}: {one.blamed}, {one.says}" for one in table if not one.right]
    assert share_right(table) >= WANTED, wrong
    assert [one.cause.name for one in table if one.went_back and one.cause.blame in ("gateway", "control")] == []
    assert [one.cause.name for one in table if not one.goes_on] == []

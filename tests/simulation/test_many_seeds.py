"""Many seeds at once: the runner, the command, and what they make of a seed that fails."""

import json
import math

import pytest
import typer
from typer.testing import CliRunner

from agt.chaos.sim import draw_profile_of, run_seed, run_seeds
from agt.chaos.sim.cli import sim
from agt.transport.wires.native._sender import Sender

NO_DEADLINES_SEEDS = 60
"""Enough for one that expires a message."""

app = typer.Typer()
app.command()(sim)


def plant_no_deadlines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a sender forget its deadlines; many seeds notice."""
    monkeypatch.setattr(Sender, "_expire", lambda self, now: setattr(self, "_expire_at", math.inf))


def test_two_processes_find_what_one_finds() -> None:
    """Sharing the work changes nothing but the time."""
    alone = run_seeds(7, 24, jobs=1)
    shared = run_seeds(7, 24, jobs=2)
    assert alone.tally == shared.tally
    assert alone.tally.seeds == 24
    assert alone.tally.events > 0


def test_progress_is_told_and_adds_up() -> None:
    """Whoever waits sees the seeds come in."""
    told: list[int] = []
    run_seeds(0, 120, progress=lambda run: told.append(run.tally.seeds))
    assert told == [50, 100, 120]


def test_a_failing_seed_is_shrunk_and_its_command_fails_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the bug doesn't need is switched off in the replay command, and that command shows the same promise."""
    plant_no_deadlines(monkeypatch)
    run = run_seeds(0, NO_DEADLINES_SEEDS)
    assert run.tally.broken_seeds
    broken = run.tally.broken[0]
    words = broken.replay.split()
    assert words[:5] == ["agt", "chaos", "sim", "--seed", str(broken.seed)]
    assert "--set" in words, "every world has something that this bug can do without"
    again = CliRunner().invoke(app, words[3:])
    assert again.exit_code == 1
    assert f"BROKEN: {broken.promise.partition(':')[0]}" in again.stdout


def test_an_error_in_a_world_keeps_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash of the code under test is a finding like any other, not the end of the run."""

    def crash(self: Sender, now: float) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(Sender, "_expire", crash)
    run = run_seeds(0, 3)
    assert run.tally.seeds == 3
    assert run.tally.broken
    assert "planted" in run.tally.broken[0].promise


def test_fields_set_by_hand_change_the_world_and_nothing_else() -> None:
    """A calm world of the same seed keeps everything that wasn't set."""
    result = CliRunner().invoke(app, ["--seed", "3", "--set", "cut=0", "--set", "crash_per_s=0", "--json"])
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert report["profile"]["cut"] == report["profile"]["crash_per_s"] == 0
    assert report["profile"]["messages"] == draw_profile_of(3).messages
    assert "trace" not in report
    assert report["replay"] == "agt chaos sim --seed 3 --set cut=0 --set crash_per_s=0 --trace"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "dorp=0"], "no field 'dorp' in a profile; drop?"),
        (["--set", "drop"], "write NAME=VALUE"),
        (["--set", "drop=often"], "Expected `float`"),
        (["--seeds", "2", "--trace"], "leave --seeds out"),
    ],
)
def test_wrong_usage_is_said_in_one_line(arguments: list[str], says: str) -> None:
    """Exit status 2 and what to write instead."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


def test_the_figures_of_many_seeds_come_as_json() -> None:
    """What the soak collects: seeds, events a second, broken ones with their replay."""
    result = CliRunner().invoke(app, ["--seeds", "50", "--json"])
    assert result.exit_code == 0
    figures = json.loads(result.stdout)
    assert figures["seeds"] == 50
    assert figures["broken"] == []
    assert figures["events_per_s"] > 0
    assert figures["outcomes"]["delivered"] > 50


def test_the_drawn_profile_is_the_one_that_the_world_lives_by() -> None:
    """A profile can be known without its world."""
    for seed in (0, 1, 2**40):
        assert run_seed(seed).profile == draw_profile_of(seed)

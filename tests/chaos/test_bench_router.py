"""`agt bench router`: a small run of the real thing, and what its figures have to agree on."""

import msgspec
import pytest
from typer.testing import CliRunner

from agt.chaos.bench._processes import RunVoid
from agt.chaos.bench.cli import app
from agt.chaos.bench.router._result import RouterResult, table
from agt.chaos.bench.router._run import Effort

SMALL = Effort(rounds=1, devices=500, decisions=500, messages=500, moved=20, in_flight=2, drain_s=0.3)


def test_one_object_has_every_figure_and_every_goal(monkeypatch: pytest.MonkeyPatch) -> None:
    """With real processes and sockets; goals say whether their figure is within."""
    monkeypatch.setattr("agt.chaos.bench.router._run.QUICK", SMALL)
    done = CliRunner().invoke(app, ["router", "--quick", "--json"])
    assert done.exit_code == 0, done.output
    result = msgspec.json.decode(done.stdout, type=RouterResult)
    for times in (result.decision.in_turn_ns, result.decision.unsalted_ns, result.decision.salted_ns):
        assert 0 < times.p50 <= times.p99
    assert [added.in_flight for added in result.reliable] == [64, 1000]
    for added in (*result.reliable, *result.legacy):
        assert added.session_us > 0
        assert added.added == pytest.approx((added.router_us - added.session_us) / added.session_us, abs=0.01)
    moves = msgspec.structs.asdict(result.moves)
    assert list(moves) == ["raised", "lowered", "killed", "killed_silent"]
    for moved in moves.values():
        assert 0 <= moved.routed_ms <= moved.settled_ms < 6000
    assert moves["killed_silent"].settled_ms >= 300, "a silent fleet is settled by the drain's deadline"
    assert [goal.name for goal in result.goals] == [
        "decision_p50_ns",
        "bytes_per_known_device",
        "added_64_in_flight",
        "added_1000_in_flight",
        "kill_routed_ms",
        "kill_settled_ms",
    ]
    for goal in result.goals:
        assert goal.reached == (goal.value <= goal.at_most)
    said = table(result)
    assert all(goal.name in said for goal in result.goals)


def test_rounds_are_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a void run fails in one line."""
    asked: list[Effort] = []

    def void(effort: Effort, _: object) -> None:
        asked.append(effort)
        raise RunVoid("a process of the bench failed")

    monkeypatch.setattr("agt.chaos.bench.router._run.run", void)
    done = CliRunner().invoke(app, ["router", "--rounds", "7"])
    assert (done.exit_code, asked[0].rounds) == (1, 7)
    assert "agt bench: a process of the bench failed" in done.output
    assert "Traceback" not in done.output

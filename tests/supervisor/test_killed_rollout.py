"""A supervisor killed at each of its writes, with clocks that jump: no phase too short, no second effect, one number.

Real records, selector and runner; virtual time and one virtual gateway (`tests/support/killed_run.py`).
"""

import pytest
from tests.support.killed_run import KilledRun

from agt.chaos.rehearsal import load_causes
from agt.supervisor.rollout import Status, parse_plan

PLAN = """
schema = 1
name = "killed"
[runtimes]
control = "old"
candidate = "new"
[[objective]]
name = "success"
metric = "success_ratio"
at_least = 0.999
[[phase]]
name = "shadow"
soak = "4m"
[[phase.gate]]
metric = "samples"
runtime = "control"
at_least = 100
[[phase]]
name = "half"
route = { percent = 50 }
soak = "6m"
[[phase.gate]]
objective = "all"
[[phase]]
name = "full"
route = { percent = 100 }
soak = "5m"
[[phase.gate]]
objective = "all"
[[rule]]
name = "slo"
when = { objective = "any", violated_for = "3 checks" }
then = "rollback"
"""
SOAKS_S = {0.0: 240.0, 50.0: 360.0, 100.0: 300.0}
WRITES = 46
"""Before and after each write of a sound run."""
HOUR_S = 3600.0


@pytest.fixture
def anyio_backend() -> str:
    """One backend: time is virtual, and what is tried here is the order of writes."""
    return "asyncio"


def kill_points(every: int) -> list:
    """Every so many-th write in `make test`, the others in the soak."""
    return [pytest.param(at, marks=() if at % every == 5 else pytest.mark.soak) for at in range(WRITES)]


@pytest.mark.parametrize("at", kill_points(24))
async def test_killed_at_a_write_it_goes_on_where_it_was(tmp_path, monkeypatch, at):
    """Whichever write it is: the plan ends, each route was taken over once, each phase carried its soak."""
    run = await _to_the_end(KilledRun(parse_plan(PLAN), tmp_path, kill_at=at), monkeypatch)
    assert run.kills == (1 if at < run.writes else 0)


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
@pytest.mark.parametrize("at", kill_points(46))
async def test_killed_and_the_clock_is_set_meanwhile(tmp_path, monkeypatch, at, jump_s):
    """The next supervisor finds another hour on the clock, and neither shortens a phase nor goes blind."""
    killed = KilledRun(parse_plan(PLAN), tmp_path, kill_at=at)
    await _to_the_end(killed, monkeypatch, jumps={"kill": jump_s})


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
@pytest.mark.parametrize(
    "check", [8, pytest.param(3, marks=pytest.mark.soak), pytest.param(14, marks=pytest.mark.soak)]
)
async def test_a_clock_that_is_set_shortens_nothing(tmp_path, monkeypatch, check, jump_s):
    """An hour ahead or back in the middle of a phase: its soak is the gateway's, its windows move along."""
    await _to_the_end(KilledRun(parse_plan(PLAN), tmp_path), monkeypatch, jumps={check: jump_s})


@pytest.mark.parametrize("at", [5, 9, *(pytest.param(n, marks=pytest.mark.soak) for n in range(40))])
async def test_killed_on_its_way_back_nothing_goes_forward_again(tmp_path, monkeypatch, at):
    """Wherever it is killed once the candidate fails, control carries everything at the end, and nothing advances."""
    run = KilledRun(parse_plan(PLAN), tmp_path)
    run.install(monkeypatch)
    while run.gateway.percent < 50:
        await run.check()
    await run.check()
    run.cause, run.kill_at = load_causes()["candidate-fails"], run.writes + at
    for _ in range(12):
        state = await run.check()
    assert run.gateway.percent == 0
    assert state.status in (Status.ROLLED_BACK, Status.HELD)
    percents = [percent for _, percent in run.routed]
    assert percents[:2] == [0.0, 50.0]
    assert set(percents[2:]) == {0.0}
    await _hold_the_journal(run)
    await run.close()


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
async def test_rules_see_a_sick_candidate_though_the_clock_was_set(tmp_path, monkeypatch, jump_s):
    """An hour's jump makes no rule blind: three checks later it is back."""
    run = KilledRun(parse_plan(PLAN), tmp_path)
    run.install(monkeypatch)
    while run.gateway.percent < 50:
        await run.check()
    await run.check()
    run.cause = load_causes()["candidate-fails"]
    run.clocks.wall += jump_s
    for _ in range(5):
        await run.check()
    assert run.gateway.percent == 0
    await run.close()


async def _to_the_end(run: KilledRun, monkeypatch, *, jumps=None) -> KilledRun:
    run.install(monkeypatch)
    jumps, checks, kills = dict(jumps or {}), 0, 0
    state = await run.check()
    while state.status is not Status.COMPLETE or run.rollout is None:
        checks += 1
        assert checks < 120, state
        if run.kills > kills:
            kills = run.kills
            run.clocks.wall += jumps.get("kill", 0.0)
        run.clocks.wall += jumps.get(checks, 0.0)
        state = await run.check()
    assert [percent for _, percent in run.routed] == [0.0, 50.0, 100.0], run.routed
    for generation, percent in run.routed:
        assert run.carried[generation] >= SOAKS_S[percent], (percent, run.carried)
    await _hold_the_journal(run)
    await run.close()
    return run


async def _hold_the_journal(run: KilledRun) -> None:
    """Numbers without gaps, and each turn decided once."""
    if run.rollout is None:
        await run.check()
    entries = await run.entries()
    assert [one.number for one in entries] == list(range(1, len(entries) + 1))
    turns = [one.says for one in entries if one.kind in ("started", "advanced", "completed")]
    assert len(turns) == len(set(turns)), turns

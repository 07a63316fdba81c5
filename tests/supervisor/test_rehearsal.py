"""The way back rehearsed over a real router: a probe there and back, timed, kept, and nobody else is moved."""

import anyio
import pytest

from agt.supervisor.actions import Action, Refused
from agt.supervisor.rollout import PlanInvalid, Rollout, Status, parse_plan
from agt.supervisor.rollout._rehearsal import OWNER, _before
from support.rollout_run import PLAN, IdleDevice, rollout_on

pytestmark = pytest.mark.anyio

CHECK = """
[[check]]
name = "way-back"
every = "1s"
way_back = { device = "probe-*", within = "7d", at_most = "AT_MOST" }
"""
PATIENT = """
[[objective]]
name = "slow"
metric = "p99_seconds"
at_most = 100.0
"""
"""So late a router is on no machine: a busy one suspends no rollout here."""
GATED = PLAN + '[[phase.gate]]\ncheck = "way-back"\n[[phase]]\nname = "all"\nsoak = "1h"\n' + CHECK + PATIENT


@pytest.fixture
def anyio_backend():
    """Uvicorn runs on asyncio only."""
    return "asyncio"


def verdict(rollout: Rollout) -> tuple[str, str]:
    """How the gate stands."""
    (gate,) = [gate for gate in rollout.sections()["gates"] if gate.name == "way-back"]
    return gate.verdict, gate.reason


async def to_half(rollout: Rollout, until) -> None:
    """Go to the phase that has the gate, and wait until it is carried."""
    await rollout.act(Action(action="advance", reason="test", version=9))
    await until(lambda: rollout.state.applied_at is not None)


@pytest.mark.soak
async def test_gate_rehearses_with_the_probe_alone_and_keeps_it(tmp_path):
    """The probe goes there and back, nobody else moves, no override is left, journal and audit have it."""
    others = [IdleDevice(name) for name in ("a", "b")]
    text = GATED.replace("AT_MOST", "5s")
    async with rollout_on(tmp_path, IdleDevice("probe-1"), *others, text=text) as (rollout, router, until):
        await to_half(rollout, until)
        before = {name: router.runtime_of(name) for name in ("probe-1", "a", "b")}
        await until(lambda: verdict(rollout)[0] == "passed")
        (done,) = rollout.sections()["rehearsals"]
        assert (done.device, done.router, done.by, done.phase, done.problem) == (
            "probe-1",
            "gateway.sock",
            "the plan",
            "half",
            "",
        )
        assert 0 < done.routed_ms <= done.settled_ms < 5000
        assert verdict(rollout)[1].startswith("way-back: probe-1 was back in ")
        await until(lambda: {name: router.runtime_of(name) for name in before} == before)
        assert rollout.sections()["overrides"] == ()
        assert rollout.state.status in (Status.RUNNING, Status.SUSPENDED)
        moved = {name for name in before if router.sessions(after=name[:-1], limit=1).sessions[0].number > 1}
        assert moved <= {"probe-1"}
        (row,) = [row for row in await rollout.books.audit.newest(9) if row.action == "rehearse-back"]
        assert (row.by, row.outcome) == (OWNER, "done")
    async with anyio.create_task_group() as group:
        again = Rollout(parse_plan(text), tmp_path)
        await group.start(again.run)
        assert again.sections()["rehearsals"] == (done,)
        group.cancel_scope.cancel()


@pytest.mark.soak
async def test_way_back_that_is_too_slow_is_a_gate_that_fails_and_an_alert(tmp_path):
    """No machine is back within a microsecond."""
    text = GATED.replace("AT_MOST", "0.001ms")
    async with rollout_on(tmp_path, IdleDevice("probe-1"), text=text) as (rollout, _router, until):
        await to_half(rollout, until)
        await until(lambda: verdict(rollout)[0] == "failed")
        assert [alert.severity for alert in rollout.sections()["alerts"] if alert.source == OWNER] == ["degraded"]
        with pytest.raises(Refused, match=r"probe-1 was back in .* of 0 ms"):
            await rollout.act(Action(action="rehearse-back", by="mia"))


async def test_operator_rehearses_by_name(tmp_path):
    """Without a check in the plan a device has to be named; the receipt has both times."""
    plan = PLAN + PATIENT + '[[phase]]\nname = "all"\nsoak = "1h"\n'
    plan = plan.replace('name = "half"\n', 'name = "half"\ngate = [{ metric = "samples", at_least = 1 }]\n')
    async with rollout_on(tmp_path, IdleDevice("p"), text=plan) as (rollout, router, until):
        with pytest.raises(Refused, match="not enabled"):
            await rollout.act(Action(action="rehearse-back", device="p", by="mia"))
        await to_half(rollout, until)
        with pytest.raises(Refused, match="needs a device"):
            await rollout.act(Action(action="rehearse-back"))
        with pytest.raises(Refused, match="no attached device is called q"):
            await rollout.act(Action(action="rehearse-back", device="q"))
        receipt = await rollout.act(Action(action="rehearse-back", device="p", by="mia"))
        assert receipt.says.startswith("way back rehearsed with p: back in ")
        assert receipt.routed_ms <= receipt.settled_ms
        assert rollout.sections()["rehearsals"][-1].by == "mia"
        forced = Action(action="override", device="p", side="control", by="eve", reason="hers")
        await rollout.act(forced)
        with pytest.raises(Refused, match="p is forced to old by eve"):
            await rollout.act(Action(action="rehearse-back", device="p"))
        await until(lambda: [one.owner for one in rollout.sections()["overrides"]] == ["eve"])
        assert router.runtime_of("p") == "old"


@pytest.mark.soak
async def test_probe_that_never_comes_says_nothing_of_the_way_back(tmp_path, monkeypatch):
    """Its attachment to the candidate is down: refused, the override is taken off again, no rehearsal is kept."""
    monkeypatch.setattr("agt.supervisor.rollout._rehearsal.COME_WITHIN_S", 0.3)
    probe = IdleDevice("probe-1")
    probe.paths["new"].ready = False
    text = GATED.replace("AT_MOST", "5s")
    async with rollout_on(tmp_path, probe, text=text) as (rollout, _router, until):
        await to_half(rollout, until)
        await until(lambda: "did not come to new" in verdict(rollout)[1])
        assert (verdict(rollout)[0], rollout.sections()["rehearsals"]) == ("pending", ())
        await until(lambda: rollout.sections()["overrides"] == ())


def test_plan_check_reads_the_durations():
    """They are found with their key path."""
    text = GATED.replace("AT_MOST", "soon").replace('"7d"', '"0s"')
    with pytest.raises(PlanInvalid) as caught:
        parse_plan(text)
    assert {problem.path for problem in caught.value.problems} == {
        "check[0].way_back.within",
        "check[0].way_back.at_most",
    }


@pytest.mark.parametrize(("pattern", "before"), [("probe-1", "probe-"), ("probe-*", "probe"), ("*", ""), ("p", "")])
def test_probes_are_looked_for_from_just_before_their_names(pattern, before):
    """A thousand devices before them cost no page."""
    assert _before(pattern) == before

"""The books of a real rollout: operators' actions are chained, incidents hold gates, snapshots come before phases."""

import json

import anyio
import msgspec
import pytest

from agt.router import Ledger, Router, Runtimes, SelectorFile
from agt.router.serving import create_app, serve
from agt.router.watching import watch
from agt.supervisor._bookkeeper import Bookkeeper
from agt.supervisor.actions import Action, Refused
from agt.supervisor.books import AlertOrder, AlertPrune, IncidentEnd, IncidentOrder, SnapshotOrder
from agt.supervisor.rollout import Rollout, Status, Verdict, parse_plan
from agt.supervisor.rollout._books import Books
from agt.supervisor.rollout._gates import Look, judge
from agt.supervisor.rollout._inspector import Scene
from agt.supervisor.rollout._plan_file import Check, Gate

pytestmark = pytest.mark.anyio

PLAN = """
schema = 1
name = "books"
checks_every = "200ms"
[runtimes]
control = "old"
candidate = "new"
[snapshots]
kept = 5
[[sink]]
name = "all"
kind = "log"
[[phase]]
name = "all-old"
soak = "1h"
[[phase.gate]]
metric = "incidents"
equals = 0
[[phase]]
name = "half"
route = { percent = 50 }
soak = "1h"
"""


@pytest.fixture
def anyio_backend():
    """Uvicorn runs on asyncio only."""
    return "asyncio"


@pytest.fixture
async def running(tmp_path):
    """A rollout in its first phase, over a real router, with its books."""
    names = Runtimes(control="old", candidate="new")
    file = SelectorFile(tmp_path / "selector.toml", runtimes=names)
    router = Router(file, runtimes=names, ledger=Ledger(("old", "new")))
    ready = anyio.Event()

    def on_change():
        if rollout.state.status is Status.RUNNING:
            ready.set()

    rollout = Rollout(parse_plan(PLAN), tmp_path, on_change=on_change, view_version=lambda: 9)
    async with anyio.create_task_group() as group:
        group.start_soon(router.run)
        group.start_soon(serve, create_app(router), tmp_path / "gateway.sock")
        group.start_soon(watch, router, file)
        await group.start(rollout.run)
        with anyio.fail_after(10):
            await ready.wait()
        yield rollout, Bookkeeper(rollout)
        group.cancel_scope.cancel()


async def test_a_phase_is_entered_with_a_snapshot_and_left_with_one_after_going_back(running) -> None:
    """Each says why, and each can be restored."""
    rollout, books = running
    await rollout.act(Action(action="advance", reason="test", version=99))
    await rollout.act(Action(action="rollback", reason="test"))
    with anyio.fail_after(10):
        while not any(one.trigger == "after" for one in (await books.snapshots()).snapshots):
            await anyio.lowlevel.checkpoint()
    found = (await books.snapshots()).snapshots
    assert {(one.trigger, one.says.partition(":")[0]) for one in found} >= {("before", "before half")}
    for one in found:
        assert {part.name for part in one.parts} >= {"records.sqlite"}
        assert (await books.check_snapshot(one.id)).ok


async def test_nothing_advances_without_its_snapshot_and_going_back_needs_none(running, monkeypatch) -> None:
    """A disk that takes no snapshot holds the rollout, and never the way back."""
    rollout, _ = running
    monkeypatch.setattr(rollout.books.snapshots.folder, "path", rollout.books.snapshots._run / "gateway.sock" / "x")
    with pytest.raises(Refused, match="no snapshot before half"):
        await rollout.act(Action(action="advance", reason="test", version=99))
    assert rollout.sections()["phase"] == "all-old"
    receipt = await rollout.act(Action(action="rollback", reason="test"))
    assert receipt.routed_ms is not None


async def test_an_incident_holds_its_gate_until_it_is_closed_with_a_cause(running) -> None:
    """It raises an alert of its own, and a second opening of the same one is the same."""
    rollout, books = running
    opened = await books.open_incident(IncidentOrder(title="bulbs flicker", severity="major", by="ann"))
    assert (await books.open_incident(IncidentOrder(title="bulbs flicker", severity="major"))).id == opened.id
    await rollout.check()
    assert rollout.sections()["gates"][0].verdict == "failed"
    assert any("bulbs flicker" in alert.message and alert.open for alert in rollout.sections()["alerts"])
    with pytest.raises(Refused, match="no incident 77") as caught:
        await books.close_incident(77, IncidentEnd(cause="none"))
    assert caught.value.code == "unknown"
    await books.close_incident(opened.id, IncidentEnd(cause="a bad access point", by="bob"))
    await rollout.check()
    assert rollout.sections()["gates"][0].verdict == "passed"
    assert not any("bulbs flicker" in alert.message and alert.open for alert in rollout.sections()["alerts"])


async def test_orders_are_in_the_audit_with_their_outcomes_and_without_keys(running) -> None:
    """Done and refused ones, in order, under a chain that can be walked."""
    _, books = running
    action = Action(action="hold", by="ann", key="secret-key", reason="look")
    books.note("hold", action, by="ann", outcome="done", says="held")
    await books.open_incident(IncidentOrder(title="dim", by="bob"))
    with pytest.raises(Refused):
        await books.close_incident(5, IncidentEnd(cause="x"))
    page = await books.audit(limit=10)
    assert [(row.action, row.outcome) for row in reversed(page.rows)] == [
        ("hold", "done"),
        ("incident-open", "done"),
        ("incident-close 5", "refused"),
    ]
    assert page.rows[-1].by == "claimed:ann"
    assert "secret-key" not in page.rows[-1].detail
    assert json.loads(page.rows[-1].detail)["reason"] == "look"
    assert (await books.verify_audit(head=page.head)).whole
    assert not (await books.verify_audit(head="9:" + "0" * 64)).whole
    with pytest.raises(Refused, match="audit head"):
        await books.verify_audit(head="nonsense")


async def test_the_snapshot_check_takes_a_fresh_one_and_fails_for_a_damaged_one(running, tmp_path) -> None:
    """What gates ask for: a snapshot that is young enough and can be restored."""
    rollout, books = running
    look = rollout.books.snapshots.look
    check = Check(name="fresh", snapshot="10m")
    taken = await books.take_snapshot(SnapshotOrder(says="by hand", keep=True))
    scene = Scene(rollout.plan, tmp_path, taken.at + 1)
    assert (await look(check, scene)).verdict is Verdict.PASSED
    assert taken.id in (await look(check, scene)).reason
    later = msgspec.structs.replace(taken)
    assert later == taken
    (tmp_path / "snapshots" / taken.id / "records.sqlite").write_bytes(b"damaged")
    judged = await look(check, scene)
    assert judged.verdict is Verdict.FAILED
    assert "Corrupt" in judged.reason
    assert (await look(check, Scene(rollout.plan, tmp_path, taken.at + 601))).verdict is Verdict.PASSED


async def test_alerts_are_acknowledged_pruned_and_sent_to_sinks(running) -> None:
    """One that waits for a person stands until it is acknowledged; pruning leaves what is open; all in the audit."""
    rollout, books = running
    rollout.raise_alert("degraded", "slo", "p99 is high", "manual-ack")
    rollout.raise_alert("warn", "disk", "nearly full")
    (waits,) = [alert for alert in rollout.sections()["alerts"] if alert.source == "slo"]
    rollout.resolve_alerts("slo")
    assert [alert.open for alert in rollout.sections()["alerts"] if alert.source == "slo"] == [True]
    assert not (await books.acknowledge_alert(waits.id, AlertOrder(by="ann"))).open
    with pytest.raises(Refused, match="no alert 777"):
        await books.acknowledge_alert(777, AlertOrder())
    assert (await books.prune_alerts(AlertPrune(older_than_s=-0.0))).pruned >= 1
    assert [alert.source for alert in rollout.sections()["alerts"]] == ["disk"]
    assert (await books.sinks()).sinks[0].waiting + (await books.sinks()).sinks[0].sent >= 2
    (tried,) = (await books.try_sinks(AlertOrder(by="ann"))).sinks
    assert (tried.sink, tried.sent) == ("all", 1)
    done = [row.action for row in (await books.audit(limit=9)).rows]
    assert done == ["sinks-test", "alerts-prune", "alert-ack 777", f"alert-ack {waits.id}"]


def test_books_are_closed_while_nothing_runs(tmp_path) -> None:
    """One clear refusal, and a gate that asks for no incidents reads what is known."""
    plan = parse_plan(PLAN)
    books = Books(plan, tmp_path, clock=lambda: 1.0, tell=lambda _: None)
    with pytest.raises(Refused, match="not running"):
        _ = books.audit
    rollout = Rollout(plan, tmp_path)
    look = Look(plan, rollout._seen.readings, 1.0, since=0.5)
    assert judge(Gate(metric="incidents", equals=0), look).verdict is Verdict.PASSED

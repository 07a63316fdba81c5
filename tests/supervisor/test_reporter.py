"""After each way back an incident report is there, without anybody asking; and the commands write the others."""

import json
from pathlib import Path

import anyio
import msgspec
import pytest

from agt.supervisor._reporter import REPORTS, Reporter
from agt.supervisor.actions import Action
from agt.supervisor.cli._guard import guarded
from agt.supervisor.reports import FOLDER
from agt.supervisor.view import View
from support.past_run import PastRun
from support.rollout_run import IdleDevice, rollout_on


@pytest.fixture
def anyio_backend():
    """The runner beside a real router runs on asyncio."""
    return "asyncio"


def written(run: Path) -> list[Path]:
    """Return the incident reports of a run directory."""
    return sorted((run / FOLDER).glob("*/incident-*.json"))


def settled(run: Path) -> bool:
    """Whether the newest report has the whole account."""
    found = written(run)
    return bool(found) and msgspec.json.decode(found[-1].read_bytes())["rollback"]["settled_ms"] is not None


async def test_a_rollback_leaves_a_report_with_the_view_of_that_moment(tmp_path) -> None:
    """Document 001, after a rollback: timeline, ledger dump, supervisor state; nobody has to think of it."""
    async with rollout_on(tmp_path, IdleDevice("lamp-1")) as (rollout, _, until):
        reporter = Reporter(tmp_path, rollout, lambda: View(version=1, at=1.0, **rollout.sections()))
        async with anyio.create_task_group() as group:
            group.start_soon(reporter.run)
            await rollout.act(Action(action="rollback", reason="it smells", by="ann"))
            await until(lambda: settled(tmp_path))
            group.cancel_scope.cancel()
    (path,) = written(tmp_path)
    report = msgspec.json.decode(path.read_bytes())
    assert "it smells" in report["title"]
    assert report["rollback"]["to_phase"] == "control"
    assert report["supervisor"]["state"]["status"] == "rolled-back"
    assert report["supervisor"]["pictured_at"] is not None
    assert path.with_suffix(".md").exists()


async def test_a_report_that_cannot_be_written_is_an_alert(tmp_path) -> None:
    """And nothing else: the way back was not held up."""
    (tmp_path / "reports").write_text("in the way", encoding="utf-8")
    async with rollout_on(tmp_path, IdleDevice("lamp-1")) as (rollout, _, until):
        view = View(version=1, at=1.0, plan="runner", status="rolled-back")
        async with anyio.create_task_group() as group:
            group.start_soon(Reporter(tmp_path, rollout, lambda: view).run)
            await rollout.act(Action(action="rollback", reason="it smells", by="ann"))
            await until(lambda: any(alert.source == REPORTS for alert in rollout.sections()["alerts"]))
            group.cancel_scope.cancel()


async def test_the_commands_write_page_and_json_without_a_supervisor(tmp_path, capsys) -> None:
    """`--out` says where; `completion` is a failure while a proof is missing; the audit's head is printed."""
    past = PastRun(tmp_path)
    await past.whole()
    await past.aclose()
    place = ("--run-dir", str(tmp_path), "--out", str(tmp_path / "out"))
    for name, status in (("slo", 0), ("completion", 1), ("retrospective", 0), ("incident", 1)):
        assert await anyio.to_thread.run_sync(guarded, ["report", name, *place]) == status
    said = capsys.readouterr()
    assert "audit head 1:" in said.err
    assert "nothing has gone back" in said.err
    assert "- [ ] the version matrix is complete: not proven" in said.out
    names = sorted(path.name.split("-")[0] for path in (tmp_path / "out").glob("*/*.md"))
    assert names == ["completion", "retrospective", "slo"]
    assert await anyio.to_thread.run_sync(guarded, ["report", "slo", *place, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["compliant"]

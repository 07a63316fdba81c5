"""Reports say what the records say: what was met, what went back and why, what is proven and what is not."""

import sqlite3

import msgspec
import pytest

from agt.supervisor.records import Alert
from agt.supervisor.reports import (
    NothingToReport,
    RecordsUnreadable,
    about_incident,
    completion_report,
    encoded,
    page,
    read_archive,
    retrospective_report,
    rollback_report,
    slo_report,
    write_report,
)
from agt.supervisor.rollout import Status, parse_plan
from agt.supervisor.versions import MatrixRow, VersionMatrix
from agt.supervisor.versions._matrix import Asked
from agt.supervisor.view import RollbackView, View
from support.past_run import BEGUN, DAY_S, PLAN, PastRun

NOW = BEGUN + 40 * DAY_S


@pytest.fixture
def anyio_backend():
    """Reports wait for nothing; one loop is enough to write their records with."""
    return "asyncio"


@pytest.fixture
async def past(tmp_path):
    """An empty run."""
    run = PastRun(tmp_path)
    yield run
    await run.aclose()


def proofs(report) -> dict[str, str]:
    """Return each proof's verdict by its name."""
    return {one.name: one.verdict for one in report.proofs}


async def test_thirty_days_that_met_everything_are_compliant(past) -> None:
    """Document 004's report: target, actual, status, budget, and a recommendation that follows from them."""
    await past.whole()
    report = slo_report(read_archive(past.run), days=30, now=NOW)
    assert report.compliant
    assert (report.days_met, report.days_in_a_row, len(report.days)) == (30, 30, 30)
    (level,) = report.levels
    assert (level.target, level.actual, level.status) == (">= 99.90 %", "100 %", "met")
    assert level.budget is not None
    assert (round(level.budget.allowed, 6), level.budget.remaining) == (0.001, 1.0)
    assert report.recommendations == ("Every objective was met on every day: continue with the present configuration.",)
    assert report.heading.tag == "migration-cync-tcp-2025-11-15"


async def test_one_bad_day_breaks_the_row_and_is_named(past) -> None:
    """Nothing is averaged away: the day is violated, and what follows is said."""
    await past.begin()
    await past.decide(0, "advanced", "half -> cutover: all gates passed", phase=1, percent=100.0)
    await past.carry(0, 20)
    await past.carry(20, 21, failing=0.02)
    await past.carry(21, 30)
    report = slo_report(read_archive(past.run), days=30, now=NOW)
    assert not report.compliant
    assert [place for place, day in enumerate(report.days) if day.status == "violated"] == [20]
    assert report.days_in_a_row == 9
    (level,) = report.levels
    assert level.value == pytest.approx(1 - 0.02 * 25 / 720, abs=2e-5)
    assert any("1 of 30 days violated" in one for one in report.recommendations)
    assert any("9 of 30 days in a row: repeat this in 21 days" in one for one in report.recommendations)


async def test_days_without_traffic_are_never_met(past) -> None:
    """No data never passes, in a report either."""
    await past.begin()
    await past.carry(0, 3, rate=0)
    report = slo_report(read_archive(past.run), days=3, now=NOW)
    assert {day.status for day in report.days} == {"not measured"}
    assert report.days_met == 0
    assert "not measured" in report.recommendations[0]


async def test_incidents_have_impact_and_time_to_repair(past) -> None:
    """Failures while one stood, as a share of all; overlapping ones count no message twice."""
    await past.begin()
    await past.carry(0, 10)
    await past.carry(10, 11, failing=0.01)
    await past.carry(11, 20)
    for severity in ("minor", "critical"):
        opened, _ = await past.incidents.open(at=past.at(9.9), severity=severity, title="bulbs", by="ann")
        await past.incidents.close(opened.id, at=past.at(11.1), by="bob", cause="access point")
    found = slo_report(read_archive(past.run), days=30, now=NOW).incidents
    assert (found.total, found.minor, found.critical, found.open) == (2, 1, 1, 0)
    assert found.mttr_s == pytest.approx(1.2 * DAY_S)
    assert found.impact == pytest.approx(250 / (482 * 1000), rel=0.05)
    assert found.each[0].impact == found.impact


async def test_a_whole_migration_is_proven_complete(past) -> None:
    """Every criterion with what it rests on; with a complete version matrix nothing is missing."""
    await past.whole()
    rows = (MatrixRow(name="ui", control=Asked(version="1"), candidate=Asked(version="2")),)
    matrix = VersionMatrix(made_at=NOW, control="v1", candidate="v2", rows=rows, missing=())
    archive = read_archive(past.run)
    report = completion_report(archive, now=NOW, versions=matrix)
    assert report.complete, proofs(report)
    assert report.sign_offs[0].by == "ann"
    assert proofs(completion_report(archive, now=NOW))["the version matrix is complete"] == "not proven"


async def test_each_missing_proof_is_named(past) -> None:
    """Too short, unsigned, a critical incident, somebody on legacy: none of them passes."""
    await past.begin()
    await past.decide(1, "advanced", "half -> cutover", phase=1, percent=100.0)
    await past.carry(0, 4)
    await past.incidents.open(at=past.at(3), severity="critical", title="lost", by="ann")
    gates = [{"name": "nobody on legacy", "verdict": "failed", "reason": "2 of = 0", "samples": 1}]
    await past.decide(4, "held", "held by ann", status=Status.HELD, numbers={"gates": gates})
    found = proofs(completion_report(read_archive(past.run), now=NOW))
    assert found == {
        "100 % on the candidate for 30 days": "failed",
        "every objective met on 30 days in a row": "failed",
        "no critical incident, and none open": "failed",
        "error budget above 10%": "passed",
        "every sign-off given": "failed",
        "the plan is carried out": "failed",
        "nobody on the legacy path": "failed",
        "the audit is whole": "passed",
        "the version matrix is complete": "not proven",
    }


async def test_going_back_once_starts_the_thirty_days_over(past) -> None:
    """What counts is without a break."""
    await past.whole()
    await past.decide(33.5, "rolled-back", "slo", status=Status.ROLLED_BACK, percent=0.0)
    assert proofs(completion_report(read_archive(past.run), now=NOW))["100 % on the candidate for 30 days"] == "failed"


async def test_a_changed_audit_shows_in_every_report(past) -> None:
    """The chain is walked each time, and its head printed."""
    await past.whole()
    await past.act(34, "hold")
    archive = read_archive(past.run)
    assert f"head `{archive.chain.head}`" in page(slo_report(archive, days=30, now=NOW))
    with sqlite3.connect(past.run / "records.sqlite") as connection:
        connection.execute("UPDATE audit SET by_whom = 'eve' WHERE number = 1")
    connection.close()
    report = slo_report(read_archive(past.run), days=30, now=NOW)
    assert "row 1 was changed" in report.heading.audit_problem
    assert "Find out who changed the audit" in report.recommendations[0]
    assert proofs(completion_report(read_archive(past.run), now=NOW))["the audit is whole"] == "failed"


async def test_a_rollback_has_timeline_ledger_state_and_cause(past) -> None:
    """Document 001's incident report, and the picture of the processes that was kept."""
    await past.begin()
    await past.carry(0, 1)
    moment = past.at(1.01)
    back = RollbackView(at=moment, rule="slo", from_phase="half", to_phase="control", routed_ms=5.0)
    await past.decide(
        1.01, "rolled-back", "slo: 20 %", status=Status.ROLLED_BACK, percent=0.0, numbers={"rollback": back}
    )
    settled = msgspec.structs.replace(back, settled_ms=900.0, moved=25, indeterminate=2)
    await past.decide(1.02, "settled", "back to control", numbers={"rollback": settled})
    view = View(version=1, at=moment, plan="cync-tcp", status="rolled-back")
    await past.context.keep_picture(msgspec.json.encode(view), at=moment + 0.1)
    await past.alert(Alert(id=1, created=moment, severity="escalate", source="rollback", message="slo: 20 %"))
    archive = read_archive(past.run)
    report = rollback_report(archive, now=NOW)
    assert report.rollback == settled
    assert report.supervisor.state is not None
    assert report.supervisor.state.status is Status.ROLLED_BACK
    assert report.supervisor.pictured_at == moment + 0.1
    assert [one.id for one in report.alerts] == [1]
    assert [one.source for one in report.timeline] == ["journal", "alert", "journal"]
    assert report.cause == ""
    assert "Not recorded yet." in page(report)
    await past.decide(1.5, "cause-recorded", "cause recorded by ann", status=Status.CLEARED, cause="a bad cable")
    assert rollback_report(read_archive(past.run), now=NOW).cause == "a bad cable"


async def test_there_is_no_report_about_nothing(past) -> None:
    """One clear line, with what there is."""
    await past.begin()
    archive = read_archive(past.run)
    with pytest.raises(NothingToReport, match="nothing has gone back"):
        rollback_report(archive, now=NOW)
    with pytest.raises(NothingToReport, match="no incident 7"):
        about_incident(archive, 7, now=NOW)


async def test_an_incident_is_reported_until_it_was_closed(past) -> None:
    """Its own cause, and everything that was recorded meanwhile."""
    await past.begin()
    opened, _ = await past.incidents.open(at=past.at(1), severity="major", title="bulbs | <b>", by="ann")
    await past.incidents.close(opened.id, at=past.at(3), by="bob", cause="firmware")
    await past.act(2.5, "hold")
    report = about_incident(read_archive(past.run), opened.id, now=NOW)
    assert report.cause == "firmware"
    assert [one.source for one in report.timeline] == ["incident", "audit", "incident"]
    assert "bulbs \\| &lt;b>" in page(report)


async def test_the_retrospective_has_planned_and_actual_times_and_causes(past) -> None:
    """Each stay in a phase, each way back with its cause; what people think stays a heading."""
    await past.begin()
    await past.decide(3, "advanced", "half -> cutover: forced by ann", phase=1, percent=100.0, visits={"cutover": 1})
    await past.decide(4, "stepped-back", "slo-late: p99", phase=0, percent=50.0, status=Status.ROLLED_BACK)
    await past.decide(4.5, "cause-recorded", "cause recorded", cause="a bad cable", status=Status.CLEARED)
    await past.alert(Alert(id=1, created=past.at(2), severity="info", source="drill", message="stall: by ann"))
    await past.act(4, "record-cause")
    report = retrospective_report(read_archive(past.run), now=NOW)
    assert [(one.phase, one.planned, one.took_s / DAY_S) for one in report.visits] == [
        ("half", "2d", 3.0),
        ("cutover", "30d", 1.0),
        ("half", "2d", 0.5),
    ]
    assert [one.visit for one in report.visits] == [1, 1, 2]  # The third stay is the second in its phase.
    assert [(one.kind, one.cause) for one in report.backs] == [("stepped-back", "a bad cable")]
    assert report.forced == ("half -> cutover: forced by ann",)
    assert [one.message for one in report.drills] == ["stall: by ann"]
    assert report.actions == {"record-cause": 1}
    assert "## Lessons learned" in page(report)


async def test_reports_are_written_whole_as_page_and_json(past) -> None:
    """Tagged by plan and day; the JSON reads back; one about the same moment replaces the earlier one."""
    await past.whole()
    report = slo_report(read_archive(past.run), days=30, now=NOW)
    shown, data = write_report(report, past.run / "reports" / "migration")
    assert shown.parent.name == "migration-cync-tcp-2025-11-15"
    assert shown.read_text(encoding="utf-8") == page(report)
    assert msgspec.json.decode(data.read_bytes()) == msgspec.json.decode(encoded(report))
    write_report(report, past.run / "reports" / "migration")
    assert len(list(shown.parent.iterdir())) == 2


async def test_a_squeezed_plan_has_shorter_days(past, tmp_path) -> None:
    """A demo's thirty days are judged like thirty days."""
    folder = tmp_path / "fast"
    folder.mkdir()
    fast = PastRun(folder, squeeze=1000.0)
    await fast.whole()
    await fast.aclose()
    report = slo_report(read_archive(folder), days=30, now=NOW)
    assert report.compliant
    assert report.heading.end - report.heading.start == pytest.approx(30 * 86.4)


async def test_records_without_a_plan_ask_for_it(past) -> None:
    """Those of an older version are still good for a report, with the plan's file."""
    await past.begin()
    await past.store.run(lambda connection: connection.execute("DELETE FROM plans"))
    with pytest.raises(RecordsUnreadable, match="hold no plan"):
        read_archive(past.run)
    plan = parse_plan(PLAN)
    assert read_archive(past.run, plan=plan).plan is plan


async def test_records_that_are_none_are_one_clear_error(tmp_path) -> None:
    """No folder, or a file that is no database."""
    with pytest.raises(RecordsUnreadable, match="--run-dir"):
        read_archive(tmp_path / "nowhere")
    (tmp_path / "records.sqlite").write_text("no database", encoding="utf-8")
    with pytest.raises(RecordsUnreadable):
        read_archive(tmp_path)


async def test_samples_of_each_hour_outlive_the_newest_ones(past) -> None:
    """Thirty days can be judged though samples are pruned after two, and though the router was started anew."""
    await past.begin()
    await past.carry(0, 20)
    samples = read_archive(past.run).samples
    assert len(samples) == 20 * 24 + 1
    assert samples[0][1].at == past.at(0)
    kept = await past.store.run(lambda connection: connection.execute("SELECT count(*) FROM samples").fetchone()[0])
    assert kept == 2 * 24 + 1

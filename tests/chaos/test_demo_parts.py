"""The pure parts of the demo: names, devices, story, report, projection, decisions."""

import sqlite3
from pathlib import Path
from random import Random

import msgspec
import pytest

from agt.chaos.checkers import Counts, Effect, Ignored, Sent, Told, Violation, read_records
from agt.chaos.demo._decisions import apply_decisions
from agt.chaos.demo._device import REPLY_MAX_S, Device
from agt.chaos.demo._files import DemoFiles
from agt.chaos.demo._log import RecordLog
from agt.chaos.demo._memory import recall
from agt.chaos.demo._names import DeviceName, fleet_names
from agt.chaos.demo._oracle import Finding
from agt.chaos.demo._projection import Projection
from agt.chaos.demo._report import Report, make_report, shortcomings, visit_key
from agt.chaos.demo._story import Story, Visit
from agt.chaos.demo.cli import demo_plan
from agt.router import position
from agt.supervisor.rollout import load_plan
from agt.supervisor.view import GateView, RollbackView, View

LADDER = ("dark", "canary", "cutover")


def view(phase: str, at: float, *, status: str = "running", verdict: str = "pending", **more: object) -> View:
    """Make a view of a plan with three phases and one gate."""
    return msgspec.convert(
        {
            "version": int(at * 10),
            "at": at,
            "plan": "p",
            "status": status,
            "phase": phase,
            "phases": [{"name": name, "state": "active", "percent": 0, "soak_s": 4} for name in LADDER],
            "gates": [{"name": "g", "verdict": verdict, "reason": "r"}],
            **more,
        },
        View,
    )


def test_a_fleet_is_half_cync_half_lines_and_lies_evenly() -> None:
    """50 devices lie within 8 points of every percentage that the demo's plan routes."""
    names = fleet_names(50)
    assert len({name.id for name in names}) == 50
    assert sum(name.kind == "cync" for name in names) == 25
    for percent in (10, 25, 50, 75, 90):
        share = sum(position(name.id) < percent for name in names) * 2
        assert abs(share - percent) <= 8, (percent, share)
    with pytest.raises(ValueError, match="0 devices can't be simulated"):
        fleet_names(0)


def test_a_lines_device_passes_each_number_once_and_a_cync_device_acts_on_all(tmp_path: Path) -> None:
    """The watermark is one over both attachments; an unmodified device has none."""
    log = RecordLog(tmp_path / "devices.jsonl")
    lines = Device(DeviceName("hall", "lines"), log, Random(1))
    cync = Device(DeviceName("45880000", "cync"), log, Random(1))
    for number, path in ((1, "lines"), (2, "native"), (1, "native"), (2, "lines")):
        lines.take(number, number, path)
    for number, value in ((1, 1), (1, 1), (2, 0), (1, 1)):
        cync.take(number, value, "cync")
    log.close()
    records = read_records(tmp_path / "devices.jsonl")
    assert [type(record) for record in records[:4]] == [Effect, Effect, Ignored, Ignored]
    assert [record.changed for record in records[4:] if isinstance(record, Effect)] == [True, False, True, True]
    assert all(0 < lines.reaction_s() <= REPLY_MAX_S for _ in range(200))


def test_a_restarted_fleet_goes_on_where_its_logs_end(tmp_path: Path) -> None:
    """Watermarks and numbers go on, and what nobody answered is known."""
    files = DemoFiles(tmp_path)
    log = RecordLog(files.sources_log)
    for number in (1, 2):
        log.add(Sent(t=number, device="hall", number=number))
    log.add(Told(t=3, device="hall", number=1, outcome="delivered", runtime="reliable"))
    log.close()
    log = RecordLog(files.devices_log)
    log.add(Effect(t=1, device="hall", number=1, path="lines"))
    log.close()
    memory = recall(files)
    assert memory.watermarks == {"hall": 1}
    assert memory.numbers == {"hall": 2}
    assert [sent.number for sent in memory.unanswered] == [2]


def test_a_story_tells_visits_in_order_and_how_they_ended() -> None:
    """Left forwards is passed; a way back leaves the phase with what its gates said."""
    story = Story()
    assert story.see(view("", 0, status="starting")) is None
    began = story.see(view("dark", 1))
    assert began is not None
    assert (began.name, began.soak_s) == ("dark", 4)
    story.see(view("dark", 2, verdict="passed"))
    story.see(view("canary", 3))
    story.see(view("canary", 4, verdict="failed"))
    assert not story.ended
    back = RollbackView(at=5, rule="slo", from_phase="canary", to_phase="control", routed_ms=3)
    story.see(view("canary", 5, status="rolled-back", rollbacks=[msgspec.to_builtins(back)]))
    assert [(visit.name, visit.left_at, visit.verdict) for visit in story.visits] == [
        ("dark", 3, "passed"),
        ("canary", 5, "failed"),
    ]
    assert story.ended
    assert not story.settled


def test_a_complete_story_has_passed_its_last_phase() -> None:
    """The end of the plan is left forwards too."""
    story = Story()
    story.see(view("cutover", 1))
    story.see(view("cutover", 2, status="complete"))
    assert [(visit.verdict, visit.left_at) for visit in story.visits] == [("passed", 2)]
    assert story.settled


def report_of(*, candidate: Counts, agrees: bool = True, status: str = "complete") -> Report:
    """Make a report of a short run."""
    story = Story()
    story.see(view("cutover", 11))
    story.see(view("cutover", 12, status=status))
    finding = Finding(
        counts={"control": Counts(sent=5, delivered=5), "candidate": candidate},
        shares={visit_key(0, "cutover"): 0.98},
        violations=(),
        ledger_agrees=agrees,
        disagreements=(),
        redelivered=0,
    )
    return make_report(story, finding, [], plan=load_plan(demo_plan()), began=10, seed=7)


def test_a_report_has_the_documented_keys() -> None:
    """Scripts read these names."""
    body = msgspec.to_builtins(report_of(candidate=Counts(sent=1, delivered=1)))
    assert set(body) == {
        "plan", "seed", "squeeze", "final_phase", "phases", "rollbacks",
        "messages", "ledger_agrees", "processes", "alerts",
    }  # fmt: skip
    assert body["phases"][0]["entered_s"] == 1
    assert body["phases"][0]["share"] == 0.98
    assert set(body["phases"][0]) == {"name", "entered_s", "left_s", "verdict", "gates", "share"}
    assert set(body["messages"]["candidate"]) == {
        "sent", "delivered", "not_delivered", "indeterminate", "lost", "duplicated", "out_of_order", "retransmits",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "agrees", "complete", "faults", "shortcoming"),
    [
        (Counts(sent=1, delivered=1), True, True, False, ""),
        (Counts(sent=1, lost=1), True, True, False, "lost 1"),
        (Counts(sent=1, delivered=1, duplicated=1), True, True, True, "duplicated 1"),
        (Counts(sent=1, delivered=1, out_of_order=1), True, True, True, "misordered 1"),
        (Counts(sent=1, delivered=1), False, True, True, "ledger disagrees"),
        (Counts(sent=1, indeterminate=1), True, True, False, "1 messages are indeterminate"),
        (Counts(sent=1, indeterminate=1), True, True, True, ""),
        (Counts(sent=1, delivered=1), True, False, False, "did not reach its end"),
        (Counts(sent=1, delivered=1), True, False, True, ""),
    ],
)
def test_the_exit_status_follows_the_rule(
    counts: Counts, agrees: bool, complete: bool, faults: bool, shortcoming: str
) -> None:
    """Only a run that deserves it succeeds; admitted doubt and a way back are fine where faults were asked for."""
    found = shortcomings(report_of(candidate=counts, agrees=agrees), complete=complete, faults=faults)
    assert bool(found) == bool(shortcoming)
    assert shortcoming in " ".join(found)


def test_two_owners_of_one_device_make_the_run_fail() -> None:
    """No count in the report shows it, so the violation itself has to."""
    report = report_of(candidate=Counts(sent=1, delivered=1))
    (says,) = shortcomings(report, [Violation("owner", "hall", 0, "both")], complete=True, faults=True)
    assert says == "two runtimes had messages of one device on their way at once, 1 times"


def test_gates_come_from_the_decision_that_left_the_phase(tmp_path: Path) -> None:
    """A view may show a later check than the one that decided."""
    records = tmp_path / "records.sqlite"
    with sqlite3.connect(records) as connection:
        connection.execute("CREATE TABLE journal (number INTEGER PRIMARY KEY, numbers BLOB, state BLOB)")
        rows = [
            (b"{}", b'{"phase":0,"status":"running"}'),
            (b'{"gates":[{"name":"g","verdict":"passed","reason":"then"}]}', b'{"phase":1,"status":"running"}'),
            (b'{"gates":[{"name":"h","verdict":"failed","reason":"now"}]}', b'{"phase":1,"status":"rolled-back"}'),
        ]
        connection.executemany("INSERT INTO journal (numbers, state) VALUES (?, ?)", rows)
    connection.close()
    seen = GateView(name="g", verdict="pending", reason="later")
    visits = [Visit("dark", 1, 4, gates=(seen,)), Visit("canary", 2, 4)]
    apply_decisions(visits, records, LADDER)
    assert [(visit.gates[0].verdict, visit.gates[0].reason) for visit in visits] == [
        ("passed", "then"),
        ("failed", "now"),
    ]
    apply_decisions(visits, tmp_path / "missing.sqlite", LADDER)


def test_a_projection_counts_its_changes() -> None:
    """The version grows with changes only; a listing names who could be served there."""
    projection = Projection()
    devices = [{"device": "hall", "runtime": "legacy", "attachments": ["legacy", "reliable"]}]
    assert projection.project(devices)
    assert not projection.project(devices)
    assert projection.project([*devices, {"device": "den", "runtime": "reliable", "attachments": ["reliable"]}])
    assert projection.version == 2
    assert [listing.device for listing in projection.listing("legacy")] == ["hall"]
    assert projection.owners == {"legacy": 1, "reliable": 1}

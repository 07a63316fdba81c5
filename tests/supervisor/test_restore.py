"""A restore over a real run directory: judged first, kept aside, in the audit, and proven by what follows."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import anyio.to_thread
import pytest

from agt.supervisor._errors import AlreadyRunning, SupervisorError
from agt.supervisor._restore import RestoreNotRight, restore_snapshot
from agt.supervisor._rundir import RunDirectory
from agt.supervisor.cli import run as run_command
from agt.supervisor.components._files import ComponentFiles
from agt.supervisor.records import SCHEMA, Audit, AuditRow, Entry, Journal, Store, verify_at
from agt.supervisor.rollout import parse_plan
from agt.supervisor.rollout._proving import prove_restore, seen_of
from agt.supervisor.snapshots import RestoreNote, RestoreProof, Seen, SnapshotFolder, SnapshotMeta, read_note
from agt.supervisor.snapshots.databases import back_up_database

AT = 1_800_000_000.0


def decision(number: int) -> Entry:
    """Return one journal entry."""
    return Entry(at=float(number), kind="k", says=f"entry {number}", numbers=b"{}", state=b"{}")


class Past:
    """A run directory with a snapshot, and what was written after it."""

    def __init__(self, path: Path) -> None:
        path.chmod(0o700)
        self.run = RunDirectory(path)
        self.folder = SnapshotFolder(path / "snapshots", kept=9)

    async def write(self, count: int, *, action: str = "hold") -> None:
        """Make decisions, one of them an operator's."""
        store = Store(self.run.records, schema=SCHEMA)
        for number in range(count):
            await Journal(store).append(decision(number))
        await Audit(store).append(AuditRow(at=AT, by="ann", action=action, outcome="done"))
        await store.aclose()

    def snapshot(self, *, at: float = AT) -> SnapshotMeta:
        """Take one, as the supervisor does."""
        parts = {"records.sqlite": back_up_database(self.run.records)}
        if self.run.selector.exists():
            body = self.run.selector.read_bytes()
            parts["selector.toml"] = lambda target: target.write_bytes(body) and None
        return self.folder.take(parts, at=at, trigger="manual", projection_version=1, counts={})

    @property
    def decisions(self) -> int:
        """How many the records have now."""
        with closing(sqlite3.connect(self.run.records)) as connection:
            return int(connection.execute("SELECT count(*) FROM journal").fetchone()[0])

    async def restore(self, name: str, *, max_age_s: float = 600.0):
        """Restore a minute after."""
        return await restore_snapshot(self.run, name, by="bob", max_age_s=max_age_s, clock=lambda: AT + 60)


@pytest.fixture
def past(tmp_path: Path) -> Past:
    """An empty run directory."""
    return Past(tmp_path)


async def test_records_and_selector_are_put_back_and_the_old_ones_kept(past: Past) -> None:
    """The chain that was restored is whole, its newest row is the restore, with the end of the one that it replaced."""
    past.run.selector.write_text("old")
    await past.write(3)
    meta = past.snapshot()
    past.run.selector.write_text("new")
    await past.write(2, action="resume")
    replaced = str(verify_at(past.run.records).head)
    done = await past.restore(meta.id)
    assert (past.decisions, past.run.selector.read_text()) == (3, "old")
    assert set(done.aside) == {"records.sqlite.before-restore", "selector.toml.before-restore"}
    with closing(sqlite3.connect(past.run.path / "records.sqlite.before-restore")) as connection:
        assert connection.execute("SELECT count(*) FROM journal").fetchone() == (5,)
    found = verify_at(past.run.records)
    assert (found.whole, found.rows, str(found.head)) == (True, 2, done.head)
    with closing(sqlite3.connect(past.run.records)) as connection:
        action, by, detail = connection.execute("SELECT action, by_whom, detail FROM audit WHERE number = 2").fetchone()
    assert (action, by) == ("snapshot-restore", "claimed:bob")
    assert json.loads(detail)["replaced_head"] == replaced
    assert json.loads(detail)["check"]["verdict"] == "Ok"
    note = read_note(past.run.path)
    assert note is not None
    assert (note.verdict, note.counts["journal"]) == ("pending", 3)


async def test_what_the_dry_run_refuses_is_refused_and_nothing_changes(past: Past) -> None:
    """Ahead and damaged ones always; an old one until its age is allowed."""
    await past.write(2)
    early = past.snapshot(at=AT - 10)
    await past.write(2)
    late = past.snapshot(at=AT)
    await past.restore(early.id)
    with pytest.raises(RestoreNotRight, match="VersionAhead"):
        await past.restore(late.id, max_age_s=float("inf"))
    with pytest.raises(RestoreNotRight, match=r"TooOld.*--older-than"):
        await past.restore(early.id, max_age_s=30)
    (past.folder.path / early.id / "records.sqlite").write_bytes(b"x")
    with pytest.raises(RestoreNotRight, match="Corrupt"):
        await past.restore(early.id, max_age_s=float("inf"))
    assert past.decisions == 2


async def test_lost_or_damaged_records_are_what_a_restore_is_for(past: Past) -> None:
    """Their write-ahead log doesn't end up beside the restored file, and an earlier copy aside is kept."""
    await past.write(3)
    meta = past.snapshot()
    for left in ("records.sqlite", "records.sqlite-wal", "records.sqlite.before-restore"):
        (past.run.path / left).write_bytes(b"garbage")
    await past.restore(meta.id)
    assert past.decisions == 3
    assert not (past.run.path / "records.sqlite-wal").exists()
    kept = sorted(path.name for path in past.run.path.glob("records.sqlite*before-restore*"))
    assert len(kept) == 3
    past.run.records.unlink()
    await past.restore(meta.id)
    assert past.decisions == 3


async def test_nothing_is_restored_under_a_supervisor_or_a_component(past: Past) -> None:
    """Both are refused by name; a kill that stands keeps the selector out of the way."""
    past.run.selector.write_text("old")
    await past.write(1)
    meta = past.snapshot()
    with past.run.claimed(), pytest.raises(AlreadyRunning):
        await past.restore(meta.id)
    (past.run.path / "components").mkdir()
    held = ComponentFiles(past.run.path / "components", "gateway").try_lock()
    assert held is not None
    with pytest.raises(SupervisorError, match="gateway still runs"):
        await past.restore(meta.id)
    os.close(held)
    past.run.selector.rename(past.run.path / "selector.toml.killed")
    done = await past.restore(meta.id)
    assert "a kill stands" in done.left
    assert not past.run.selector.exists()


async def test_the_command_says_each_step_in_words(past: Past, capsys: pytest.CaptureFixture[str]) -> None:
    """And refuses with one line, for want of a snapshot or for its age."""
    await past.write(1)
    meta = past.snapshot(at=AT - 400 * 86400)
    here = ["--run-dir", str(past.run.path)]
    assert await _called(["snapshot", "restore", "snap-20200101-000000", *here]) == 1
    assert "there is no snapshot" in capsys.readouterr().err
    assert await _called(["snapshot", "restore", meta.id, "--dry-run", *here]) == 1
    assert await _called(["snapshot", "restore", meta.id, "--force", "--json", *here]) == 0
    assert json.loads(capsys.readouterr().out)["check"]["verdict"] == "Ok"


async def _called(arguments: list[str]) -> int:
    """Run a command in a thread, since it has a loop of its own."""
    return await anyio.to_thread.run_sync(run_command, arguments)


NOTE = RestoreNote(snapshot="snap", at=AT, by="bob", counts={"journal": 3})
GOOD = {"counts": {"journal": 4}, "invalid_cursors": 0, "sources": ()}


def test_a_restore_is_proven_by_sixty_quiet_seconds_and_what_moves() -> None:
    """Watermarks have to advance, every source to be active; an invalid cursor begins the minute anew."""
    proof = RestoreProof(NOTE, asks_daemon=True, now=0.0)
    assert proof.look(Seen(counts={"journal": 4}), now=1.0)[1] == "nobody says how cursors and sources stand"
    assert proof.look(Seen(**{**GOOD, "sources": ("a",)}, watermark=5), now=2.0)[1] == "not active: a"
    assert proof.look(Seen(**GOOD, watermark=5), now=3.0)[1] == "no watermark has advanced"
    assert proof.look(Seen(**GOOD, watermark=6), now=10.0) == ("pending", "50 s more without an invalid cursor")
    assert proof.look(Seen(**{**GOOD, "invalid_cursors": 1}, watermark=7), now=50.0)[0] == "pending"
    late = Seen(**{**GOOD, "invalid_cursors": 1}, watermark=8)
    assert proof.look(late, now=109.0)[0] == "pending"
    assert proof.look(late, now=110.0)[0] == "passed"


def test_a_restore_that_lost_rows_or_never_moves_has_failed() -> None:
    """Fewer rows fail at once, what doesn't come to hold in the end. Without a daemon only counts are looked at."""
    assert RestoreProof(NOTE, asks_daemon=True, now=0.0).look(Seen(counts={"journal": 2}), now=1.0) == (
        "failed",
        "2 rows of journal where 3 were restored",
    )
    proof = RestoreProof(NOTE, asks_daemon=True, now=0.0)
    assert proof.look(Seen(**GOOD, watermark=5), now=1.0)[0] == "pending"
    assert proof.look(Seen(**GOOD, watermark=5), now=700.0) == ("failed", "no watermark has advanced")
    assert RestoreProof(NOTE, asks_daemon=False, now=0.0).look(Seen(counts={"journal": 3}), now=60.0)[0] == "passed"


def test_a_daemons_answer_is_read_for_cursors_and_sources() -> None:
    """What it doesn't say stays unknown."""
    seen = seen_of({"committed": {"a": 2, "b": 3}, "sources": {"a": "active", "b": "stale"}, "invalid_cursors": 4}, {})
    assert (seen.watermark, seen.invalid_cursors, seen.sources) == (5, 4, ("b",))
    assert seen_of({}, {}) == Seen(counts={})


async def test_the_next_supervisor_judges_a_restore_once(past: Past) -> None:
    """An alert until then, the verdict in note and audit; the next one has nothing to do."""
    await past.write(3)
    await past.restore(past.snapshot().id)
    plan = parse_plan(
        'schema = 1\nname = "p"\nruntimes = { control = "a", candidate = "b" }\n'
        '[[phase]]\nname = "x"\nsoak = "1h"\n[[phase.gate]]\nmetric = "samples"\nat_least = 1\n'
    ).squeezed(1000)
    said: list[object] = []
    rows: list[AuditRow] = []
    for _ in range(2):
        await prove_restore(plan, past.run.path, clock=lambda: AT + 70, tell=said.append, note_action=rows.append)
    note = read_note(past.run.path)
    assert note is not None
    assert (note.verdict, note.judged) == ("passed", AT + 70)
    assert [row.action for row in rows] == ["restore-proof"]
    assert [type(one).__name__ for one in said] == ["RaiseAlert", "ResolveAlerts", "RaiseAlert"]

"""Snapshots: whole or not there, kept as many as said, judged in one order, restored without losing what was there."""

import sqlite3
from pathlib import Path

import msgspec
import pytest

from agt.supervisor.records import SCHEMA, Entry, Journal, Store
from agt.supervisor.snapshots import (
    RestoreVerdict,
    SnapshotDamaged,
    SnapshotFolder,
    SnapshotMeta,
    SnapshotRefused,
    judge_restore,
)
from agt.supervisor.snapshots.databases import back_up_database

AT = 1_800_000_000.0


@pytest.fixture
def folder(tmp_path: Path) -> SnapshotFolder:
    """An empty folder of snapshots."""
    return SnapshotFolder(tmp_path / "snapshots")


def take(folder: SnapshotFolder, *, at: float = AT, version: int = 7, text: str = "selector", **fields) -> SnapshotMeta:
    """Take one with a single part."""
    return folder.take(
        {"selector.toml": lambda path: path.write_text(text) and None},
        at=at,
        trigger="manual",
        projection_version=version,
        counts={"devices": 50},
        **fields,
    )


def test_a_snapshot_says_what_it_is_and_only_its_owner_reads_it(folder) -> None:
    """Id, time, version, counts, trigger, size; 0700 and 0600."""
    meta = take(folder, says="before canary-10")
    assert folder.metas() == [meta]
    assert (meta.projection_version, meta.counts, meta.trigger, meta.size) == (7, {"devices": 50}, "manual", 8)
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (folder.path / meta.id).iterdir()} == {0o600}


def test_three_are_kept_and_those_that_somebody_marked(folder) -> None:
    """The oldest go first."""
    marked = take(folder, at=AT, keep=True)
    later = [take(folder, at=AT + number) for number in range(1, 6)]
    assert [meta.id for meta in folder.metas()] == [*[meta.id for meta in reversed(later[2:])], marked.id]


def test_a_part_that_fails_leaves_nothing_behind(folder) -> None:
    """Neither a half-written snapshot nor its folder; and what a killed process left is swept away."""
    (folder.path / ".snap-20200101-000000").mkdir(parents=True)

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(SnapshotRefused, match="No space left"):
        folder.take({"a": full}, at=AT, trigger="periodic", projection_version=1, counts={})
    assert not list(folder.path.iterdir())
    assert folder.newest() is None


@pytest.mark.parametrize(
    ("version", "age", "damage", "verdict"),
    [
        (8, 9999.0, "broken", RestoreVerdict.VERSION_AHEAD),
        (7, 600.1, "broken", RestoreVerdict.TOO_OLD),
        (7, 600.0, "broken", RestoreVerdict.CORRUPT),
        (7, 600.0, "", RestoreVerdict.OK),
        (0, -5.0, "", RestoreVerdict.OK),
    ],
)
def test_verdicts_are_judged_in_the_order_of_the_contract(
    version: int, age: float, damage: str, verdict: RestoreVerdict
) -> None:
    """Version ahead, too old, corrupt, ok; the age is given in milliseconds."""
    meta = SnapshotMeta(id="snap-20260101-000000", at=AT, projection_version=version, trigger="manual")
    check = judge_restore(meta, damage=damage, current_version=7, now=AT + age)
    assert check.verdict is verdict
    assert check.age_ms == round(max(0.0, age) * 1000)
    assert check.ok == (verdict is RestoreVerdict.OK)


def test_damage_is_found_before_anybody_relies_on_it(folder) -> None:
    """A changed byte, a missing part, a description that is none or another's."""
    meta = take(folder)
    part = folder.path / meta.id / "selector.toml"
    part.write_text("selectoR")
    assert folder.check(meta.id, current_version=7, now=AT).verdict is RestoreVerdict.CORRUPT
    with pytest.raises(SnapshotRefused, match="damaged"):
        folder.restore(meta.id, {"selector.toml": folder.path.parent / "selector.toml"})
    part.unlink()
    assert "can't be read" in folder.check(meta.id, current_version=7, now=AT).says
    description = folder.path / meta.id / "meta.json"
    description.write_bytes(msgspec.json.encode(msgspec.structs.replace(meta, id="snap-20200101-000000")))
    with pytest.raises(SnapshotDamaged, match="is that of"):
        folder.check(meta.id, current_version=7, now=AT)
    description.write_text("{")
    with pytest.raises(SnapshotDamaged, match="can't be read"):
        folder.meta(meta.id)
    with pytest.raises(SnapshotRefused, match=r"there is no snapshot '\.\./\.\./etc'"):
        folder.meta("../../etc")


def test_a_restore_puts_back_and_keeps_what_was_there(folder, tmp_path: Path) -> None:
    """By rename, the old file beside it; a part that it doesn't have is refused before anything is touched."""
    meta = take(folder, text="old")
    target = tmp_path / "selector.toml"
    target.write_text("new")
    with pytest.raises(SnapshotRefused, match="has no records"):
        folder.restore(meta.id, {"selector.toml": target, "records.sqlite": tmp_path / "r"})
    assert target.read_text() == "new"
    assert folder.restore(meta.id, {"selector.toml": target}) == (target,)
    assert target.read_text() == "old"
    assert (tmp_path / "selector.toml.before-restore").read_text() == "new"


async def test_a_live_database_is_copied_whole(folder, tmp_path: Path) -> None:
    """While its store is open and has a log that is not yet in the file."""
    store = Store(tmp_path / "records.sqlite", schema=SCHEMA)
    journal = Journal(store)
    for number in range(20):
        await journal.append(Entry(at=float(number), kind="k", says=f"entry {number}", numbers=b"{}", state=b"{}"))
    meta = folder.take(
        {"records.sqlite": back_up_database(tmp_path / "records.sqlite")},
        at=AT,
        trigger="periodic",
        projection_version=1,
        counts={"journal": 20},
    )
    await journal.append(Entry(at=99.0, kind="k", says="later", numbers=b"{}", state=b"{}"))
    await store.aclose()
    folder.restore(meta.id, {"records.sqlite": tmp_path / "restored.sqlite"})
    connection = sqlite3.connect(tmp_path / "restored.sqlite")
    assert connection.execute("SELECT count(*), max(number) FROM journal").fetchone() == (20, 20)
    connection.close()

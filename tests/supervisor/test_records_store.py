"""Records: durable means durable, a sick disk closes the store, and alerts are never forgotten open."""

import os
import signal
import sqlite3
import subprocess
import sys

import anyio
import pytest

from agt.supervisor.measure import RouterSample
from agt.supervisor.records import (
    SCHEMA,
    Alert,
    AlertBook,
    AlertLedger,
    Carried,
    Entry,
    Journal,
    Store,
    StoreUnavailable,
)

WRITER = """
import sys, anyio
from pathlib import Path
from agt.supervisor.records import SCHEMA, Entry, Journal, Store

async def main():
    journal = Journal(Store(Path(sys.argv[1]), schema=SCHEMA))
    while True:
        number = await journal.append(Entry(at=1.0, kind="k", says="x" * 500, numbers=b"{}", state=b"{}"))
        print(number, flush=True)

anyio.run(main)
"""


@pytest.fixture
async def store(tmp_path):
    """An open store."""
    opened = Store(tmp_path / "records.sqlite", schema=SCHEMA)
    yield opened
    await opened.aclose()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_journal_numbers_without_gaps_and_reads_back(tmp_path, anyio_backend):
    """Entries get the next numbers, all or none, on asyncio and trio."""
    store = Store(tmp_path / "records.sqlite", schema=SCHEMA)
    journal = Journal(store)
    assert await journal.newest() is None
    assert await journal.append(_entry("a"), _entry("b")) == 2
    assert await journal.append(_entry("c")) == 3
    assert [(one.number, one.says) for one in await journal.entries()] == [(3, "c"), (2, "b"), (1, "a")]
    await store.aclose()
    with pytest.raises(StoreUnavailable, match="is closed"):
        await journal.append(_entry("d"))


async def test_what_a_check_saw_survives_and_is_pruned(tmp_path, store):
    """Samples, soak and progress come back after a restart; old samples go, carried seconds never shrink."""
    journal = Journal(store)
    for at in (1.0, 2.0, 3.0):
        carried = [Carried(socket="s", router="r", generation=4, seconds=10 - at)]
        sample = {"s": RouterSample(router="r", at=at)}
        await journal.observe(sample, carried, progress=(1, b"p"), keep_since=2.0)
    await store.aclose()
    again = Store(tmp_path / "records.sqlite", schema=SCHEMA)
    journal = Journal(again)
    assert [sample.at for _, sample in await journal.samples()] == [2.0, 3.0]
    assert [one.seconds for one in await journal.carried(4)] == [9.0]
    assert await journal.progress() == (1, b"p")
    await again.aclose()


async def test_failed_job_leaves_nothing_behind(store):
    """A job that raises is rolled back whole, and the store goes on."""

    def half(connection):
        connection.execute("INSERT INTO journal VALUES (1, 1.0, 'k', 's', x'', x'')")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.run(half)
    assert await Journal(store).newest() is None
    assert await Journal(store).append(_entry("a")) == 1


async def test_disk_error_closes_the_store_until_it_is_checked(store):
    """After an I/O error everything is refused, also what could work, until a check has found the file sound."""

    def broken(connection):
        raise sqlite3.OperationalError("disk I/O error")

    journal = Journal(store)
    with pytest.raises(StoreUnavailable, match="disk I/O error"):
        await store.run(broken)
    with pytest.raises(StoreUnavailable, match="since an error"):
        await journal.append(_entry("a"))
    await store.check()
    assert await journal.append(_entry("a")) == 1


async def test_cancelled_writer_leaves_a_whole_record_or_none(store):
    """Cancelling the caller neither tears the record nor the store."""
    with anyio.move_on_after(0):
        await Journal(store).append(_entry("a"))
    await Journal(store).append(_entry("b"))
    assert [one.says for one in await Journal(store).entries()] in (["b", "a"], ["b"])


def test_damaged_file_is_refused_with_what_to_do(tmp_path):
    """A file that is no database is never overwritten."""
    path = tmp_path / "records.sqlite"
    path.write_bytes(b"not a database, but long enough to be read as one" * 10)
    with pytest.raises(StoreUnavailable, match="move it away"):
        Store(path, schema=SCHEMA)
    assert path.read_bytes().startswith(b"not a database")


async def test_killed_writer_has_lost_nothing_that_it_was_told_is_durable(tmp_path):
    """After kill -9 in the middle of writing every number that was printed is there, without a gap."""
    path = tmp_path / "records.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - nothing else runs here
    assert process.stdout is not None
    printed = [int(process.stdout.readline()) for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    printed += [int(line) for line in process.stdout.read().splitlines()]
    process.wait()
    process.stdout.close()
    store = Store(path, schema=SCHEMA)
    numbers = [one.number for one in await Journal(store).entries()]
    assert numbers[::-1] == list(range(1, len(numbers) + 1))
    assert set(printed) <= set(numbers)
    assert await Journal(store).append(_entry("after")) == len(numbers) + 1
    await store.aclose()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tiny tmpfs needs root")
async def test_full_disk_refuses_and_loses_nothing(tmp_path):
    """When the disk is full nothing is half written; when there is room again a check opens the store."""
    if _run("mount", "-t", "tmpfs", "-o", "size=256k", "agt-test", str(tmp_path)):
        pytest.skip("this kernel or container refuses to mount a tmpfs")
    try:
        store = Store(tmp_path / "records.sqlite", schema=SCHEMA)
        journal, written = Journal(store), 0
        refused = None
        while refused is None:
            try:
                written = await journal.append(_entry("x" * 2000))
            except StoreUnavailable as error:
                refused = error
            assert written < 1000
        assert "full" in str(refused)
        with pytest.raises(StoreUnavailable):
            await store.check()
        assert _run("mount", "-o", "remount,size=8m", str(tmp_path)) == 0
        await store.check()
        assert (await journal.entries(limit=1))[0].number == written
        assert await journal.append(_entry("room")) == written + 1
        await store.aclose()
    finally:
        assert _run("umount", str(tmp_path)) == 0


def test_alert_is_raised_once_and_resolved_by_its_policy():
    """The same open alert isn't raised twice; manual ones wait for a person."""
    book = AlertBook()
    assert book.raise_alert(at=1, severity="warn", source="a", message="m") is not None
    assert book.raise_alert(at=2, severity="warn", source="a", message="m") is None
    book.raise_alert(at=3, severity="escalate", source="a", message="n", policy="manual-ack")
    book.resolve(source="a", at=4)
    assert [alert.message for alert in book.open_at("info")] == ["n"]
    book.acknowledge(2, at=5)
    assert book.open_at("info") == []
    assert book.raise_alert(at=6, severity="info", source="a", message="fact").open is False


def test_only_resolved_alerts_are_pruned():
    """Age alone removes nothing that stands open."""
    book = AlertBook([Alert(id=n, created=n, severity="warn", source="s", message=str(n)) for n in range(1, 5)])
    book.acknowledge(1, at=10)
    book.acknowledge(3, at=99)
    assert book.prune(older_than=50, keep=0) == [1]
    assert [alert.id for alert in book.newest()] == [4, 3, 2]


async def test_alert_ledger_survives_and_prunes(tmp_path, store):
    """What was raised and resolved is there after a restart; pruning takes resolved rows only."""
    ledger = await AlertLedger.load(store)
    ledger.note(ledger.book.raise_alert(at=1, severity="degraded", source="a", message="m"))
    ledger.note(ledger.book.raise_alert(at=2, severity="warn", source="b", message="n"))
    assert await ledger.flush()
    ledger.note(*ledger.book.resolve(source="b", at=3))
    assert await ledger.flush()
    again = await AlertLedger.load(store)
    assert [(alert.message, alert.open) for alert in again.book.newest()] == [("n", False), ("m", True)]
    assert await again.prune(older_than=10) == 1
    assert [alert.message for alert in (await AlertLedger.load(store)).book.newest()] == ["m"]


def _entry(says):
    return Entry(at=1.0, kind="k", says=says, numbers=b"{}", state=b"{}")


def _run(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode

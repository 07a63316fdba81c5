"""The ledger and its journal: balanced counts, anomalies with names, and a file that survives `kill -9`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agt.router import Ledger, LedgerJournal, Message
from agt.transport import Delivery, Outcome


def accept(ledger: Ledger, number: int, runtime: str = "reliable", device: str = "d") -> Delivery:
    """Count a message on its way."""
    delivery = Delivery()
    delivery.runtime = runtime
    ledger.accept(Message(device=device, number=number, payload=b"x"), delivery)
    return delivery


@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_outcome_is_counted_once_in_total_and_for_the_device(outcome: Outcome) -> None:
    """Accepted, then in flight, then ended as this."""
    ledger = Ledger()
    ledger.known = {"d"}
    delivery = accept(ledger, 1)
    for counts in (ledger.totals["reliable"], ledger.device("d")["reliable"]):
        assert (counts.accepted, counts.in_flight) == (1, 1)
    delivery.settle(outcome, resends=2)
    for counts in (ledger.totals["reliable"], ledger.device("d")["reliable"]):
        assert (counts.in_flight, counts.settled, counts.resends, getattr(counts, outcome.value)) == (0, 1, 2, 1)


def test_message_that_crossed_counts_for_the_runtime_of_its_last_attempt() -> None:
    """The one gives up what the other takes over, so that both balance."""
    ledger = Ledger()
    delivery = accept(ledger, 1, "reliable")
    ledger.crossed("d", "reliable", "legacy")
    delivery.runtime = "legacy"
    delivery.settle(Outcome.WRITTEN)
    old, new = ledger.totals["reliable"], ledger.totals["legacy"]
    assert (old.accepted, old.given_up, old.settled, old.in_flight) == (1, 1, 0, 0)
    assert (new.accepted, new.taken_over, new.written, new.in_flight) == (0, 1, 1, 0)


def test_anomalies_are_named_and_bounded() -> None:
    """What did not arrive is listed with its reason; the oldest leave, the count stays."""
    ledger = Ledger(anomalies_max=2)
    for number in range(3):
        accept(ledger, number).settle(Outcome.INDETERMINATE, reason="no answer")
    accept(ledger, 9).settle(Outcome.DELIVERED)
    assert [(anomaly.number, anomaly.says) for anomaly in ledger.anomalies] == [(1, "no answer"), (2, "no answer")]
    assert ledger.anomalies_seen == 3


def test_forgotten_device_leaves_only_its_totals() -> None:
    """Late endings of a device that is gone don't bring its counts back."""
    ledger = Ledger()
    ledger.known = {"d"}
    delivery = accept(ledger, 1)
    ledger.forget("d")
    delivery.settle(Outcome.DELIVERED)
    assert not ledger.device("d")
    assert ledger.totals["reliable"].delivered == 1


def test_journal_continues_counts_and_reports_what_was_left_open(tmp_path: Path) -> None:
    """A second incarnation starts where the first one died; the open message is indeterminate, once."""
    path = tmp_path / "ledger.jsonl"
    first = Ledger(journal=LedgerJournal(path))
    accept(first, 1).settle(Outcome.DELIVERED, resends=1)
    accept(first, 2)
    written = Delivery()
    written.runtime = "legacy"
    written.settle(Outcome.WRITTEN)
    first.accept(Message(device="d", number=3, payload=b"x"), written)
    assert first.journal is not None
    first.journal.flush()
    for _ in range(2):
        again = Ledger(journal=LedgerJournal(path))
        reliable, legacy = again.totals["reliable"], again.totals["legacy"]
        assert (reliable.accepted, reliable.delivered, reliable.indeterminate, reliable.in_flight) == (2, 1, 1, 0)
        assert (reliable.resends, legacy.written, legacy.accepted) == (1, 1, 1)
        assert again.anomalies_seen <= 1
        assert [(one.device, one.number, one.kind) for one in again.anomalies] == [("d", 2, "indeterminate")]
    assert again.anomalies_seen == 0, "named again, and not counted again"


def test_journal_counts_a_crossing_as_the_ledger_does(tmp_path: Path) -> None:
    """Accepted here, ended there: the totals of the next incarnation balance too."""
    journal = LedgerJournal(tmp_path / "ledger.jsonl")
    ledger = Ledger(journal=journal)
    delivery = accept(ledger, 1, "reliable")
    ledger.crossed("d", "reliable", "legacy")
    delivery.runtime = "legacy"
    delivery.settle(Outcome.WRITTEN)
    journal.flush()
    again = Ledger(journal=LedgerJournal(journal.path))
    assert again.totals == ledger.totals


def test_one_write_a_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn with a thousand messages costs one call to the kernel, and wakes its driver once."""
    journal, wakes, writes = LedgerJournal(tmp_path / "ledger.jsonl"), [], []
    journal.on_pending = lambda: wakes.append(1)
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: writes.append(len(data)) or write(handle, data))
    for number in range(1000):
        journal.accepted("d", number, "reliable")
    journal.flush()
    journal.flush()
    assert (len(wakes), len(writes)) == (1, 1)


def test_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    """A process killed within a write leaves half a line; the next line is not glued to it."""
    path = tmp_path / "ledger.jsonl"
    journal = LedgerJournal(path)
    journal.accepted("d", 1, "reliable")
    journal.flush()
    with path.open("ab") as file:
        file.write(b'{"e":"settled","id":1,"dev')
    again = LedgerJournal(path)
    assert (again.former.damaged, len(again.former.unsettled)) == (1, 1)
    again.settled(1, "d", 1, "reliable", Outcome.DELIVERED, 0)
    again.flush()
    assert not LedgerJournal(path).former.unsettled


def test_large_journal_becomes_its_totals(tmp_path: Path) -> None:
    """Opening a file over its limit keeps every count and every open message, in a few lines."""
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(journal=LedgerJournal(path))
    for number in range(200):
        accept(ledger, number).settle(Outcome.DELIVERED)
    accept(ledger, 200)
    assert ledger.journal is not None
    ledger.journal.flush()
    small = LedgerJournal(path, max_bytes=1000)
    assert path.stat().st_size < 1000
    assert len(small.former.unsettled) == 1
    again = Ledger(journal=LedgerJournal(path))
    assert (again.totals["reliable"].accepted, again.totals["reliable"].delivered) == (201, 200)
    assert again.totals["reliable"].indeterminate == 1


def test_full_disk_keeps_lines_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused lines wait; when there is room again they are written, and the reason is shown meanwhile."""
    journal = LedgerJournal(tmp_path / "ledger.jsonl")

    def refuse(handle: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", refuse)
        journal.accepted("d", 1, "reliable")
        journal.flush()
        assert journal.broken == "No space left on device"
    journal.flush()
    assert not journal.broken
    assert json.loads(journal.path.read_text())["number"] == 1


def test_journal_survives_kill_nine(tmp_path: Path) -> None:
    """A real process, killed after it said what it has flushed: every flushed message is accounted for."""
    script = (
        "import sys, time\n"
        "from agt.router import Ledger, LedgerJournal, Message\n"
        "from agt.transport import Delivery, Outcome\n"
        "ledger = Ledger(journal=LedgerJournal(sys.argv[1]))\n"
        "number = 0\n"
        "while True:\n"
        "    for _ in range(50):\n"
        "        number += 1\n"
        "        delivery = Delivery(); delivery.runtime = 'reliable'\n"
        "        ledger.accept(Message(device='d', number=number, payload=b''), delivery)\n"
        "        if number % 10: delivery.settle(Outcome.DELIVERED)\n"
        "    ledger.journal.flush()\n"
        "    print(number, flush=True)\n"
    )
    path = tmp_path / "ledger.jsonl"
    with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(20):
            flushed = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
    flushed = max([flushed, *(int(number) for number in rest if number.isdigit())])
    counts = Ledger(journal=LedgerJournal(path)).totals["reliable"]
    assert counts.accepted >= flushed
    assert (counts.in_flight, counts.accepted) == (0, counts.delivered + counts.indeterminate)
    assert counts.indeterminate >= flushed // 10


def test_a_journal_that_cannot_be_made_shorter_is_used_as_it_is(tmp_path: Path) -> None:
    """On a full disk the gateway has to start all the same, with what the long file says."""
    path = tmp_path / "ledger.jsonl"
    first = Ledger(journal=LedgerJournal(path))
    for number in range(50):
        accept(first, number).settle(Outcome.DELIVERED)
    first.journal.close()
    (tmp_path / "ledger.jsonl.tmp").mkdir()  # Stands in for a disk that takes no new file.
    journal = LedgerJournal(path, max_bytes=1000)
    assert journal.broken
    assert Ledger(journal=journal).totals["reliable"].delivered == 50
    journal.close()

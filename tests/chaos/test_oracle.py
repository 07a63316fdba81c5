"""The oracle on hand-made logs: it has to find what was put there, and nothing else."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agt.chaos.checkers import (
    Effect,
    Ignored,
    Ownership,
    Record,
    Sent,
    Told,
    decode_records,
    join,
    one_owner,
    read_records,
)
from agt.chaos.demo._ledger import LedgerBook, read_book
from agt.chaos.demo._oracle import Finding, Role, Span, examine

ROLES: dict[str, Role] = {"legacy": "control", "reliable": "candidate"}


def sent(number: int, t: float = 0.0) -> Sent:
    """A source handed over a message to the one lamp."""
    return Sent(t=t or float(number), device="lamp", number=number)


def told(number: int, outcome: str = "delivered", runtime: str = "reliable", **more: Any) -> Told:
    """A source was told."""
    return Told(t=float(number), device="lamp", number=number, outcome=outcome, runtime=runtime, **more)


def acted(number: int, *, changed: bool = True) -> Effect:
    """The lamp got a message."""
    return Effect(t=float(number), device="lamp", number=number, path="native", changed=changed)


def three(*, tellings: Sequence[Told] | None = None) -> list[Record]:
    """Three messages, all told delivered by the candidate unless said otherwise."""
    return [sent(1), sent(2), sent(3), *(tellings if tellings is not None else [told(1), told(2), told(3)])]


def book_of(tellings: Iterable[Record]) -> LedgerBook:
    """Write the journal that an honest gateway would have written."""
    book = LedgerBook()
    for number, told in enumerate(tellings):
        if isinstance(told, Told) and told.by == "gateway":
            book.take({"e": "accepted", "id": number, **_facts(told)})
            book.take({"e": "settled", "id": number, "outcome": told.outcome, **_facts(told)})
    return book


def _facts(told: Told) -> dict[str, Any]:
    return {"device": told.device, "number": told.number, "runtime": told.runtime}


def judge(sources: Sequence[Record], devices: Sequence[Record], book: LedgerBook | None = None) -> Finding:
    """Examine, with one phase over everything and an honest journal unless another is given."""
    span = Span(name="all", since=0, until=99)
    return examine(join(sources, devices), ROLES, book or book_of(sources), [span])


def test_a_clean_run_is_clean() -> None:
    """Everything sent, told and applied once, in order: no violation, and the ledger agrees."""
    finding = judge(three(), [acted(1), acted(2), acted(3)])
    assert finding.violations == ()
    assert finding.ledger_agrees
    assert msgspec.to_builtins(finding.counts["candidate"]) == {
        "sent": 3,
        "delivered": 3,
        "not_delivered": 0,
        "indeterminate": 0,
        "lost": 0,
        "duplicated": 0,
        "out_of_order": 0,
        "retransmits": 0,
    }
    assert finding.counts["control"].sent == 0
    assert finding.shares == {"all": 1.0}


def test_a_message_told_delivered_that_never_acted_is_lost_and_the_ledger_is_wrong() -> None:
    """A gateway that throws away what it says it delivered is found out."""
    finding = judge(three(), [acted(1), acted(3)])
    assert finding.counts["candidate"].lost == 1
    assert finding.counts["candidate"].delivered == 2
    assert [violation.number for violation in finding.violations] == [2]
    assert not finding.ledger_agrees


def test_a_legacy_write_that_vanished_is_lost_without_a_lie() -> None:
    """Fire and forget promised nothing: lost counts, the ledger still agrees."""
    tellings = [told(number, "written", "legacy") for number in (1, 2, 3)]
    finding = judge(three(tellings=tellings), [acted(1), acted(3)])
    assert finding.counts["control"].lost == 1
    assert finding.counts["control"].delivered == 2
    assert finding.ledger_agrees


def test_a_message_that_acts_twice_is_a_double_and_a_redelivery_is_not() -> None:
    """Arriving again counts as a double only when it changed something."""
    finding = judge(three(), [acted(1), acted(2), acted(2, changed=False), acted(3), acted(3)])
    assert finding.counts["candidate"].duplicated == 1
    assert finding.redelivered == 1
    assert [(v.check, v.number) for v in finding.violations] == [("doubled", 3)]


def test_a_first_arrival_behind_a_later_message_is_out_of_order() -> None:
    """Order is judged by first arrivals in the device's own log."""
    finding = judge(three(), [acted(2), acted(1), acted(1, changed=False), acted(3)])
    assert finding.counts["candidate"].out_of_order == 1
    assert [(v.check, v.number) for v in finding.violations] == [("order", 1)]


def test_a_message_that_a_device_took_for_an_old_one_is_lost() -> None:
    """Overtaken by its successor, it is dropped at the device's watermark: it never acted."""
    finding = judge(three(), [acted(1), acted(3), Ignored(t=4, device="lamp", number=2, path="lines")])
    assert [(v.check, v.number) for v in finding.violations] == [("lost", 2)]
    assert finding.redelivered == 1


def test_what_nobody_was_told_about_is_lost_on_the_last_known_path() -> None:
    """A source that hears nothing at all has lost a message, unless the device acted."""
    finding = judge(three(tellings=[told(1)]), [acted(1), acted(2)])
    assert finding.counts["candidate"].lost == 1
    assert finding.counts["candidate"].sent == 3
    assert finding.ledger_agrees


def test_an_indeterminate_message_is_neither_lost_nor_delivered() -> None:
    """Doubt that was admitted is counted as doubt, whatever the device did."""
    tellings = [told(1), told(2, "indeterminate", by="source"), told(3, "indeterminate", by="source")]
    finding = judge(three(tellings=tellings), [acted(1), acted(2)])
    assert finding.counts["candidate"].indeterminate == 2
    assert finding.violations == ()
    assert finding.ledger_agrees


def test_not_delivered_that_acted_is_an_untruth() -> None:
    """`not_delivered` means provably never handed over."""
    tellings = [told(1), told(2, "not_delivered"), told(3)]
    finding = judge(three(tellings=tellings), [acted(1), acted(2), acted(3)])
    assert [v.check for v in finding.violations] == ["untrue"]
    assert not finding.ledger_agrees


def test_a_ledger_that_says_otherwise_is_named() -> None:
    """A missing entry, another outcome, an entry too many: each is said in words."""
    sources, devices = three(), [acted(1), acted(2), acted(3)]
    book = book_of([told(1, "indeterminate"), told(3), told(4)])
    book.take({"e": "both", "id": 9, "outcome": "delivered", **_facts(told(3))})
    assert judge(sources, devices, book).disagreements == (
        "lamp #1: told delivered on reliable, the ledger has indeterminate on reliable",
        "lamp #2: told delivered on reliable, and the ledger knows nothing of it",
        "lamp #3 ended twice in the ledger",
        "lamp #4 is in the ledger and was never sent",
    )


def test_a_ledger_may_know_more_or_less_than_a_source_that_gave_up() -> None:
    """When the gateway dies, its journal has some of the answers that the source never got, and not others."""
    tellings = [told(1), told(2, "indeterminate", by="source"), told(3, "indeterminate", by="source")]
    book = book_of([told(1), told(2)])
    assert judge(three(tellings=tellings), [acted(1), acted(2)], book).ledger_agrees


def test_counters_that_differ_from_their_own_journal_are_named() -> None:
    """What the router counts has to be what it wrote; what it left open counts as indeterminate."""
    history = join(three(), [acted(1), acted(2), acted(3)])
    book = book_of(three())
    book.take({"e": "accepted", "id": 99, "device": "lamp", "number": 4, "runtime": "legacy"})
    honest = {"reliable": {"delivered": 3}, "legacy": {"indeterminate": 1}}
    assert examine(history, ROLES, book, [], counters=honest).ledger_agrees
    wrong = {"reliable": {"delivered": 4}, "legacy": {"indeterminate": 1}}
    finding = examine(history, ROLES, book, [], counters=wrong)
    assert finding.disagreements == ("the router counted 4 delivered on reliable, its journal has 3",)


def test_a_journal_is_read_with_torn_lines_and_totals(tmp_path: Path) -> None:
    """What a killed process tore is passed over; folded counts stay counts."""
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(
        b'{"e":"totals","id":7,"totals":{"legacy":{"accepted":5,"written":5}}}\n'
        b'{"e":"both","id":8,"device":"lamp","number":1,"runtime":"legacy","outcome":"written"}\n'
        b'{"e":"settled","id":9,"devi\n'
    )
    book = read_book(path)
    assert book.compacted
    assert book.totals["legacy", "written"] == 6
    assert book.settled == {("lamp", 1): ("legacy", "written")}
    assert read_book(tmp_path / "missing").settled == {}


def test_effects_from_nowhere_and_double_answers_are_disagreements() -> None:
    """What was never sent can't act, and nobody is told twice."""
    finding = judge([*three(), told(1)], [acted(1), acted(2), acted(3), acted(9)], book_of(three()))
    assert finding.disagreements == ("lamp #9 acted and was never sent", "lamp #1 was told twice, or never sent")


def test_shares_go_by_when_a_message_was_sent() -> None:
    """Each phase gets the share of its own messages; one without messages gets none."""
    tellings = [told(1, "written", "legacy"), told(2), told(3)]
    spans = [
        Span(name="a", since=0, until=2.5),
        Span(name="b", since=2.5, until=9),
        Span(name="c", since=9, until=10),
    ]
    finding = examine(join(three(tellings=tellings), [acted(1), acted(2), acted(3)]), ROLES, book_of(tellings), spans)
    assert finding.shares == {"a": 0.5, "b": 1.0, "c": None}


def test_one_owner_finds_overlaps_only() -> None:
    """Handing over is fine; two owners at one instant are not."""
    clean = [Ownership("lamp", "legacy", 0, 5), Ownership("lamp", "reliable", 5, 9), Ownership("fan", "legacy", 0, 9)]
    assert one_owner(clean) == []
    (found,) = one_owner([*clean, Ownership("lamp", "legacy", 8.5, 12)])
    assert found.device == "lamp"
    assert "reliable until 9.000" in found.says


def journal_of(*lines: tuple[str, int, str, str]) -> LedgerBook:
    """Write a journal of the one lamp: kind, number (also the entry), runtime, outcome."""
    book = LedgerBook()
    for kind, number, runtime, outcome in lines:
        book.take({"e": kind, "id": number, "device": "lamp", "number": number, "runtime": runtime, "outcome": outcome})
    return book


def test_a_write_on_control_while_the_candidate_has_a_message_on_its_way_is_two_owners() -> None:
    """The journal has no clock, but one writer: its lines say what overlapped."""
    sources = three(tellings=[told(1), told(2, "written", "legacy"), told(3)])
    devices = [acted(1), acted(2), acted(3)]
    book = journal_of(
        ("accepted", 1, "reliable", ""),
        ("both", 2, "legacy", "written"),
        ("settled", 1, "reliable", "delivered"),
        ("both", 3, "reliable", "delivered"),
    )
    finding = judge(sources, devices, book)
    assert [(violation.check, violation.device) for violation in finding.violations] == [("owner", "lamp")]
    assert finding.ledger_agrees


def test_moves_to_and_fro_have_one_owner_at_a_time() -> None:
    """Drained there, held and crossed here: what the router holds for a move is nobody's yet."""
    sources = three(tellings=[told(1, "written", "legacy"), told(2), told(3, "written", "legacy")])
    book = journal_of(
        ("accepted", 1, "reliable", ""),  # Held for a move that was called off.
        ("settled", 1, "legacy", "written"),
        ("accepted", 2, "reliable", ""),
        ("accepted", 3, "legacy", ""),  # Held for the way back, while 2 drains.
        ("settled", 2, "reliable", "delivered"),
        ("settled", 3, "legacy", "written"),
    )
    assert judge(sources, [acted(1), acted(2), acted(3)], book).violations == ()


def test_the_half_written_last_line_of_a_killed_process_is_passed_over(tmp_path: Path) -> None:
    """A torn line at the end is normal; one in the middle is damage and is named."""
    whole = msgspec.json.encode(sent(1)) + b"\n"
    assert list(decode_records([whole, b'{"e":"sent","t":'])) == [sent(1)]
    log = tmp_path / "sources.jsonl"
    log.write_bytes(b'{"e":"sent","t":\n' + whole)
    with pytest.raises(ValueError, match=r"sources.jsonl: line 1 is no record"):
        read_records(log)
    assert read_records(tmp_path / "missing.jsonl") == []

"""The oracle on hand-made logs: it has to find what was put there, and nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agt.chaos.checkers import Effect, Ignored, Ownership, Record, Sent, Told, decode_records, join, one_owner, read_records
from agt.chaos.demo._oracle import Finding, Role, Span, examine

ROLES: dict[str, Role] = {"legacy": "control", "reliable": "candidate"}
LEDGER = {"reliable": {"delivered": 3}}


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


def judge(sources: Sequence[Record], devices: Sequence[Record], ledger: dict[str, dict[str, int]] = LEDGER) -> Finding:
    """Examine, with one phase over everything."""
    return examine(join(sources, devices), ROLES, ledger, [Span(name="all", since=0, until=99)])


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
    finding = judge(three(tellings=tellings), [acted(1), acted(3)], {"legacy": {"written": 3}})
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
    finding = judge(three(tellings=[told(1)]), [acted(1), acted(2)], {"reliable": {"delivered": 1}})
    assert finding.counts["candidate"].lost == 1
    assert finding.counts["candidate"].sent == 3
    assert finding.ledger_agrees


def test_an_indeterminate_message_is_neither_lost_nor_delivered() -> None:
    """Doubt that was admitted is counted as doubt, whatever the device did."""
    tellings = [told(1), told(2, "indeterminate", by="source"), told(3, "indeterminate", by="source")]
    finding = judge(three(tellings=tellings), [acted(1), acted(2)], {"reliable": {"delivered": 1}})
    assert finding.counts["candidate"].indeterminate == 2
    assert finding.violations == ()
    assert finding.ledger_agrees


def test_not_delivered_that_acted_is_an_untruth() -> None:
    """`not_delivered` means provably never handed over."""
    tellings = [told(1), told(2, "not_delivered"), told(3)]
    finding = judge(
        three(tellings=tellings), [acted(1), acted(2), acted(3)], {"reliable": {"delivered": 2, "not_delivered": 1}}
    )
    assert [v.check for v in finding.violations] == ["untrue"]
    assert not finding.ledger_agrees


@pytest.mark.parametrize(
    ("ledger", "says"),
    [
        ({"reliable": {"delivered": 2}}, "the ledger says 2 delivered on reliable, the sources were told 3"),
        ({"reliable": {"delivered": 3, "indeterminate": 1}}, "1 indeterminate on reliable, the sources were told 0"),
    ],
)
def test_a_ledger_that_counts_otherwise_is_named(ledger: dict[str, dict[str, int]], says: str) -> None:
    """Numbers that differ are said in words."""
    finding = judge(three(), [acted(1), acted(2), acted(3)], ledger)
    assert says in finding.disagreements[0]


def test_effects_from_nowhere_and_double_answers_are_disagreements() -> None:
    """What was never sent can't act, and nobody is told twice."""
    finding = judge([*three(), told(1)], [acted(1), acted(2), acted(3), acted(9)])
    assert finding.disagreements == ("lamp #9 acted and was never sent", "lamp #1 was told twice, or never sent")


def test_shares_go_by_when_a_message_was_sent() -> None:
    """Each phase gets the share of its own messages; one without messages gets none."""
    tellings = [told(1, "written", "legacy"), told(2), told(3)]
    spans = [
        Span(name="a", since=0, until=2.5),
        Span(name="b", since=2.5, until=9),
        Span(name="c", since=9, until=10),
    ]
    finding = examine(join(three(tellings=tellings), [acted(1), acted(2), acted(3)]), ROLES, {}, spans)
    assert finding.shares == {"a": 0.5, "b": 1.0, "c": None}


def test_one_owner_finds_overlaps_only() -> None:
    """Handing over is fine; two owners at one instant are not."""
    clean = [Ownership("lamp", "legacy", 0, 5), Ownership("lamp", "reliable", 5, 9), Ownership("fan", "legacy", 0, 9)]
    assert one_owner(clean) == []
    (found,) = one_owner([*clean, Ownership("lamp", "legacy", 8.5, 12)])
    assert found.device == "lamp"
    assert "reliable until 9.000" in found.says


def test_the_half_written_last_line_of_a_killed_process_is_passed_over(tmp_path: Path) -> None:
    """A torn line at the end is normal; one in the middle is damage and is named."""
    whole = msgspec.json.encode(sent(1)) + b"\n"
    assert list(decode_records([whole, b'{"e":"sent","t":'])) == [sent(1)]
    log = tmp_path / "sources.jsonl"
    log.write_bytes(b'{"e":"sent","t":\n' + whole)
    with pytest.raises(ValueError, match=r"sources.jsonl: line 1 is no record"):
        read_records(log)
    assert read_records(tmp_path / "missing.jsonl") == []

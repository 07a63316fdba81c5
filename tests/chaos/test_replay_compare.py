"""The arithmetic of a replay's report, on logs made by hand."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.chaos.replay import Run, RunReport, Script, compare
from agt.chaos.replay._compare import common_subsequence, out_of_order, percentile_ms
from agt.chaos.replay._end import End
from agt.chaos.replay._play import Exchange
from agt.chaos.replay._script import Line
from agt.transport import Delivery, Outcome
from agt.transport.wires.cync import CyncLink, heartbeat, hello, time_request

HELLO, BEAT, ASK = hello(b"\x01\x02\x03\x04").data, heartbeat().data, time_request().data


def report_of(
    sent: list[tuple[bytes, Outcome, int]], received: list[bytes], *, answers: tuple[bytes, ...] = ()
) -> RunReport:
    """Report on one exchange: (packet, outcome, resends) sent, packets received, answers that came back."""
    sender = End(CyncLink("device"), on_activity=lambda: None)
    receiver = End(CyncLink("controller"), on_activity=lambda: None)
    receiver.received += received
    sender.answers.update(answers)
    exchange = Exchange([Line(0, data) for data, _, _ in sent], sender, receiver)
    for (_, outcome, resends), line in zip(sent, exchange.lines, strict=True):
        delivery = Delivery()
        delivery.settle(outcome, latency_s=0.1, resends=resends)
        exchange.deliveries.append((line, delivery))
    script = Script()
    script.answers[bytes.fromhex("d8 00 00 00 00")] = 1
    return compare(Run([exchange]), script)


def test_clean_run_counts_nothing_amiss() -> None:
    """Everything sent arrived once, in order."""
    report = report_of([(data, Outcome.DELIVERED, 0) for data in (HELLO, BEAT, BEAT)], [HELLO, BEAT, BEAT])
    assert (report.sent, report.delivered, report.sound) == (3, 3, True)
    assert report == RunReport(sent=3, delivered=3, latency_ms=report.latency_ms)
    assert (report.latency_ms.p50, report.latency_ms.p99) == (100, 100)


def test_repeats_are_compared_as_a_multiset() -> None:
    """Three heartbeats sent and one received are two lost, whichever they were."""
    report = report_of([(BEAT, Outcome.DELIVERED, 0)] * 3, [BEAT])
    assert (report.lost, report.sound) == (2, False)


def test_what_was_never_written_is_not_lost() -> None:
    """Its sender was told."""
    report = report_of([(BEAT, Outcome.NOT_DELIVERED, 0), (HELLO, Outcome.WRITTEN, 0)], [HELLO])
    assert (report.sent, report.not_delivered, report.indeterminate, report.lost) == (2, 1, 1, 0)


def test_extra_arrivals_are_our_resends_as_far_as_those_go() -> None:
    """Two of three extra copies are explained by two resends; the third came from elsewhere."""
    report = report_of([(BEAT, Outcome.DELIVERED, 2)], [BEAT] * 4)
    assert (report.redelivered, report.duplicated, report.lost, report.out_of_order) == (2, 1, 0, 0)


def test_packet_that_nobody_sent_is_mismatched() -> None:
    """Byte for byte: one changed bit is another packet."""
    damaged = HELLO[:-1] + bytes((HELLO[-1] ^ 1,))
    report = report_of([(HELLO, Outcome.DELIVERED, 0)], [damaged])
    assert (report.mismatched, report.lost, report.sound) == (1, 1, False)


def test_answer_that_the_capture_does_not_have_is_mismatched() -> None:
    """Only for kinds of answers that it has at all: some captures leave a kind out."""
    sent = [(BEAT, Outcome.DELIVERED, 0)]
    right, wrong = bytes.fromhex("d8 00 00 00 00"), bytes.fromhex("d8 00 00 00 01 00")
    unknown_kind = bytes.fromhex("78 00 00 00 07 01 02 03 04 00 01 00")
    assert report_of(sent, [BEAT], answers=(right, unknown_kind)).mismatched == 0
    assert report_of(sent, [BEAT], answers=(right, wrong)).mismatched == 1


def test_order_is_held_within_a_type() -> None:
    """Types have lanes of their own; within one, what would have to move is out of order."""
    a, b, c = (hello(bytes((number, 0, 0, 0))).data for number in (1, 2, 3))
    delivered = [(data, Outcome.DELIVERED, 0) for data in (a, b, ASK, c)]
    assert report_of(delivered, [ASK, a, b, c]).out_of_order == 0
    assert report_of(delivered, [ASK, b, c, a]).out_of_order == 1
    assert report_of(delivered, [c, b, a, ASK]).out_of_order == 2


@pytest.mark.parametrize(
    ("sent", "received", "count"),
    [(b"abab", b"bab", 0), (b"aba", b"aaba", 0), (b"ab", b"ba", 1), (b"abc", b"", 0), (b"", b"x", 0)],
)
def test_losses_and_repeats_are_no_disorder(sent: bytes, received: bytes, count: int) -> None:
    """A lost first copy doesn't make the second one late."""
    assert out_of_order([sent[i : i + 1] for i in range(len(sent))], [bytes((b,)) for b in received]) == count


@given(st.binary(max_size=30).map(lambda data: bytes(b % 4 for b in data)), st.integers(0, 2**32), st.floats(0, 1))
def test_kept_order_is_never_disorder_whatever_is_lost_or_doubled(data: bytes, seed: int, share: float) -> None:
    """Losses leave gaps, repeats come right behind; neither moves anything."""
    rng = random.Random(seed)
    sent = [bytes((byte,)) for byte in data]
    assert out_of_order(sent, [item for item in sent if rng.random() > share]) == 0
    assert out_of_order(sent, [item for item in sent for _ in range(1 + (rng.random() < share))]) == 0


@given(st.binary(max_size=12).map(lambda d: bytes(b % 3 for b in d)), st.binary(max_size=12))
def test_bit_parallel_subsequence_agrees_with_the_table(one: bytes, other: bytes) -> None:
    """The textbook's quadratic table is the oracle."""
    other = bytes(byte % 3 for byte in other)
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, left in enumerate(one):
        for j, right in enumerate(other):
            table[i + 1][j + 1] = table[i][j] + 1 if left == right else max(table[i][j + 1], table[i + 1][j])
    as_items = [[bytes((byte,)) for byte in data] for data in (one, other)]
    assert common_subsequence(*as_items) == table[-1][-1]


def test_percentiles_take_a_sample_that_was_there() -> None:
    """Index ceil(share n) - 1 of the sorted samples; without samples there is none."""
    samples = [number / 1000 for number in range(200, 0, -1)]
    assert (percentile_ms(samples, 0.5), percentile_ms(samples, 0.99)) == (100, 198)
    assert percentile_ms([], 0.5) is None

"""The bookkeeping of durable delivery, against models of the simplest kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.transport import Outgoing
from agt.transport.durable._ledger import ChannelLedger
from agt.transport.durable._progress import Progress
from agt.transport.durable._writes import Segment, pack, unpack


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[int, int, list[int]]]:
    """Runs that are handed out, with gaps, and after each the sequences that are finished, in any order."""
    runs, open_ones, sequence = [], [], 1
    for _ in range(draw(st.integers(1, 8))):
        sequence += draw(st.integers(0, 3))
        count = draw(st.integers(1, 5))
        open_ones += range(sequence, sequence + count)
        done = draw(st.lists(st.sampled_from(open_ones), unique=True))
        open_ones = [one for one in open_ones if one not in done]
        runs.append((sequence, count, done))
        sequence += count
    return runs


@given(histories())
def test_the_mark_passes_what_is_finished_and_nothing_else(history: list[tuple[int, int, list[int]]]) -> None:
    """Whatever the order of answers: everything handed out up to the mark is finished, and the next one isn't."""
    progress, open_ones, last = Progress(), set[int](), 0
    for first, count, done in history:
        progress.handed(first, [b"%d" % (first + place) for place in range(count)])
        open_ones |= set(range(first, first + count))
        last = first + count - 1
        for sequence in done:
            assert progress.payload(sequence) == b"%d" % sequence
            progress.finish(sequence, 1)
            open_ones.discard(sequence)
        expected = min(open_ones) - 1 if open_ones else last
        assert progress.through == expected
        assert progress.head == (expected + 1 if open_ones else 0)


@given(histories())
def test_looking_ahead_changes_nothing_and_tells_the_truth(history: list[tuple[int, int, list[int]]]) -> None:
    """`through_after` says what `through` becomes when the oldest open run is finished."""
    progress = Progress()
    for first, count, done in history:
        progress.handed(first, [b""] * count)
        for sequence in done:
            progress.finish(sequence, 1)
        head, before = progress.head, progress.through
        if head:
            foreseen = progress.through_after([(head, 1)])
            assert progress.through == before
            progress.finish(head, 1)
            assert progress.through == foreseen


def test_a_later_message_cannot_go_before_an_open_one() -> None:
    """The error carries the message that stands in the way."""
    progress = Progress()
    progress.handed(5, [b""] * 3)
    with pytest.raises(ValueError, match=r"\(6, 5\)"):
        progress.through_after([(6, 1)])
    with pytest.raises(ValueError, match=r"\(5, 0\)"):
        progress.through_after([(5, 4)])


def test_a_message_that_is_offered_again_is_still_one_message() -> None:
    """An application that was busy gets it a second time; the mark counts it once."""
    progress = Progress()
    progress.handed(1, [b"a", b"b"])
    progress.handed(1, [b"a"])
    progress.finish(1, 1)
    assert progress.through == 1
    progress.finish(2, 1)
    assert progress.through == 2


messages = st.lists(st.tuples(st.binary(max_size=20), st.booleans()), min_size=1, max_size=20)


@given(messages, st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_segment_comes_back_as_it_was_written(rows: list[tuple[bytes, bool]], offset: float, at: float) -> None:
    """Payloads, ends and times, whatever they are."""
    payloads = [None if ended else payload for payload, ended in rows]
    body = pack(offset, at, [at + place for place in range(len(rows))], payloads)
    segment = Segment(0, 7, len(rows), body)
    back = unpack(segment, segment.checksum)
    assert [(row.payload, row.ended) for row in back] == [(b"" if ended else payload, ended) for payload, ended in rows]
    assert [row.deadline for row in back] == [at + place + offset for place in range(len(rows))]


@given(messages, st.data())
def test_a_changed_segment_is_noticed(rows: list[tuple[bytes, bool]], data: st.DataObject) -> None:
    """One flipped bit anywhere in the body, or another place in the outbox, fails the checksum."""
    body = pack(0.0, 1.0, [2.0] * len(rows), [payload for payload, _ in rows])
    checksum = Segment(0, 1, len(rows), body).checksum
    place = data.draw(st.integers(0, len(body) * 8 - 1))
    flipped = bytearray(body)
    flipped[place // 8] ^= 1 << place % 8
    with pytest.raises(ValueError, match="checksum"):
        unpack(Segment(0, 1, len(rows), bytes(flipped)), checksum)
    with pytest.raises(ValueError, match="checksum"):
        unpack(Segment(0, 2, len(rows), body), checksum)


@given(st.lists(st.tuples(st.sampled_from(["accept", "submit", "end", "settle", "fail"]), st.integers(0, 30))))
def test_the_ledger_counts_the_bytes_that_may_have_to_be_sent(steps: list[tuple[str, int]]) -> None:
    """Against a list of messages: whatever happens, never below the truth, and exact once a segment has ended."""
    ledger = ChannelLedger()
    live: dict[int, int] = {}
    sizes: dict[int, int] = {}
    last = base = 0
    submitted: list[Outgoing] = []
    for step, number in steps:
        if step == "accept":
            last += 1
            live[last] = sizes[last] = number
            ledger.accept(Outgoing(b"x" * number, sequence=last), number)
        elif step == "submit" and ledger.accepted:
            ledger.stored_through = ledger.submitted_through
            submitted = ledger.submit()
        elif step == "end" and (choice := [one for one in live if one > base]):
            sequence = choice[number % len(choice)]
            ledger.ended(sequence, live.pop(sequence))
        elif step == "settle" and ledger.stored_through > base:
            base += 1 + number % (ledger.stored_through - base)
            ledger.settled(base)
            live = {sequence: size for sequence, size in live.items() if sequence > base}
        elif step == "fail" and ledger.submitted_through > ledger.stored_through:
            ledger.failed(submitted)
            submitted = []
        assert ledger.bytes >= sum(live.values())
    ledger.stored_through = ledger.submitted_through
    if ledger.accepted:
        ledger.submit()
    ledger.settled(last)
    assert ledger.bytes == 0

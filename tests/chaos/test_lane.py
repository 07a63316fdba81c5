"""One direction of the proxy in virtual time: what each fault does to when bytes leave, to the microsecond."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.chaos.faults import Bandwidth, Fault, Latency, Limit, Slice, SlowClose, Stall
from agt.chaos.proxy import Flow, Rule, make_splitter
from agt.chaos.proxy._lane import Lane
from agt.chaos.proxy._rules import Rules


def lane_with(*faults: Fault, seed: int = 1) -> Lane:
    """Make a lane of lines under faults."""
    rules = Rules()
    for fault in faults:
        rules.add(Rule(fault))
    lane = Lane(Flow("lines", "to_target"), make_splitter("lines"), rules, Random(seed))
    lane.refresh(0.0)
    return lane


def leaving(lane: Lane) -> list[tuple[float, bytes]]:
    """Let time run until nothing is held; return when each piece left."""
    left: list[tuple[float, bytes]] = []
    while (now := lane.next_due()) < math.inf:
        while data := lane.take(now):
            left.append((now, data))
        if lane.finished(now):
            break
    return left


def test_a_line_carries_one_frame_after_the_other() -> None:
    """At 8,000 bit/s a frame of 100 bytes takes 0.1 s, and the next one waits for it; an idle line saves nothing up."""
    lane = lane_with(Bandwidth(8000))
    for now in (0.0, 0.0, 10.0):
        lane.enter(b"x" * 100, now)
    assert [when for when, _ in leaving(lane)] == pytest.approx([0.1, 0.2, 10.1])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_latency_is_added_behind_the_line_and_not_to_its_work(order: tuple[int, int]) -> None:
    """Frames under way take no room on the line, whichever of the two faults was added first."""
    faults: tuple[Fault, Fault] = (Bandwidth(8000), Latency(5.0))
    lane = lane_with(*(faults[place] for place in order))
    lane.enter(b"x" * 100, 0.0)
    lane.enter(b"x" * 100, 0.0)
    assert [when for when, _ in leaving(lane)] == pytest.approx([5.1, 5.2])


def test_of_two_widths_the_narrower_counts() -> None:
    """A line is as wide as its narrowest part."""
    lane = lane_with(Bandwidth(8000), Bandwidth(800), Bandwidth(80_000))
    lane.enter(b"x" * 100, 0.0)
    assert [when for when, _ in leaving(lane)] == pytest.approx([1.0])


@given(sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=30), rate=st.floats(1e3, 1e10))
def test_no_line_carries_more_than_its_rate(sizes: list[int], rate: float) -> None:
    """Whatever is sent at once: the last byte leaves when all bits were carried, and every byte leaves."""
    lane = lane_with(Bandwidth(rate))
    for size in sizes:
        lane.enter(b"x" * size, 0.0)
    left = leaving(lane)
    assert sum(len(data) for _, data in left) == sum(sizes)
    assert left[-1][0] == pytest.approx(sum(sizes) * 8 / rate)


def test_slices_leave_one_by_one_in_order_and_apart() -> None:
    """A sliced frame is whole again at its end, and no two pieces leave together."""
    lane = lane_with(Slice(size=10, pause_s=0.5))
    lane.enter(bytes(range(100)), 0.0)
    left = leaving(lane)
    assert b"".join(data for _, data in left) == bytes(range(100))
    assert all(5 <= len(data) <= 15 for _, data in left[:-1])
    assert [when for when, _ in left] == pytest.approx([0.5 * place for place in range(len(left))])


def test_slices_without_a_pause_are_still_written_apart() -> None:
    """Each `take` gives one piece, so that each is a write of its own."""
    lane = lane_with(Slice(size=10, pause_s=0.0))
    lane.enter(bytes(100), 0.0)
    assert len(leaving(lane)) > 5


def test_a_large_frame_is_cut_into_a_bounded_number_of_pieces() -> None:
    """A megabyte cut by single bytes would be a million writes."""
    lane = lane_with(Slice(size=1, pause_s=0.0))
    lane.enter(bytes(1_000_000), 0.0)
    assert len(leaving(lane)) <= 1001


@given(sizes=st.lists(st.integers(1, 50), max_size=20), limit=st.integers(0, 300))
def test_a_limit_lets_exactly_its_bytes_pass(sizes: list[int], limit: int) -> None:
    """Before the limit nothing ends; at it the connection does, in the middle of a frame if need be."""
    lane = lane_with(Limit(limit))
    for size in sizes:
        lane.enter(b"x" * size, 0.0)
    assert sum(len(data) for _, data in leaving(lane)) == min(sum(sizes), limit)
    assert lane.spent == (bool(sizes) and sum(sizes) >= limit)
    assert lane.finished(0.0) == lane.spent


def test_a_slow_close_holds_the_end_back_and_nothing_else() -> None:
    """Bytes pass at once; the end comes later by the delay."""
    lane = lane_with(SlowClose(3.0))
    lane.enter(b"last words\n", 1.0)
    assert lane.take(1.0) == b"last words\n"
    lane.end(1.0)
    assert not lane.finished(3.9)
    assert lane.next_due() == 4.0
    assert lane.finished(4.0)


def test_a_slow_close_that_is_taken_away_ends_at_once() -> None:
    """The end was only held."""
    rules = Rules()
    rule = Rule(SlowClose(3.0))
    rules.add(rule)
    lane = Lane(Flow("lines", "to_target"), make_splitter("lines"), rules, Random(1))
    lane.refresh(0.0)
    lane.end(1.0)
    assert not lane.finished(1.0)
    rules.remove(rule)
    lane.refresh(1.0)
    assert lane.finished(1.0)


def test_a_stall_holds_the_end_too() -> None:
    """Nothing passes, so nobody hears that it is over."""
    lane = lane_with(Stall())
    lane.end(0.0)
    assert not lane.finished(100.0)
    assert lane.next_due() == math.inf

"""What a cync connection remembers: outstanding acks, seen packets, and keys that rest."""

import math

from hypothesis import given
from hypothesis import strategies as st

from agt.transport.wires.cync._dedup import Copy, ResendWindow
from agt.transport.wires.cync._guard import StrayGuard
from agt.transport.wires.cync._matcher import AckMatcher

HEARTBEAT_ACK = (0xD8, None)


def test_acks_without_an_id_match_in_order() -> None:
    """First in, first out, per type."""
    matcher = AckMatcher()
    matcher.expect(HEARTBEAT_ACK, 1)
    matcher.expect((0x48, None), 2)
    matcher.expect(HEARTBEAT_ACK, 3)
    assert [matcher.match(HEARTBEAT_ACK) for _ in range(3)] == [1, 3, None]
    assert matcher.match((0x48, None)) == 2


def test_several_outstanding_with_one_id_match_in_order_within_it() -> None:
    """Ids repeat and wrap."""
    matcher = AckMatcher()
    for message, identifier in ((1, 7), (2, 8), (3, 7)):
        matcher.expect((0x7B, identifier), message)
    assert [matcher.match((0x7B, 7)), matcher.match((0x7B, 7)), matcher.match((0x7B, 8))] == [1, 3, 2]


@given(st.lists(st.tuples(st.sampled_from(["expect", "match", "forget"]), st.integers(0, 3)), max_size=60))
def test_matcher_agrees_with_a_plain_list(steps: list[tuple[str, int]]) -> None:
    """The model: a list of (key, message), the first with the key is the answered one."""
    matcher, model = AckMatcher(), []
    for message, (step, identifier) in enumerate(steps):
        key = (0x7B, identifier)
        if step == "expect":
            matcher.expect(key, message)
            model.append((key, message))
        elif step == "match":
            wanted = next((entry for entry in model if entry[0] == key), None)
            assert matcher.match(key) == (wanted[1] if wanted else None)
            if wanted:
                model.remove(wanted)
        elif model:
            matcher.forget(*model.pop(0))
        assert len(matcher) == len(model)


def test_resend_is_recognised_until_the_window_has_passed() -> None:
    """Unanswered: any time. Answered: for one window after each answer. Then the bytes are new business."""
    window = ResendWindow(0.5)
    assert window.classify(b"on", now=0) is Copy.NEW
    assert window.classify(b"on", now=60) is Copy.UNANSWERED
    window.answered(b"on", now=60)
    assert window.classify(b"on", now=60.5) is Copy.ANSWERED
    window.answered(b"on", now=60.5)
    assert window.classify(b"on", now=61) is Copy.ANSWERED
    assert window.classify(b"on", now=61.01) is Copy.LATE
    assert window.classify(b"on", now=61.02) is Copy.UNANSWERED


def test_repeats_on_purpose_pass() -> None:
    """Devices repeat themselves after 0.84 s at the earliest."""
    window = ResendWindow(0.5)
    for turn in range(5):
        assert window.classify(b"status", now=turn * 0.84) in {Copy.NEW, Copy.LATE}
        window.answered(b"status", now=turn * 0.84 + 0.05)


def test_refused_packet_is_new_again() -> None:
    """What the application refused was not processed."""
    window = ResendWindow(0.5)
    window.classify(b"on", now=0)
    window.forget(b"on")
    assert window.classify(b"on", now=0.1) is Copy.NEW


def test_memory_of_a_connection_is_bounded() -> None:
    """A flood of different packets pushes the oldest out and nothing else."""
    window = ResendWindow(0.5, limit=10)
    for number in range(1000):
        window.classify(str(number).encode(), now=0)
    assert len(window) == 10
    assert window.classify(b"999", now=0) is Copy.UNANSWERED
    assert window.classify(b"0", now=0) is Copy.NEW


def test_resting_key_explains_strays_until_its_time_is_up() -> None:
    """However many copies are answered; a network that doubles brings more than were sent."""
    guard = StrayGuard()
    guard.rest(HEARTBEAT_ACK, until=1.0, now=0)
    assert [guard.explains(HEARTBEAT_ACK, now=at) for at in (0.1, 0.2, 0.99, 1.0)] == [True, True, True, False]
    assert guard.opens_at(HEARTBEAT_ACK) == 1.0
    guard.clear()
    assert guard.opens_at(HEARTBEAT_ACK) == -math.inf


def test_guard_does_not_grow_with_the_ids_that_passed() -> None:
    """Each command rests its own id; those whose time is up are swept out."""
    guard = StrayGuard()
    for number in range(10_000):
        guard.rest((0x7B, number), until=number + 0.5, now=float(number))
    assert len(guard._resting) <= 256
    assert guard.opens_at((0x7B, 9_999)) == 9_999.5

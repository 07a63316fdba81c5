"""An orderly end of a connection on the native wire: nothing new, everything answered, nothing indeterminate."""

import math

from agt.transport import Outcome, Received
from agt.transport.wires.native import FrameType, NativeConfig
from support.native_pair import NativePair


def drained(pair: NativePair, side: str, within_s: float = 5.0) -> NativePair:
    """Have a side shut down."""
    pair.links[side].drain("restart", within_s=within_s, now=pair.clock.now)
    return pair.pump()


def test_what_is_in_flight_is_answered_and_then_the_connection_ends() -> None:
    """Both directions; the peer hears why, and may dial again."""
    pair = NativePair().connect().run(0.1)
    pair.answers = lambda _payload: 0.5
    up, down = pair.send(b"up"), pair.send(b"down", side="gateway")
    pair.run(0.02)
    drained(pair, "gateway").run(0.1)
    assert pair.device.draining
    assert pair.gateway.draining
    late = pair.send(b"late")
    pair.run(1.0)
    assert pair.outcome(up)[0] is Outcome.DELIVERED
    assert pair.outcome(down, "gateway")[0] is Outcome.DELIVERED
    assert [(event.reason, event.culprit) for event in pair.dropped("gateway")] == [("restart", "us")]
    (dropped,) = pair.dropped("device")
    assert (dropped.reason, dropped.final) == ("the peer ended the connection: restart", False)
    assert pair.device.queued == 1
    pair.cut()
    pair.connect().run(1.0)
    assert pair.outcome(late)[0] is Outcome.DELIVERED


def test_an_idle_connection_ends_at_once() -> None:
    """After one round trip, with nothing to wait for."""
    pair = NativePair().connect().run(0.1)
    drained(pair, "device").run(0.02)
    assert [event.culprit for event in pair.dropped("device")] == ["us"]


def test_an_application_that_answers_nothing_can_t_hold_it_up() -> None:
    """By the time that was said, the connection ends all the same."""
    pair = NativePair().connect().run(0.1)
    pair.answers = lambda _payload: math.inf
    message = pair.send(b"a")
    pair.run(0.1)
    drained(pair, "gateway", within_s=2.0).run(1.9)
    assert not pair.dropped("gateway")
    pair.run(0.2)
    assert "unanswered" in pair.dropped("gateway")[0].reason
    assert pair.outcome(message)[0] is None
    assert pair.device.in_flight == 1


def test_what_was_queued_stays_for_another_connection() -> None:
    """The side that shuts down writes nothing new either: it never left, and says so."""
    pair = NativePair(NativeConfig(in_flight_max=1)).connect().run(0.1)
    pair.answers = lambda _payload: 0.3
    first, second = pair.send(b"1"), pair.send(b"2")
    drained(pair, "device").run(2.0)
    assert pair.outcome(first)[0] is Outcome.DELIVERED
    taken = pair.device.withdraw(now=pair.clock.now)
    assert (taken.unsent, taken.in_doubt) == ((second,), ())
    assert pair.received() == [b"1"]


def test_both_sides_may_shut_down_at_once() -> None:
    """Two drains that cross end both sides in order."""
    pair = NativePair().connect().run(0.1)
    pair.answers = lambda _payload: 0.2
    messages = [pair.send(b"a"), pair.send(b"b", side="gateway")]
    for side in ("device", "gateway"):
        pair.links[side].drain("restart", within_s=5.0, now=pair.clock.now)
    pair.pump().run(2.0)
    assert pair.outcome(messages[0])[0] is Outcome.DELIVERED
    assert pair.outcome(messages[1], "gateway")[0] is Outcome.DELIVERED
    assert pair.dropped("device")
    assert pair.dropped("gateway")


def test_without_a_connection_there_is_nothing_to_shut_down() -> None:
    """A no-op before and after; a new connection flows again."""
    pair = NativePair()
    drained(pair, "device")
    assert not pair.device.draining
    pair.connect().run(0.1)
    drained(pair, "device").run(0.1)
    pair.cut()
    message = pair.connect().send(b"a")
    pair.run(0.1)
    assert pair.outcome(message)[0] is Outcome.DELIVERED


def test_a_lost_word_costs_time_and_no_message() -> None:
    """If the peer never hears of it, the time limit ends the connection."""
    pair = NativePair().connect().run(0.1)
    pair.loses = lambda _side, frame: frame[8] == FrameType.DRAIN
    drained(pair, "gateway", within_s=1.0)
    message = pair.send(b"a")
    pair.run(1.5)
    assert pair.outcome(message)[0] is Outcome.DELIVERED
    assert pair.dropped("gateway")
    assert [event.payloads for event in pair.events["gateway"] if isinstance(event, Received)] == [[b"a"]]

"""The cync link in pairs over a network that loses and doubles whole packets, in virtual time."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.transport import (
    Barrier,
    ConnectionUnavailable,
    Delivered,
    Dropped,
    Link,
    MessageTooLarge,
    MoveKind,
    Observed,
    Opened,
    Outcome,
    QueueFull,
    Received,
    UsageError,
)
from agt.transport.wires.cync import (
    CyncConfig,
    CyncLink,
    hello,
    packet,
    time_request,
)
from support.cync_pair import BEAT, ENDPOINT, HELLO, Pair, command, losing, report


def test_link_has_the_shape_of_a_link_and_says_what_it_promises() -> None:
    """Typed as the protocol, with traits that a router can rely on."""
    link: Link = CyncLink("controller")
    assert link.traits.barrier is Barrier.ACK
    assert link.traits.move is MoveKind.IN_PLACE
    assert link.traits.acknowledges
    assert not link.traits.recognises_resends


def test_hello_opens_both_ends_under_the_endpoint_in_hex() -> None:
    """The controller learns who it is; the device learns that it was heard."""
    pair = Pair().connect().run()
    assert pair.of("controller", Opened) == [Opened("45880f3a", resumed=False)]
    assert pair.of("device", Opened) == [Opened("controller", resumed=False)]
    assert pair.controller.peer == "45880f3a"


def test_lost_hello_is_sent_again() -> None:
    """Nothing else flows before it was answered."""
    pair = Pair(fate=losing(("controller", 0x23, 1), ("device", 0x28, 1)))
    pair.device.send(BEAT, now=0, deadline=30)
    pair.connect().run()
    assert [data[0] for data in pair.written["device"]] == [0x23, 0x23, 0x23, 0xD3]
    assert len(pair.of("controller", Opened)) == 1
    assert [event.outcome for event in pair.settled("device").values()] == [Outcome.DELIVERED]


def test_command_is_delivered_once_and_its_ack_is_answered() -> None:
    """0x73, then 0x7B, then 0x78; the number of the command is its sequence."""
    pair = Pair().connect().run()
    number = pair.controller.send(command(7), now=pair.now, deadline=pair.now + 30)
    pair.run()
    assert pair.received("device") == [command(7)]
    assert [event.sequence for event in pair.events["device"] if isinstance(event, Received)] == [7]
    settled = pair.settled("controller")[number]
    assert (settled.outcome, number.resends) == (Outcome.DELIVERED, 0)
    assert settled.latency_s == pytest.approx(0.04)
    assert [data[0] for data in pair.written["controller"]] == [0x28, 0x73, 0x78]
    assert pair.controller.unmatched_acks == pair.device.unmatched_acks == 0


def test_resend_is_identical_and_recognised_within_the_window() -> None:
    """A lost ack costs a resend of the same bytes, which the device doesn't act on again but acks again."""
    pair = Pair(fate=losing(("controller", 0x7B, 1)), controller=CyncConfig(first_ack_timeout_s=0.3)).connect().run()
    number = pair.controller.send(command(1), now=pair.now, deadline=pair.now + 30)
    pair.run()
    commands = [data for data in pair.written["controller"] if data[0] == 0x73]
    assert commands == [command(1), command(1)]
    assert pair.received("device") == [command(1)]
    assert pair.device.duplicates_dropped == 1
    assert (pair.settled("controller")[number].outcome, pair.controller.resends) == (Outcome.DELIVERED, 1)


def test_resend_past_the_window_reaches_the_application_again_and_is_counted() -> None:
    """Nobody can recognise it any more; commands set a state, so that does no harm."""
    pair = Pair(fate=losing(("controller", 0x7B, 1)), controller=CyncConfig(first_ack_timeout_s=0.9)).connect().run()
    pair.controller.send(command(1), now=pair.now, deadline=pair.now + 30)
    pair.run()
    assert pair.received("device") == [command(1), command(1)]
    assert pair.device.redelivered == 1


def test_one_command_is_outstanding_at_a_time_so_that_the_last_state_wins() -> None:
    """Were both outstanding, the resent first one would arrive after the second."""
    pair = Pair(fate=losing(("device", 0x73, 1))).connect().run()
    for number in (1, 2, 3):
        pair.controller.send(command(number), now=pair.now, deadline=pair.now + 30)
    pair.flush()
    assert (pair.controller.in_flight, pair.controller.queued) == (1, 2)
    pair.run()
    assert pair.received("device") == [command(1), command(2), command(3)]


def test_repeats_on_purpose_are_all_delivered() -> None:
    """Identical device info and heartbeats are never taken for resends."""
    info = packet(0x43, ENDPOINT + b"\x01\x01\x06").data
    pair = Pair(controller=CyncConfig(hand_on=frozenset({0x43, 0xD3}))).connect().run()
    for _ in range(5):
        pair.device.send(info, now=pair.now, deadline=pair.now + 30)
        pair.device.send(BEAT, now=pair.now, deadline=pair.now + 30)
    pair.run()
    assert Counter(pair.received("controller")) == {info: 5, BEAT: 5}
    assert pair.controller.heartbeats == 5


@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**32), loss=st.floats(0, 0.4), doubling=st.floats(0, 0.3), jittery=st.booleans())
def test_nothing_is_lost_and_order_holds_whatever_the_network_loses(
    seed: int, loss: float, doubling: float, jittery: bool
) -> None:
    """Every message settles as delivered, and what was delivered did arrive, in order per kind.

    Doubling and jitter don't come together: a doubled bare ack that is late by more than the pause can't be told
    from the next one's by anyone.
    """
    rng = random.Random(seed)
    doubling = 0 if jittery else doubling

    def fate(_to: str, _data: bytes) -> int:
        return 0 if rng.random() < loss else 1 + (rng.random() < doubling)

    hand_on = frozenset({0x43, 0x73, 0x83, 0xC3, 0xD3})
    pair = Pair(
        CyncConfig(max_retries=None, hand_on=hand_on),
        CyncConfig(max_retries=None, hello=HELLO),
        fate=fate,
        delay_s=lambda: 0.2 if jittery and rng.random() < 0.1 else 0.02,
    ).connect()
    sent = {"controller": [report(n) for n in range(8)] + [BEAT] * 6 + [time_request().data], "device": []}
    sent["device"] = [command(n) for n in range(8)]
    for data in sent["controller"]:
        pair.device.send(data, now=0, deadline=1e6)
    for data in sent["device"]:
        pair.controller.send(data, now=0, deadline=1e6)
    pair.run()
    for sender, receiver in (("controller", "device"), ("device", "controller")):
        outcomes = Counter(event.outcome for event in pair.settled(sender).values())
        assert outcomes == {Outcome.DELIVERED: len(sent[receiver])}
        got = Counter(pair.received(receiver))
        assert not Counter(sent[receiver]) - got, "lost without a word"
        assert set(got) <= set(sent[receiver])
    assert list(dict.fromkeys(pair.received("device"))) == sent["device"]
    reports = [data for data in pair.received("controller") if data[0] == 0x83]
    assert list(dict.fromkeys(reports)) == sent["controller"][:8]


def test_stray_ack_of_a_resent_message_is_not_taken_for_the_next_ones() -> None:
    """Bare acks look all the same, so the next one waits until no stray can come."""
    device = CyncLink("device", CyncConfig(hello=HELLO, first_ack_timeout_s=1.0))
    device.connection_made(now=0)
    first, second = (device.send(BEAT, now=0, deadline=30) for _ in range(2))
    assert device.data_to_send(now=0) == HELLO
    device.receive_data(bytes.fromhex("28 00 00 00 02 00 00"), now=0.02)
    assert isinstance(device.next_event(), Opened)
    assert device.data_to_send(now=0.02) == BEAT
    assert device.data_to_send(now=1.02) == BEAT
    device.receive_data(bytes.fromhex("d8 00 00 00 00"), now=1.1)
    assert device.next_event() == Delivered([first], 1.1)
    assert first.resends == 1
    assert device.data_to_send(now=1.1) == b""
    device.receive_data(bytes.fromhex("d8 00 00 00 00"), now=1.2)
    assert device.next_event() is None
    assert device.next_deadline() == pytest.approx(1.6)
    assert device.data_to_send(now=1.6) == BEAT
    assert (device.stray_acks, device.unmatched_acks, device.in_flight) == (1, 0, 1)
    device.receive_data(bytes.fromhex("d8 00 00 00 00"), now=1.7)
    assert device.next_event() == Delivered([second], 1.7)


def test_same_seed_gives_the_same_bytes() -> None:
    """The core draws nothing of its own."""

    def world() -> dict[str, list[bytes]]:
        rng = random.Random(3)
        pair = Pair(CyncConfig(max_retries=None), fate=lambda _to, _data: rng.random() > 0.3).connect()
        for number in range(10):
            pair.controller.send(command(number), now=0, deadline=1e6)
        return pair.run().written

    assert world() == world()


def test_deadline_tells_the_written_from_the_unwritten() -> None:
    """Never written: provably not delivered. Written and unanswered: nobody knows."""
    pair = Pair(fate=lambda to, data: not (to == "device" and data[0] == 0x73)).connect().run()
    first = pair.controller.send(command(1), now=pair.now, deadline=pair.now + 2)
    second = pair.controller.send(command(2), now=pair.now, deadline=pair.now + 1)
    pair.run()
    settled = pair.settled("controller")
    assert settled[first].outcome is Outcome.INDETERMINATE
    assert settled[first].latency_s == pytest.approx(2)
    assert settled[second].outcome is Outcome.NOT_DELIVERED
    assert pair.controller.in_flight == pair.controller.queued == 0


def test_deadline_passes_between_connections_too() -> None:
    """A link without a connection still settles in time."""
    pair = Pair()
    number = pair.controller.send(command(1), now=0, deadline=5)
    pair.run()
    assert pair.now == 5
    assert pair.settled("controller")[number].outcome is Outcome.NOT_DELIVERED


def test_retries_run_out_and_the_next_message_follows() -> None:
    """Three resends by default, then indeterminate; the lane goes on."""
    pair = Pair(fate=lambda to, data: not (to == "device" and data == command(1))).connect().run()
    first, second = (pair.controller.send(command(n), now=pair.now, deadline=pair.now + 60) for n in (1, 2))
    pair.run()
    settled = pair.settled("controller")
    assert (settled[first].outcome, first.resends) == (Outcome.INDETERMINATE, 3)
    assert settled[first].reason == "no answer after 3 resends"
    assert settled[second].outcome is Outcome.DELIVERED


def test_timer_learns_a_slow_network_instead_of_resending_for_ever() -> None:
    """Half a second of delay is over the timeout at first; Karn keeps the doubled one until a clean sample."""
    pair = Pair(CyncConfig(max_retries=None), CyncConfig(hello=HELLO, max_retries=None), delay_s=lambda: 0.55)
    pair.connect().run()
    for number in range(20):
        pair.controller.send(command(number), now=pair.now, deadline=pair.now + 100)
    pair.run()
    assert pair.controller.resends <= 3
    assert len(pair.received("device")) <= 23


def test_messages_in_flight_go_again_on_the_next_connection() -> None:
    """Under the same bytes; what the ack would have been is unknown."""
    pair = Pair().connect().run()
    number = pair.controller.send(command(1), now=pair.now, deadline=pair.now + 30)
    pair.flush()
    pair.disconnect()
    assert pair.controller.in_flight == 1
    pair.now += 2.6
    pair.connect().run()
    settled = pair.settled("controller")[number]
    assert (settled.outcome, number.resends) == (Outcome.DELIVERED, 1)
    assert [data for data in pair.written["controller"] if data[0] == 0x73] == [command(1)] * 2


def test_withdraw_splits_what_left_from_what_did_not() -> None:
    """Used at a move: no events, and late acks of what was taken back are no mystery."""
    pair = Pair().connect().run()
    numbers = [pair.controller.send(command(n), now=pair.now, deadline=pair.now + 30) for n in (1, 2, 3)]
    pair.flush()
    withdrawal = pair.controller.withdraw(now=pair.now)
    assert (withdrawal.in_doubt, withdrawal.unsent) == (tuple(numbers[:1]), tuple(numbers[1:]))
    pair.run()
    assert pair.settled("controller") == {}
    assert (pair.controller.unmatched_acks, pair.controller.stray_acks) == (0, 1)
    assert pair.controller.oldest_in_flight_at == math.inf


def test_cancel_settles_exactly_once() -> None:
    """Queued: not delivered. Written: indeterminate, and its late ack changes nothing."""
    pair = Pair().connect().run()
    first, second = (pair.controller.send(command(n), now=pair.now, deadline=pair.now + 30) for n in (1, 2))
    pair.flush()
    for number in (first, second, second):
        pair.controller.cancel(number, now=pair.now)
    pair.run()
    assert [event.outcome for event in pair.settled("controller").values()] == [
        Outcome.INDETERMINATE,
        Outcome.NOT_DELIVERED,
    ]
    assert pair.settled("controller")[second].reason == "cancelled"


def test_written_messages_are_observed_and_never_sent_again() -> None:
    """As today: fire and forget; replies are matched passively, missing ones counted after their time."""
    pair = Pair(fate=losing(("device", 0x73, 2)), controller=CyncConfig(reply_timeout_s=5)).connect().run()
    numbers = [pair.controller.write(command(n), now=pair.now) for n in (1, 2, 3)]
    pair.run(until=pair.now + 1)
    observed = [event for event in pair.events["controller"] if isinstance(event, Observed)]
    assert [event.message for event in observed] == [numbers[0], numbers[2]]
    assert observed[0].latency_s == pytest.approx(0.04)
    assert pair.controller.unanswered == 1
    pair.run()
    assert (pair.controller.unanswered, pair.controller.observed_missing, pair.controller.resends) == (0, 1, 0)


def test_writing_without_a_connection_says_so() -> None:
    """The caller learns that nothing left."""
    with pytest.raises(ConnectionUnavailable):
        CyncLink("controller").write(command(1), now=0)


def test_moving_in_place_uses_the_same_socket_both_ways() -> None:
    """Written and reliable messages share ids and acks; each ack finds its own."""
    pair = Pair().connect().run()
    written = pair.controller.write(command(1), now=pair.now)
    sent = pair.controller.send(command(2), now=pair.now, deadline=pair.now + 30)
    pair.run()
    assert [event.message for event in pair.events["controller"] if isinstance(event, Observed)] == [written]
    assert pair.settled("controller")[sent].outcome is Outcome.DELIVERED


def test_answer_waits_for_the_application_unless_told_otherwise() -> None:
    """An ack means processed; today's way answers at once."""
    for at_once in (False, True):
        pair = Pair(device=CyncConfig(hello=HELLO, answer_when_processed=not at_once)).connect().run()
        pair.acknowledge = False
        pair.controller.write(command(1), now=pair.now)
        pair.run(until=pair.now + 1)
        assert bool(pair.of("controller", Observed)) is at_once


def test_refused_message_is_not_answered_and_comes_again_as_new() -> None:
    """This wire has no word for no."""
    pair = Pair(controller=CyncConfig(first_ack_timeout_s=0.3)).connect().run()
    pair.acknowledge = False
    pair.controller.send(command(1), now=pair.now, deadline=pair.now + 30)
    pair.run(until=pair.now + 0.1)
    received = pair.events["device"][-1]
    assert isinstance(received, Received)
    pair.device.refuse(received.token, "busy", now=pair.now)
    pair.acknowledge = True
    pair.run()
    assert pair.received("device") == [command(1), command(1)]


def test_application_that_never_answers_is_bounded() -> None:
    """Over the limit messages are dropped unanswered, and nothing grows."""
    pair = Pair(device=CyncConfig(hello=HELLO, unprocessed_max=3)).connect().run()
    pair.acknowledge = False
    for number in range(5):
        pair.controller.write(command(number), now=pair.now)
    pair.run(until=pair.now + 1)
    assert (len(pair.received("device")), pair.device.overflowed) == (3, 2)


def test_a_little_nonsense_is_skipped_and_much_drops_the_connection() -> None:
    """Counted, bounded, and nothing else happens."""
    link = CyncLink("controller", CyncConfig(malformed_max_bytes=100))
    link.connection_made(now=0)
    link.receive_data(b"\x00" * 60 + HELLO, now=0)
    assert link.next_event() == Opened("45880f3a", resumed=False)
    assert (link.decode_errors, link.next_event()) == (1, None)
    link.receive_data(b"\x00" * 41, now=0)
    dropped = link.next_event()
    assert isinstance(dropped, Dropped)
    assert dropped.culprit == "peer"
    link.receive_data(HELLO, now=0)
    assert link.next_event() is None


def test_hello_from_somebody_else_drops_the_connection() -> None:
    """A link knows one peer."""
    link = CyncLink("controller")
    link.connection_made(now=0)
    link.receive_data(HELLO + hello(b"\x01\x02\x03\x04").data, now=0)
    assert isinstance(link.next_event(), Opened)
    dropped = link.next_event()
    assert isinstance(dropped, Dropped)
    assert "another endpoint" in dropped.reason


def test_peer_that_asks_and_never_reads_is_dropped() -> None:
    """Answers don't pile up without end."""
    link = CyncLink("controller", CyncConfig(unsent_max_bytes=4096))
    link.connection_made(now=0)
    link.receive_data(HELLO + BEAT * 1000, now=0)
    assert isinstance(link.next_event(), Opened)
    assert isinstance(link.next_event(), Dropped)


def test_full_queue_is_refused() -> None:
    """The limit has a name."""
    link = CyncLink("controller", CyncConfig(send_queue_max=2))
    for number in (1, 2):
        link.send(command(number), now=0, deadline=9)
    with pytest.raises(QueueFull, match="send queue"):
        link.send(command(3), now=0, deadline=9)


@pytest.mark.parametrize(
    ("payload", "error"),
    [(b"set 1 on", UsageError), (HELLO, UsageError), (BEAT, UsageError), (bytes(5000), MessageTooLarge)],
)
def test_what_is_no_command_is_refused(payload: bytes, error: type[Exception]) -> None:
    """A controller sends commands and nothing else as messages."""
    with pytest.raises(error):
        CyncLink("controller").send(payload, now=0, deadline=1)


def test_time_request_is_answered_with_the_injected_clock() -> None:
    """The core reads no clock."""
    body = bytes.fromhex("0d 07 e9 0b 06 05 02 14 28 fd a8")
    link = CyncLink("controller", CyncConfig(time_answer=lambda: body))
    link.connection_made(now=0)
    link.receive_data(HELLO + time_request().data, now=0)
    assert link.data_to_send(now=0) == bytes.fromhex("28 00 00 00 02 00 00 c8 00 00 00 0b") + body


@given(st.lists(st.binary(max_size=200), max_size=10), st.sampled_from(["controller", "device"]))
def test_no_bytes_can_raise_an_error(pieces: list[bytes], role: str) -> None:
    """A peer that sends nonsense loses its connection and nothing else happens."""
    link = CyncLink("controller" if role == "controller" else "device")
    link.connection_made(now=0)
    for piece in (HELLO, *pieces):
        link.receive_data(piece, now=0)
        link.data_to_send(now=0)
        while link.next_event() is not None:
            pass

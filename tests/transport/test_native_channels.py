"""Ordered channels of the native wire: each its own order, window and holes; one that stalls holds up no other."""

import math
from random import Random

import pytest

from agt.transport import Outcome, Received, UsageError
from agt.transport.wires.native import NativeConfig, NativeLink, Role
from support.native_pair import NativePair

TWO = NativeConfig(channels=2, recv_window=4, in_flight_max=4)


def send(pair: NativePair, payload: bytes, channel: int):
    """Send from the device on a channel."""
    message = pair.device.send(payload, now=pair.clock.now, deadline=pair.clock.now + 30, channel=channel)
    pair.pump()
    return message


def tokens(pair: NativePair, channel: int) -> list[int]:
    """The tokens of what the gateway got on a channel."""
    runs = [event for event in pair.events["gateway"] if isinstance(event, Received) and event.channel == channel]
    return [event.token + place for event in runs for place in range(len(event.payloads))]


def test_a_channel_that_stalls_holds_up_no_other() -> None:
    """The application sits on channel 0, whose window fills; channel 1 goes on."""
    pair = NativePair(TWO).connect().run(0.1)
    pair.answers = lambda payload: math.inf if payload.startswith(b"slow") else 0.0
    slow = [send(pair, b"slow %d" % number, 0) for number in range(9)]
    fast = [send(pair, b"fast %d" % number, 1) for number in range(9)]
    pair.run(1.0)
    assert {pair.outcome(message)[0] for message in fast} == {Outcome.DELIVERED}
    assert {pair.outcome(message)[0] for message in slow} == {None}
    assert len(tokens(pair, 0)) == 4
    assert [message.sequence for message in fast] == list(range(1, 10))


def test_order_holds_within_each_channel_and_over_reconnects() -> None:
    """Whatever is cut, each channel's messages arrive once and in order, and answers find their channel."""
    pair = NativePair(TWO).connect().run(0.1)
    sent = []
    for number in range(12):
        sent.append(send(pair, b"%d" % number, number % 2))
        if number % 5 == 4:
            pair.run(0.003)
            pair.cut()
            pair.connect()
    pair.run(3.0)
    assert {pair.outcome(message)[0] for message in sent} == {Outcome.DELIVERED}
    for channel in (0, 1):
        runs = [event for event in pair.events["gateway"] if isinstance(event, Received) and event.channel == channel]
        got = [payload for event in runs for payload in event.payloads]
        assert got == [b"%d" % number for number in range(12) if number % 2 == channel]


def test_a_hole_on_one_channel_is_skipped_there() -> None:
    """A cancelled message leaves its hole where it was; the other channel never hears of it."""
    pair = NativePair(TWO).connect().run(0.1)
    pair.loses = lambda side, frame: side == "device" and b"doomed" in frame
    doomed, other = send(pair, b"doomed", 1), send(pair, b"other", 0)
    pair.device.cancel(doomed, now=pair.clock.now)
    pair.pump().run(1.0)
    assert pair.outcome(doomed)[0] is Outcome.NOT_DELIVERED
    assert pair.outcome(other)[0] is Outcome.DELIVERED
    after = send(pair, b"after", 1)
    pair.run(1.0)
    assert (pair.outcome(after)[0], after.sequence) == (Outcome.DELIVERED, 2)


def test_a_connection_has_as_many_channels_as_both_sides_have() -> None:
    """What waits for a channel that the peer lacks ends in words; the channels in common work."""
    pair = NativePair(TWO)
    pair.links["gateway"] = NativeLink("gateway", rng=Random(3), role=Role.ACCEPTING)
    beyond, common = send(pair, b"beyond", 1), send(pair, b"common", 0)
    pair.connect().run(1.0)
    assert pair.outcome(beyond) == (Outcome.NOT_DELIVERED, "the peer has 1 channels, from 0")
    assert pair.outcome(common)[0] is Outcome.DELIVERED
    with pytest.raises(UsageError, match="no channel 2"):
        send(pair, b"x", 2)


def test_a_withdrawal_takes_everything_from_all_channels() -> None:
    """In doubt is what was written anywhere, unsent what was not."""
    pair = NativePair(TWO).connect().run(0.1)
    pair.answers = lambda _payload: math.inf
    sent = [send(pair, b"%d" % number, number % 2) for number in range(12)]
    pair.run(0.5)
    taken = pair.device.withdraw(now=pair.clock.now)
    assert (len(taken.in_doubt), len(taken.unsent)) == (8, 4)
    assert {id(message) for message in (*taken.in_doubt, *taken.unsent)} == {id(message) for message in sent}
    assert not list(pair.device.unsettled())


def test_ids_are_the_same_on_both_sides_and_sort_by_time() -> None:
    """Epoch, sequence, channel: a later outbox of the same sender sorts behind an earlier one."""
    early, late = (
        NativeLink("device", rng=Random(seed), created_ms=created_ms) for seed, created_ms in ((9, 1_000), (1, 1_001))
    )
    ids = []
    for link in (early, late):
        pair = NativePair()
        pair.links["device"] = link
        pair.connect().run(0.1)
        messages = [pair.send(b"%d" % number) for number in range(3)]
        pair.run(0.1)
        runs = [event for event in pair.events["gateway"] if isinstance(event, Received)]
        assert {event.epoch for event in runs} == {link.epoch}
        ids += [message.id for message in messages]
    assert ids == sorted(ids)
    assert len(set(ids)) == 6

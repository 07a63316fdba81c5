"""Credit on the native wire: windows in messages and in bytes, moved while messages flow."""

import math

import pytest

from agt.transport import Outcome, Received, UsageError
from agt.transport.wires.native import FrameType, NativeConfig, encode_frame
from support.native_pair import NativePair

SMALL = NativeConfig(recv_window=8, in_flight_max=64, recv_window_bytes=1000, send_queue_max=200)


def held(pair: NativePair) -> list[bytes]:
    """What the gateway's application was given."""
    return pair.received("gateway")


def answer(pair: NativePair, count: int, *, after: int = 0) -> None:
    """Process messages of the gateway, in order."""
    runs = [event for event in pair.events["gateway"] if isinstance(event, Received)]
    tokens = [event.token + place for event in runs for place in range(len(event.payloads))]
    for token in tokens[after : after + count]:
        pair.gateway.acknowledge(token, now=pair.clock.now)
    pair.pump().run(0.05)


def stalled(config: NativeConfig = SMALL) -> NativePair:
    """A pair whose receiving application answers nothing by itself."""
    pair = NativePair(config).connect().run(0.1)
    pair.answers = lambda _payload: math.inf
    return pair


def test_a_slow_application_slows_its_sender_in_messages() -> None:
    """No more than the window is out; each answer lets as many follow."""
    pair = stalled()
    for number in range(30):
        pair.send(b"%d" % number)
    pair.run(1.0)
    assert len(held(pair)) == 8
    answer(pair, 3)
    assert len(held(pair)) == 11
    assert (pair.device.in_flight, pair.device.queued) == (8, 19)


def test_a_slow_application_slows_its_sender_in_bytes() -> None:
    """No more bytes than the window are out, but always one message, however large."""
    pair = stalled()
    for size in (400, 400, 400, 5000, 10):
        pair.send(bytes(size))
    pair.run(1.0)
    assert [len(payload) for payload in held(pair)] == [400, 400]
    answer(pair, 2)
    assert [len(payload) for payload in held(pair)] == [400, 400, 400]
    answer(pair, 1, after=2)
    assert [len(payload) for payload in held(pair)] == [400, 400, 400, 5000]
    answer(pair, 1, after=3)
    assert len(held(pair)) == 5
    assert not pair.dropped("gateway")


def test_a_window_that_shrinks_breaks_nothing_that_is_in_flight() -> None:
    """What was granted still comes; from then on the sender keeps to less, down to nothing, and back."""
    pair = stalled()
    pair.one_way_s = 0.2
    for number in range(30):
        pair.send(b"%d" % number)
    pair.gateway.set_window(2, now=pair.clock.now)
    pair.pump().run(1.0)
    assert len(held(pair)) == 8
    answer(pair, 7)
    pair.run(1.0)
    assert (len(held(pair)), pair.device.in_flight) == (9, 2)
    pair.gateway.set_window(0, now=pair.clock.now)
    answer(pair, 2, after=7)
    pair.run(1.0)
    assert (len(held(pair)), pair.device.in_flight) == (9, 0)
    pair.gateway.set_window(8, now=pair.clock.now)
    pair.pump().run(1.0)
    assert len(held(pair)) == 17
    assert not pair.dropped("gateway")


@pytest.mark.parametrize(
    "frame",
    [
        encode_frame(FrameType.SKIP, 1, 0, (100).to_bytes(8)),
        encode_frame(FrameType.BATCH, 1, 0, (2).to_bytes(4) + 2 * (600).to_bytes(4) + bytes(1200)),
        encode_frame(FrameType.BATCH, 1, 0, (9).to_bytes(4) + 9 * (1).to_bytes(4) + bytes(9)),
    ],
)
def test_a_sender_that_ignores_the_window_loses_its_connection(frame: bytes) -> None:
    """In messages, in bytes, or by skipping: nothing of it reaches the application."""
    pair = stalled()
    pair.give("gateway", frame)
    assert [event.culprit for event in pair.dropped("gateway")] == ["peer"]
    assert held(pair) == []


def test_a_message_that_the_peer_would_not_read_ends_in_words() -> None:
    """The smaller frame limit of the two holds, also for what was queued before the peer was met."""
    pair = NativePair()
    pair.links["gateway"] = NativePair(NativeConfig(max_frame_bytes=4096)).gateway
    large, small = pair.send(bytes(5000)), pair.send(bytes(4000))
    pair.connect().run(1.0)
    outcome, reason = pair.outcome(large)
    assert (outcome, reason) == (Outcome.NOT_DELIVERED, "larger than the 4068 bytes that the peer takes")
    assert pair.outcome(small)[0] is Outcome.DELIVERED


def test_a_window_out_of_range_is_refused() -> None:
    """Negative, or larger than any."""
    pair = NativePair()
    for messages, size in ((-1, None), (1 << 20, None), (5, 0), (5, 1 << 40)):
        with pytest.raises(UsageError, match="out of range"):
            pair.gateway.set_window(messages, size, now=0.0)

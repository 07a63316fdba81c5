"""Busy on the native wire: a message comes again in its place, its channel waits, and nobody gets anything twice."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.transport import Outcome, Received, Settled
from agt.transport.wires.native import FrameType, NativeConfig
from support.native_pair import NativePair


class Moody(NativePair):
    """A pair whose gateway is busy for a message as often as a test says."""

    def __init__(self, moods: dict[bytes, int], config: NativeConfig | None = None, retry_after_s: float = 1.0) -> None:
        super().__init__(config)
        self.moods = dict(moods)
        self.retry_after_s = retry_after_s
        self.processed: list[bytes] = []
        self.answers = lambda _payload: math.inf
        self.now_and_then: list[tuple[float, bytes]] = []

    def _take(self, side, event) -> None:
        super()._take(side, event)
        if side != "gateway" or not isinstance(event, Received):
            return
        busy = False
        for token, payload in enumerate(event.payloads, event.token):
            if not busy:
                self.now_and_then.append((self.clock.now, payload))
                busy = bool(self.moods.get(payload, 0))
                self.moods[payload] = max(0, self.moods.get(payload, 0) - 1)
            if busy:  # And so for the rest of the run, which a careful application doesn't look at.
                self.gateway.refuse(token, "busy", now=self.clock.now, retry_after_s=self.retry_after_s)
            else:
                self.processed.append(payload)
                self.gateway.acknowledge(token, now=self.clock.now)


def test_a_message_that_met_a_busy_application_comes_again_after_the_wait() -> None:
    """Not before `retry_after_s`, under its own sequence, and it is delivered once."""
    pair = Moody({b"a": 2}).connect().run(0.1)
    message = pair.send(b"a")
    pair.run(5.0)
    times = [at for at, _ in pair.now_and_then]
    assert [round(later - earlier) for earlier, later in itertools.pairwise(times)] == [1, 1]
    assert (pair.outcome(message)[0], pair.processed) == (Outcome.DELIVERED, [b"a"])
    assert (message.refusals, message.resends, message.sequence) == (2, 2, 1)


def test_nothing_new_overtakes_a_message_that_waits() -> None:
    """What is sent meanwhile stays in the queue; order holds."""
    pair = Moody({b"a": 1}).connect().run(0.1)
    pair.send(b"a")
    pair.run(0.2)
    for payload in (b"b", b"c"):
        pair.send(payload)
    pair.run(0.3)
    assert (pair.device.in_flight, pair.device.queued) == (1, 2)
    pair.run(3.0)
    assert pair.processed == [b"a", b"b", b"c"]


def test_what_was_on_its_way_behind_it_waits_too() -> None:
    """Frames that were written before the sender knew are declined unseen, and come again in order."""
    pair = Moody({b"a": 1}).connect().run(0.1)
    messages = [pair.send(payload) for payload in (b"a", b"b", b"c")]
    pair.run(3.0)
    assert [payload for _, payload in pair.now_and_then] == [b"a", b"a", b"b", b"c"]
    assert {pair.outcome(message)[0] for message in messages} == {Outcome.DELIVERED}


def test_another_channel_does_not_wait() -> None:
    """Busy holds one channel."""
    pair = Moody({b"a": 1}, NativeConfig(channels=2)).connect().run(0.1)
    pair.send(b"a")
    pair.run(0.1)
    pair.device.send(b"b", now=pair.clock.now, deadline=pair.clock.now + 9, channel=1)
    pair.pump().run(0.1)
    assert pair.processed == [b"b"]


def test_busy_too_often_ends_as_not_delivered() -> None:
    """`max_retries` counts these, too; the message behind it goes on."""
    pair = Moody({b"a": 99}, NativeConfig(max_retries=2)).connect().run(0.1)
    message = pair.send(b"a")
    pair.run(5.0)
    after = pair.send(b"b")
    pair.run(5.0)
    assert pair.outcome(message) == (Outcome.NOT_DELIVERED, "refused by the peer: busy, after 2 retries")
    assert pair.outcome(after)[0] is Outcome.DELIVERED


def test_a_deadline_ends_the_waiting_exactly() -> None:
    """The receiver confirms that it doesn't have the message: not delivered, never indeterminate."""
    pair = Moody({b"a": 99}, NativeConfig(max_retries=None), retry_after_s=60.0).connect().run(0.1)
    message = pair.send(b"a", deadline_s=4.0)
    pair.run(4.0)
    assert pair.outcome(message)[0] is Outcome.NOT_DELIVERED
    after = pair.send(b"b")
    pair.run(1.0)
    assert pair.outcome(after)[0] is Outcome.DELIVERED


def test_what_waits_is_withdrawn_as_unsent() -> None:
    """The peer has refused it, so another path may have it; a late copy is never handed out."""
    pair = Moody({b"a": 1}).connect().run(0.1)
    message = pair.send(b"a")
    pair.run(0.2)
    taken = pair.device.withdraw(now=pair.clock.now)
    assert (taken.unsent, taken.in_doubt) == ((message,), ())
    pair.pump().run(3.0)
    assert pair.processed == []


def test_a_lost_offer_is_made_again() -> None:
    """A statement that still names the message, a round trip after the offer, shows that it was lost."""
    pair = Moody({b"a": 1}).connect().run(0.1)
    message = pair.send(b"a")
    pair.run(0.5)
    strikes = iter([True])
    pair.loses = lambda side, frame: side == "device" and frame[8] == FrameType.DATA and next(strikes, False)
    pair.run(15.0)
    assert (pair.outcome(message)[0], pair.processed) == (Outcome.DELIVERED, [b"a"])


def test_waiting_outlives_a_connection() -> None:
    """The place is kept over a reconnect, whether the offer was made or not."""
    for cut_at in (0.5, 1.1005):
        pair = Moody({b"a": 1}).connect().run(0.1)
        message = pair.send(b"a")
        pair.run(cut_at - 0.1)
        pair.cut()
        pair.connect().run(5.0)
        assert (pair.outcome(message)[0], pair.processed) == (Outcome.DELIVERED, [b"a"])


@pytest.mark.parametrize("code", ["rejected", "malformed", "too_large", "unauthorised", "stale_generation"])
def test_every_other_refusal_is_final_and_keeps_the_payload(code: str) -> None:
    """The word reaches the sender with the message, for whoever collects dead letters."""
    pair = NativePair().connect().run(0.1)
    pair.answers = lambda _payload: math.inf
    message = pair.send(b"a")
    pair.run(0.1)
    (run,) = (event for event in pair.events["gateway"] if isinstance(event, Received))
    pair.gateway.refuse(run.token, code, now=pair.clock.now)
    pair.pump().run(0.1)
    (settled,) = (event for event in pair.events["device"] if isinstance(event, Settled))
    assert (settled.outcome, settled.code, message.payload) == (Outcome.NOT_DELIVERED, code, b"a")
    assert settled.reason == f"refused by the peer: {code}"


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=12),
    st.lists(st.sampled_from(["pass", "pass", "lose", "cut"]), max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_any_moods_on_any_network_deliver_once_and_in_order(moods: list[int], fates: list[str]) -> None:
    """However often and wherever the application is busy, and whatever gets lost: each once, in order."""
    payloads = [b"%d" % number for number in range(len(moods))]
    config = NativeConfig(max_retries=None, in_flight_max=4)
    pair = Moody(dict(zip(payloads, moods, strict=True)), config, retry_after_s=0.3).connect().run(0.1)
    script = iter(fates)
    pair.loses = lambda _side, _frame: next(script, "pass") == "lose"
    messages = [pair.send(payload, deadline_s=900.0) for payload in payloads]
    for fate in fates:
        pair.run(0.2)
        if fate == "cut" or pair.dropped("device") or pair.dropped("gateway"):
            pair.events["device"] = [event for event in pair.events["device"] if event not in pair.dropped("device")]
            pair.events["gateway"] = [event for event in pair.events["gateway"] if event not in pair.dropped("gateway")]
            pair.cut()
            pair.connect()
    for _ in range(12):
        pair.run(20.0)
        if pair.device.state.value != "open":
            pair.cut()
            pair.connect()
    assert pair.processed == payloads
    assert {pair.outcome(message)[0] for message in messages} == {Outcome.DELIVERED}

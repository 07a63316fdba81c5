"""Two native links and the bytes between them: handshake, outcomes, resumption, fencing, and what peers do wrong."""

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.transport import (
    Delivered,
    Dropped,
    Event,
    MessageTooLarge,
    Opened,
    Outcome,
    Outgoing,
    QueueFull,
    Received,
    Settled,
    UsageError,
)
from agt.transport.wires.native import FrameType, NativeConfig, NativeLink, Role, encode_frame
from agt.transport.wires.native._states import State

HEADER = 28


def frames_of(data: bytes) -> list[bytes]:
    """Cut what a link wrote into frames."""
    frames = []
    while data:
        size = HEADER + int.from_bytes(data[:4])
        frames.append(data[:size])
        data = data[size:]
    return frames


class Numbered(Outgoing, eq=False):
    """A message that knows its place among all that its link was given."""

    number: int = -1


def numbered() -> Callable[..., Numbered]:
    """Return a maker of messages that counts them."""
    numbers = itertools.count()

    def make(*fields: object) -> Numbered:
        message = Numbered(*fields)  # type: ignore[arg-type]  # As the link gives them.
        message.number = next(numbers)
        return message

    return make


class Pair:
    """A dialling and an accepting link with a wire that a test can interfere with."""

    def __init__(self, config: NativeConfig | None = None, *, answer: bool = True) -> None:
        self.rng = random.Random(7)
        self.now = 0.0
        self.answer = answer
        """Whether applications acknowledge at once."""
        self.device = NativeLink("device", rng=self.rng, config=config)
        self.gateway = NativeLink("gateway", rng=self.rng, config=config, role=Role.ACCEPTING)
        self.device.make_outgoing, self.gateway.make_outgoing = numbered(), numbered()
        self.events: dict[str, list[Event]] = {"device": [], "gateway": []}
        self.fate: Callable[[str, bytes], list[bytes]] = lambda _to, frame: [frame]

    def connect(self) -> "Pair":
        """Begin a connection on both sides and let it settle."""
        self.device.connection_made(now=self.now)
        self.gateway.connection_made(now=self.now)
        return self.settle()

    def lose(self) -> None:
        """End the connection on both sides."""
        self.device.connection_lost(now=self.now)
        self.gateway.connection_lost(now=self.now)

    def settle(self) -> "Pair":
        """Carry bytes both ways until there are none."""
        moved = True
        while moved:
            moved = False
            for name, link, other in (("gateway", self.device, self.gateway), ("device", self.gateway, self.device)):
                self.pull()
                for frame in frames_of(link.data_to_send(now=self.now)):
                    moved = True
                    for copy in self.fate(name, frame):
                        other.receive_data(copy, now=self.now)
        self.pull()
        return self

    def pull(self) -> None:
        """Take events, answering messages if asked to."""
        for name, link in (("device", self.device), ("gateway", self.gateway)):
            while (event := link.next_event()) is not None:
                self.events[name].append(event)
                if isinstance(event, Received) and self.answer:
                    link.acknowledge(event.token, now=self.now, count=len(event.payloads))

    def tick(self, seconds: float) -> "Pair":
        """Let time pass, from timer to timer."""
        end = self.now + seconds
        while (due := min(self.device.next_deadline(), self.gateway.next_deadline())) <= end:
            self.now = max(self.now, due)
            self.device.handle_timer(now=self.now)
            self.gateway.handle_timer(now=self.now)
            self.settle()
        self.now = end
        return self

    def send(self, *payloads: bytes, deadline_s: float = 30.0) -> None:
        """Send from the device."""
        self.sent = [self.device.send(payload, now=self.now, deadline=self.now + deadline_s) for payload in payloads]

    def got(self, name: str = "gateway") -> list[bytes]:
        """What an application received."""
        return [payload for event in self.events[name] if isinstance(event, Received) for payload in event.payloads]

    def tokens(self, name: str = "gateway") -> list[int]:
        """The tokens of what an application received."""
        runs = [event for event in self.events[name] if isinstance(event, Received)]
        return [event.token + place for event in runs for place in range(len(event.payloads))]

    def ended(self, name: str = "device") -> list[tuple[int, Outcome]]:
        """How sends ended."""
        ended: list[tuple[int, Outcome]] = []
        for event in self.events[name]:
            if isinstance(event, Delivered):
                ended += [(getattr(message, "number", -1), Outcome.DELIVERED) for message in event.messages]
            elif isinstance(event, Settled):
                ended.append((getattr(event.message, "number", -1), event.outcome))
        return ended

    def drops(self, name: str) -> list[Dropped]:
        """Why connections were dropped."""
        return [event for event in self.events[name] if isinstance(event, Dropped)]


def dropping(kind: FrameType, to: str = "gateway") -> Callable[[str, bytes], list[bytes]]:
    """Lose the frames of one type in one direction."""
    return lambda name, frame: [] if name == to and frame[8] == kind else [frame]


def test_messages_go_both_ways_and_are_delivered_once_processed() -> None:
    """The plain case: hello, welcome, data, ack, with the piggybacked ack settling the other side."""
    pair = Pair().connect()
    pair.send(b"a", b"b")
    pair.gateway.send(b"c", now=0.0, deadline=30.0)
    pair.settle()
    assert pair.got() == [b"a", b"b"]
    assert pair.got("device") == [b"c"]
    assert pair.ended() == [(0, Outcome.DELIVERED), (1, Outcome.DELIVERED)]
    assert pair.ended("gateway") == [(0, Outcome.DELIVERED)]
    assert pair.events["device"][0] == Opened("gateway", resumed=False)


def test_delivered_waits_for_the_application() -> None:
    """Arrival alone settles nothing; the application's word does, in any order."""
    pair = Pair(answer=False).connect()
    pair.send(b"a", b"b")
    pair.settle()
    tokens = pair.tokens()
    assert pair.ended() == []
    pair.gateway.acknowledge(tokens[1], now=0.0)
    assert pair.settle().ended() == []
    pair.gateway.acknowledge(tokens[0], now=0.0)
    assert pair.settle().ended() == [(0, Outcome.DELIVERED), (1, Outcome.DELIVERED)]


def test_a_refusal_is_told_and_never_overtaken_by_an_ack() -> None:
    """Though the ACK that names it is lost, a later acknowledgement on a data frame does not deliver it."""
    pair = Pair(answer=False).connect()
    pair.send(b"a", b"b")
    pair.settle()
    first, second = pair.tokens()
    pair.fate = dropping(FrameType.ACK, "device")
    pair.gateway.refuse(first, "malformed", now=0.0)
    pair.gateway.acknowledge(second, now=0.0)
    pair.gateway.send(b"c", now=0.0, deadline=30.0)
    pair.settle()
    assert pair.ended() == []
    pair.fate = lambda _to, frame: [frame]
    pair.tick(3.0)
    assert pair.ended() == [(0, Outcome.NOT_DELIVERED), (1, Outcome.DELIVERED)]
    settled = next(event for event in pair.events["device"] if isinstance(event, Settled))
    assert (settled.code, settled.message.payload) == ("malformed", b"a")
    assert "malformed" in settled.reason
    with pytest.raises(UsageError, match="rejected"):
        pair.gateway.refuse(first, "no such word", now=0.0)


def test_a_lost_tail_is_sent_again_on_the_same_connection() -> None:
    """Nobody notices the gap behind the last message but the timer."""
    pair = Pair().connect()
    pair.fate = dropping(FrameType.BATCH)
    pair.send(b"a", b"b")
    pair.settle()
    pair.fate = lambda _to, frame: [frame]
    pair.tick(2.0)
    assert pair.got() == [b"a", b"b"]
    assert [message.resends for message in pair.sent] == [1, 1]
    assert not pair.drops("device")


@pytest.mark.parametrize("fault", ["gap", "damage"])
def test_a_gap_or_damage_drops_the_connection_and_the_next_one_resumes(fault: str) -> None:
    """It is the network's fault, nothing is handed out of order, and all arrives after redialling."""
    pair = Pair().connect()
    strikes = iter([True])

    def strike(to: str, frame: bytes) -> list[bytes]:
        if to == "gateway" and frame[8] == FrameType.BATCH and next(strikes, False):
            return [] if fault == "gap" else [frame[:-1] + bytes((frame[-1] ^ 4,))]
        return [frame]

    pair.fate = strike
    pair.send(b"a", b"b")
    pair.settle()
    pair.send(b"c")
    pair.settle()
    assert pair.got() == []
    assert [dropped.culprit for dropped in pair.drops("gateway")] == ["network"]
    assert [dropped.culprit for dropped in pair.drops("device")] == ["network"]
    pair.lose()
    pair.connect()
    assert pair.got() == [b"a", b"b", b"c"]
    assert Opened("device", resumed=True) in pair.events["gateway"]


def test_doubled_frames_of_every_kind_do_nothing() -> None:
    """Hello, welcome, data, acks and pings may come twice; the application gets one of each message."""
    pair = Pair()
    pair.fate = lambda _to, frame: [frame, frame]
    pair.connect()
    pair.send(b"a", b"b")
    pair.settle().tick(12.0)
    assert pair.got() == [b"a", b"b"]
    assert pair.gateway.counters.duplicates_dropped == 2
    assert not pair.drops("device")
    assert not pair.drops("gateway")


@pytest.mark.parametrize("kind", [FrameType.HELLO, FrameType.WELCOME])
def test_a_lost_half_of_the_handshake_is_said_again(kind: FrameType) -> None:
    """The connection survives; one incarnation keeps one generation."""
    pair = Pair()
    lost = iter([True])
    pair.fate = lambda _to, frame: [] if frame[8] == kind and next(lost, False) else [frame]
    pair.connect()
    pair.send(b"a")
    pair.tick(2.0)
    assert pair.got() == [b"a"]
    assert pair.device.generation == 1


def test_a_welcome_lost_with_its_connection_forgets_nothing() -> None:
    """The gateway's messages in flight behind a lost welcome are sent again, not given up."""
    pair = Pair()
    pair.gateway.send(b"x", now=0.0, deadline=30.0)
    pair.fate = lambda to, frame: [] if to == "device" else [frame]
    pair.connect()
    assert pair.gateway.in_flight == 1
    pair.lose()
    pair.fate = lambda _to, frame: [frame]
    pair.connect()
    assert pair.got("device") == [b"x"]
    assert pair.ended("gateway") == [(0, Outcome.DELIVERED)]


def test_a_receiver_that_forgot_makes_what_was_in_flight_indeterminate() -> None:
    """It is never silently repeated, and what comes after goes through."""
    pair = Pair().connect()
    pair.fate = dropping(FrameType.ACK, "device")
    pair.send(b"a")
    pair.settle()
    assert pair.got() == [b"a"]
    pair.lose()
    pair.gateway = NativeLink("gateway", rng=pair.rng, role=Role.ACCEPTING)
    pair.fate = lambda _to, frame: [frame]
    pair.send(b"b")
    pair.connect()
    assert pair.ended() == [(0, Outcome.INDETERMINATE), (1, Outcome.DELIVERED)]
    assert pair.got() == [b"a", b"b"]


def test_deadlines_end_every_send_without_any_connection() -> None:
    """Never written is not_delivered; written and unanswered is indeterminate, at the deadline and not later."""
    pair = Pair().connect()
    pair.fate = lambda _to, _frame: []
    pair.send(b"a", deadline_s=3.0)
    pair.settle()
    pair.lose()
    pair.send(b"b", deadline_s=2.0)
    pair.tick(2.0)
    assert pair.ended() == [(1, Outcome.NOT_DELIVERED)]
    pair.tick(1.0)
    assert pair.ended() == [(1, Outcome.NOT_DELIVERED), (0, Outcome.INDETERMINATE)]
    assert (pair.device.in_flight, pair.device.queued) == (0, 0)


@pytest.mark.parametrize("arrives", [True, False])
def test_near_its_deadline_a_message_is_skipped_and_the_answer_settles_it(arrives: bool) -> None:
    """The receiver says whether it had it: held by the application it stays open, else it provably never came."""
    pair = Pair(answer=False).connect()
    pair.fate = (lambda _to, frame: [frame]) if arrives else dropping(FrameType.DATA)
    pair.send(b"a", deadline_s=4.0)
    pair.settle().tick(3.9)
    assert pair.ended() == ([] if arrives else [(0, Outcome.NOT_DELIVERED)])
    assert pair.got() == ([b"a"] if arrives else [])
    pair.tick(0.2)
    assert pair.ended() == [(0, Outcome.INDETERMINATE if arrives else Outcome.NOT_DELIVERED)]


def test_out_of_retries_a_message_is_given_up_and_the_next_follows() -> None:
    """`max_retries` counts the failed attempts of the oldest message; the skip's answer says it never came."""
    pair = Pair(NativeConfig(max_retries=2)).connect()
    pair.fate = lambda to, frame: [] if to == "gateway" and frame[HEADER:] == b"cursed" else [frame]
    pair.send(b"cursed", deadline_s=60.0)
    pair.tick(20.0)
    pair.send(b"fine")
    pair.settle()
    assert pair.ended() == [(0, Outcome.NOT_DELIVERED), (1, Outcome.DELIVERED)]
    assert pair.device.counters.abandoned == 1
    assert pair.got() == [b"fine"]


def test_what_was_withdrawn_never_arrives_late() -> None:
    """After a withdrawal the receiver skips what was written; nothing settles, nothing is handed out."""
    pair = Pair(NativeConfig(in_flight_max=2)).connect()
    pair.fate = dropping(FrameType.BATCH)
    pair.send(b"a", b"b", b"c")
    pair.settle()
    withdrawal = pair.device.withdraw(now=0.0)
    assert (withdrawal.in_doubt, withdrawal.unsent) == (tuple(pair.sent[:2]), tuple(pair.sent[2:]))
    pair.fate = lambda _to, frame: [frame]
    pair.settle()
    pair.lose()
    pair.connect()
    pair.send(b"d")
    pair.settle()
    assert pair.got() == [b"d"]
    assert pair.ended() == [(3, Outcome.DELIVERED)]


def test_cancelling_ends_a_message_once() -> None:
    """Queued at once; written, as soon as the receiver has answered."""
    pair = Pair()
    pair.send(b"a")
    pair.device.cancel(pair.sent[0], now=0.0)
    assert pair.settle().ended() == [(0, Outcome.NOT_DELIVERED)]
    pair.connect()
    pair.fate = dropping(FrameType.DATA)
    pair.send(b"b")
    pair.settle()
    pair.device.cancel(pair.sent[0], now=0.0)
    pair.device.cancel(pair.sent[0], now=0.0)
    assert pair.settle().ended() == [(0, Outcome.NOT_DELIVERED), (1, Outcome.NOT_DELIVERED)]


def test_queue_window_and_size_have_limits() -> None:
    """A full queue and an oversized message are refused by name; the peer's window holds the sender back."""
    pair = Pair(NativeConfig(send_queue_max=2, recv_window=3), answer=False).connect()
    for _ in range(2):
        pair.send(b"x", b"x")
        pair.settle()
    assert (pair.device.in_flight, pair.device.queued, len(pair.got())) == (3, 1, 3)
    pair.send(b"x")
    with pytest.raises(QueueFull):
        pair.send(b"x")
    with pytest.raises(MessageTooLarge):
        Pair().send(bytes(1 << 20))


def test_silence_is_asked_and_then_given_up() -> None:
    """Pings keep a quiet connection; a peer that no longer answers is dropped as the network's fault."""
    pair = Pair().connect().tick(60.0)
    assert not pair.drops("device")
    assert pair.device.counters.heartbeats > 5
    pair.fate = lambda _to, _frame: []
    pair.tick(16.0)
    assert [dropped.culprit for dropped in pair.drops("device")] == ["network"]
    assert "silent" in pair.drops("device")[0].reason


def test_no_welcome_in_time_drops_the_connection() -> None:
    """The handshake has its own limit, on both sides."""
    pair = Pair()
    pair.fate = lambda _to, _frame: []
    pair.connect().tick(5.0)
    assert "handshake" in pair.drops("device")[0].reason
    assert "handshake" in pair.drops("gateway")[0].reason


def test_behind_a_damaged_length_the_connection_is_given_up() -> None:
    """Bytes that never become a frame are no sign of life, however many come."""
    pair = Pair().connect()
    pair.gateway.receive_data((1 << 19).to_bytes(4) + bytes(24), now=0.0)
    for _ in range(20):
        pair.tick(1.0)
        pair.gateway.receive_data(bytes(100), now=pair.now)
    pair.settle()
    assert "silent" in pair.drops("gateway")[0].reason


@pytest.mark.parametrize(
    "nonsense",
    [
        b"GET / HTTP/1.1\r\nHost: example\r\n\r\n",
        encode_frame(FrameType.ACK, 0, 99, bytes(16)),
        encode_frame(FrameType.ACK, 0, 0, (99).to_bytes(8) + bytes(8)),
        encode_frame(FrameType.ACK, 0, 0, b"odd"),
        encode_frame(FrameType.SKIP, 5, 0, (1).to_bytes(8)),
        encode_frame(FrameType.DATA, 1, 0, b"x", channel=1),
        encode_frame(FrameType.ACK, 0, 0, bytes(16), channel=7),
        encode_frame(FrameType.BATCH, 1, 0, bytes(4)),
        encode_frame(FrameType.DRAIN, 0, 0, b"\xc1"),
        encode_frame(FrameType.WELCOME, 0, 0, b"\x90"),
        encode_frame(FrameType.HELLO, 0, 0, b"\x90"),
        encode_frame(FrameType.GO_AWAY, 0, 0, b"\xc1"),
    ],
)
def test_nonsense_costs_the_peer_its_connection_and_nothing_else(nonsense: bytes) -> None:
    """The culprit is named, the peer is told, and the same link works on the next connection."""
    pair = Pair().connect()
    pair.gateway.receive_data(nonsense, now=0.0)
    pair.settle()
    assert [dropped.culprit for dropped in pair.drops("gateway")] == ["peer"]
    assert [dropped.culprit for dropped in pair.drops("device")] == ["us"]
    pair.lose()
    pair.connect()
    pair.send(b"still here")
    assert pair.settle().got() == [b"still here"]


@given(st.binary(min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_at_any_state_raise_nothing(junk: bytes) -> None:
    """Neither link raises, whatever comes before, during or after the handshake."""
    for prepare in (lambda pair: pair, lambda pair: pair.connect()):
        pair = prepare(Pair())
        for link in (pair.device, pair.gateway):
            if link.state is State.IDLE:
                link.connection_made(now=0.0)
            link.receive_data(junk, now=0.0)
            link.handle_timer(now=1.0)
            link.data_to_send(now=1.0)


@given(st.lists(st.integers(0, 9), max_size=60), st.booleans())
@settings(max_examples=80, deadline=None)
def test_any_schedule_of_losses_and_reconnects_delivers_in_order_once(script: list[int], answer: bool) -> None:
    """Whatever the script loses, doubles or cuts: at most once, in order, and all once the network is well."""
    pair = Pair(NativeConfig(max_retries=None), answer=True).connect()
    fates = iter(script)

    def fate(_to: str, frame: bytes) -> list[bytes]:
        match next(fates, 5):
            case 0:
                return []
            case 1:
                return [frame, frame]
            case 2:
                return [frame[:-1] + bytes((frame[-1] ^ 1,))]
        return [frame]

    pair.fate = fate
    for number in range(10):
        pair.send(b"%d" % number, deadline_s=500.0)
        pair.settle()
        if answer:
            pair.tick(1.0)
        if State.ENDED in (pair.device.state, pair.gateway.state):
            pair.lose()
            pair.connect()
    for _ in range(8):
        pair.tick(20.0)
        if State.OPEN is not pair.device.state:
            pair.lose()
            pair.connect()
    assert pair.got() == [b"%d" % number for number in range(10)]
    assert pair.ended() == [(number, Outcome.DELIVERED) for number in range(10)]

"""Bugs in limits, timers and the treatment of nonsense (promises 5, 6 and 7), caught by stories in virtual time."""

import math
import struct
from collections.abc import Sequence
from random import Random

from agt.transport import Outcome, QueueFull
from agt.transport._rtt import RoundTrip
from agt.transport.wires.native import (
    FrameParser,
    FrameType,
    Greeting,
    NativeAcceptor,
    NativeConfig,
    NativeLink,
    Refused,
    _link,
    encode_frame,
)
from agt.transport.wires.native._receiver import Receiver
from agt.transport.wires.native._sender import Sender
from agt.transport.wires.native._statement import ExceptionRun, Statement
from support.mutants import Mutant, Patch, story
from support.native_pair import NativePair

WINDOW = 8
SMALL = NativeConfig(recv_window=WINDOW, in_flight_max=WINDOW, send_queue_max=WINDOW, max_senders=WINDOW)
PATIENT = NativeConfig(idle_timeout_s=100.0, ping_interval_s=50.0)
"""Long silences, so that the resend timer is alone."""
HELLO_LIMIT = 1024


# Limits


def queue_is_bounded() -> None:
    """Without a connection, a sender takes as many messages as its queue allows and refuses the next."""
    link = NativeLink("device", rng=Random(1), config=SMALL)
    for number in range(4 * WINDOW):
        try:
            link.send(b"%d" % number, now=0.0, deadline=9.0)
        except QueueFull:
            break
    assert link.queued == WINDOW, f"{link.queued} messages wait where {WINDOW} may"


def window_is_bounded() -> None:
    """Towards an application that never answers, no more than the window is written, or handed out."""
    pair = NativePair(SMALL).connect().run(1.0)
    pair.answers = lambda _payload: math.inf
    for number in range(3 * WINDOW):
        if pair.device.queued == WINDOW:
            pair.run(0.1)
        if pair.device.queued < WINDOW:
            pair.send(b"%d" % number)
    pair.run(1.0)
    assert pair.device.in_flight <= WINDOW, f"{pair.device.in_flight} in flight where {WINDOW} may"
    assert not pair.dropped("gateway"), "the receiver had to defend itself"


def flood_is_not_handed_out() -> None:
    """A peer that ignores the window doesn't get more than it into the application's hands."""
    pair = NativePair(SMALL).connect().run(1.0)
    pair.answers = lambda _payload: math.inf
    for sequence in range(1, 4 * WINDOW):
        pair.give("gateway", encode_frame(FrameType.DATA, sequence, 0, b"x"))
    assert len(pair.received()) <= WINDOW, f"{len(pair.received())} messages held where {WINDOW} may"


def hello_is_bounded() -> None:
    """A stranger who announces a large frame is refused before its bytes are held."""
    greeting = Greeting(deadline=5.0)
    data = (1 << 20).to_bytes(4) + bytes(64)
    try:
        for _ in range(64):
            greeting.receive_data(data)
            data = bytes(1024)
            assert len(greeting.data) <= 2 * HELLO_LIMIT, "a stranger's bytes are held beyond the limit of a hello"
    except Refused:
        return
    raise AssertionError("a stranger's bytes are held beyond the limit of a hello")


def senders_are_bounded() -> None:
    """An acceptor remembers as many names as it may, and forgets the idle ones for new ones."""
    acceptor = NativeAcceptor("gateway", rng=Random(1), config=SMALL)
    for number in range(4 * WINDOW):
        caller = NativeLink(f"device-{number}", rng=Random(number))
        caller.connection_made(now=0.0)
        greeting = acceptor.greeting(now=0.0)
        greeting.receive_data(caller.data_to_send(now=0.0))
        acceptor.admit(greeting)
    assert len(acceptor) <= WINDOW, f"{len(acceptor)} senders remembered where {WINDOW} may"


def endless_queue(patch: Patch) -> None:
    """A sender's queue knows no limit."""
    make = Sender.__init__

    def buggy(self: Sender, *args: object, **options: object) -> None:
        make(self, *args, **options)  # type: ignore[arg-type]
        self._queue_max = 1 << 30

    patch.setattr(Sender, "__init__", buggy)


def window_ignored(patch: Patch) -> None:
    """A sender writes whatever it has, whatever the receiver allows."""
    patch.setattr(Sender, "_room", lambda self: 1 << 30)


def window_not_held(patch: Patch) -> None:
    """A receiver announces a window and takes more."""
    accept = Receiver.accept

    def buggy(self: Receiver, sequence: int, payloads: list[bytes], lengths: Sequence[int]) -> None:
        self._window_max = 1 << 30
        accept(self, sequence, payloads, lengths)

    patch.setattr(Receiver, "accept", buggy)


def any_hello(patch: Patch) -> None:
    """A parser believes any length that it is told."""
    feed = FrameParser.feed

    def buggy(self: FrameParser, data: bytes) -> object:
        self.limit = 1 << 40
        return feed(self, data)

    patch.setattr(FrameParser, "feed", buggy)


def nobody_forgotten(patch: Patch) -> None:
    """An acceptor remembers everyone who ever called."""
    patch.setattr(NativeAcceptor, "_make_room", lambda self: None)


# Timers


def _settled_pair(round_trips: int = 40) -> NativePair:
    """Return a pair that has measured a round trip of 10 ms."""
    pair = NativePair(PATIENT).connect().run(0.1)
    for number in range(round_trips):
        pair.send(b"warm-up %d" % number)
        pair.run(0.05)
    return pair


def timer_follows_the_round_trip() -> None:
    """After many short round trips, a lost message is sent again soon, not after the first guess of a second."""
    pair = _settled_pair()
    _lose_next_data(pair)
    message = pair.send(b"lost once")
    pair.run(0.5)
    assert pair.outcome(message)[0] is Outcome.DELIVERED, "a lost message waits longer than round trips warrant"


def timer_has_a_floor() -> None:
    """A network that is now and then slower than usual makes nobody send anything twice."""
    pair = _settled_pair()
    for number in range(40):
        pair.one_way_s = 0.08 if number % 20 == 19 else 0.005
        pair.send(b"%d" % number)
        pair.run(0.3)
    assert pair.device.counters.resends == 0, f"{pair.device.counters.resends} resent though nothing was lost"
    assert pair.device.counters.ack_timeouts == 0, "the timer ran out though nothing was lost"


def resent_tell_no_round_trip() -> None:
    """The answer to a message that was sent twice says nothing about the round trip (Karn)."""
    pair = _settled_pair()
    before = pair.device._round_trip.smoothed_s
    _lose_next_data(pair, times=3)
    pair.send(b"lost thrice")
    pair.run(5.0)
    after = pair.device._round_trip.smoothed_s
    assert after == before, f"the round trip was taken for {after} s instead of {before} s from a resent message"


def silence_is_met_with_patience() -> None:
    """When nothing gets through, waits double: a dead network isn't flooded."""
    pair = _settled_pair()
    pair.loses = lambda _side, _frame: True
    written = len(pair.written["device"])
    pair.send(b"into the void")
    pair.run(14.0)
    tries = len(pair.written["device"]) - written
    assert 3 <= tries <= 10, f"{tries} attempts in 14 s of silence"


def retries_end() -> None:
    """After `max_retries` resends the oldest message is given up; what came behind it goes on."""
    pair = _settled_pair()
    pair.loses = lambda side, frame: side == "device" and frame[8] != FrameType.SKIP and b"doomed" in frame
    message = pair.send(b"doomed", deadline_s=60.0)
    pair.run(40.0)
    outcome, reason = pair.outcome(message)
    assert outcome is Outcome.NOT_DELIVERED, "a message is tried for longer than its retries allow"
    assert "retries" in reason


def a_gap_ends_the_connection() -> None:
    """A frame that is missing shows at the next one, and the connection is resumed at once, not by timer."""
    pair = _settled_pair()
    _lose_next_data(pair)
    pair.send(b"lost")
    pair.send(b"behind it")
    pair.run(0.02)
    assert [event.culprit for event in pair.dropped("gateway")] == ["network"], "a gap is waited out"


def _lose_next_data(pair: NativePair, times: int = 1) -> None:
    left = [times]

    def loses(side: str, frame: bytes) -> bool:
        if side == "device" and frame[8] in (FrameType.DATA, FrameType.BATCH) and left[0]:
            left[0] -= 1
            return True
        return False

    pair.loses = loses


def fixed_timer(patch: Patch) -> None:
    """A round trip that is measured changes nothing."""
    patch.setattr(RoundTrip, "sample", lambda self, seconds: None)


def no_floor(patch: Patch) -> None:
    """The timeout falls as low as the round trip."""
    make = RoundTrip.__init__

    def buggy(self: RoundTrip, min_s: float = 0.2, max_s: float = 5.0, **options: float) -> None:
        make(self, 0.001, max_s, **options)

    patch.setattr(RoundTrip, "__init__", buggy)


def karn_ignored(patch: Patch) -> None:
    """The answer to a resent message counts as a round trip from its first attempt."""
    handle = Sender.handle_timer

    def buggy(self: Sender, now: float) -> bool:
        timed = self._timed
        ask = handle(self, now)
        self._timed = timed
        return ask

    patch.setattr(Sender, "handle_timer", buggy)


def no_backoff(patch: Patch) -> None:
    """Waits never grow."""
    patch.setattr(RoundTrip, "backoff", lambda self: None)


def endless_retries(patch: Patch) -> None:
    """Failed attempts aren't counted."""
    patch.setattr(Sender, "_fail", lambda self, entry: None)


def gaps_waited_out(patch: Patch) -> None:
    """A receiver passes over what comes too early and hopes for a resend."""
    accept = Receiver.accept

    def buggy(self: Receiver, sequence: int, payloads: list[bytes], lengths: Sequence[int]) -> None:
        if sequence <= self.accepted + 1:
            accept(self, sequence, payloads, lengths)

    patch.setattr(Receiver, "accept", buggy)


# Nonsense


NONSENSE = {
    "an acknowledgement of nothing that was written": encode_frame(FrameType.ACK, 0, 99, (99).to_bytes(8) + bytes(8)),
    "an acknowledgement of an odd size": encode_frame(FrameType.ACK, 0, 0, b"odd"),
    "a skip backwards": encode_frame(FrameType.SKIP, 9, 0, (3).to_bytes(8)),
    "a batch of nothing": encode_frame(FrameType.BATCH, 1, 0, b""),
    "another hello": encode_frame(FrameType.HELLO, 0, 0, b"\x90"),
    "a farewell that can't be read": encode_frame(FrameType.GO_AWAY, 0, 0, b"\xc1"),
    "a frame over the limit": (1 << 30).to_bytes(4) + bytes(24),
}


def nonsense_costs_a_connection_and_nothing_else() -> None:
    """After each kind of nonsense the connection is dropped, nothing behind it counts, and messages go on."""
    for what, frame in NONSENSE.items():
        pair = NativePair(SMALL).connect().run(1.0)
        try:
            pair.give("gateway", frame + encode_frame(FrameType.DATA, 1, 0, b"behind nonsense"))
        except Exception as error:  # Whatever it is: it would have ended the process.
            raise AssertionError(f"{what} was raised out of the link: {error!r}") from error
        assert len(pair.dropped("gateway")) == 1, f"{what} did not end the connection"
        assert not pair.received(), f"what came behind {what} was taken"
        pair.cut()
        message = pair.connect().send(b"after nonsense")
        pair.run(1.0)
        assert pair.outcome(message) == (Outcome.DELIVERED, ""), f"{what} had consequences"


def nonsense_raised(patch: Patch) -> None:
    """An error of the parser leaves the link, and with it the process."""

    def buggy(payload: bytes) -> Statement:
        received, window, window_bytes = struct.unpack_from("!QII", payload)
        return (
            received,
            window,
            window_bytes,
            [ExceptionRun(*run) for run in struct.iter_unpack("!QIBHI", payload[16:])],
        )

    patch.setattr(_link, "decode_ack", buggy)


def nonsense_forgiven(patch: Patch) -> None:
    """A link counts nonsense and goes on with the next frame."""
    patch.setattr(NativeLink, "_drop", lambda self, reason, culprit, now, **_: None)


def forged_acks_taken(patch: Patch) -> None:
    """A sender believes acknowledgements of what it never wrote."""
    take = Sender.take_statement

    def buggy(self: Sender, processed: int, statement: Statement, now: float) -> None:
        take(self, min(processed, self._last), (min(statement[0], self._last), *statement[1:]), now)

    patch.setattr(Sender, "take_statement", buggy)


QUEUE, IN_FLIGHT, FLOOD = story(queue_is_bounded), story(window_is_bounded), story(flood_is_not_handed_out)
HELLOS, SENDERS = story(hello_is_bounded), story(senders_are_bounded)
FOLLOWS, FLOOR, KARN = story(timer_follows_the_round_trip), story(timer_has_a_floor), story(resent_tell_no_round_trip)
PATIENCE, RETRIES, GAP = story(silence_is_met_with_patience), story(retries_end), story(a_gap_ends_the_connection)
NOTHING_ELSE = story(nonsense_costs_a_connection_and_nothing_else)

MUTANTS = (
    Mutant(endless_queue, 5, QUEUE, "messages wait where"),
    Mutant(window_ignored, 5, IN_FLIGHT, "in flight where"),
    Mutant(window_not_held, 5, FLOOD, "messages held where"),
    Mutant(any_hello, 5, HELLOS, "held beyond the limit of a hello"),
    Mutant(nobody_forgotten, 5, SENDERS, "senders remembered where"),
    Mutant(fixed_timer, 6, FOLLOWS, "waits longer than round trips warrant"),
    Mutant(no_floor, 6, FLOOR, "though nothing was lost"),
    Mutant(karn_ignored, 6, KARN, "from a resent message"),
    Mutant(no_backoff, 6, PATIENCE, "attempts in 14 s"),
    Mutant(endless_retries, 6, RETRIES, "longer than its retries allow"),
    Mutant(gaps_waited_out, 6, GAP, "a gap is waited out"),
    Mutant(nonsense_raised, 7, NOTHING_ELSE, "was raised out of the link"),
    Mutant(nonsense_forgiven, 7, NOTHING_ELSE, "did not end the connection"),
    Mutant(forged_acks_taken, 7, NOTHING_ELSE, "did not end the connection"),
)

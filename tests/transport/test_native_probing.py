"""How much the way to a peer carries: measured over the fault proxy's lines in virtual time, to the percent."""

from random import Random
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agt.chaos.faults import Drop
from agt.chaos.proxy import Rule
from agt.transport import Dropped, Opened
from agt.transport.wires.native import FrameType, NativeLink, ProbeLimits, Role, encode_frame
from agt.transport.wires.native._probing import SURE_S, TRAIN_MAX
from support.line_pair import LinePair, line


def probed(pair: LinePair, link: NativeLink, seconds: float = 3.0, **limits: float) -> float | None:
    """Probe once from one side; return the rate."""
    assert link.begin_probe(ProbeLimits(**limits), now=pair.now)  # type: ignore[arg-type]
    pair.run(seconds)
    probe = link.probed(now=pair.now)
    assert probe is not None
    assert probe.sent_bytes <= ProbeLimits(**limits).bytes_max  # type: ignore[arg-type]
    return probe.bits_per_s


@pytest.mark.parametrize("side", ["dialling", "accepting"])
@pytest.mark.parametrize("latency_s", [0.0, 0.005, 0.1])
@pytest.mark.parametrize("rate", [1e6, 64e6, 200e6, 1e9, 1.4e9, 10e9])
def test_a_line_is_measured_from_either_side(side: str, latency_s: float, rate: float) -> None:
    """Document 002's lines, 5 ms and 10 Gbit/s, 100 ms, 200 Mbit/s, are found as what they are."""
    pair = line(latency_s, rate)
    assert probed(pair, getattr(pair, side)) == pytest.approx(rate, rel=0.01)


@settings(deadline=None, max_examples=40)
@given(latency_s=st.floats(0, 0.15), rate=st.floats(2e5, 2e10))
def test_a_rate_is_never_more_than_the_line_carries(latency_s: float, rate: float) -> None:
    """Whatever the line: at most what it carries, and at most what can be told in the time that is believed."""
    pair = line(latency_s, rate)
    found = probed(pair, pair.accepting)
    assert found is not None
    assert found <= min(rate * 1.01, TRAIN_MAX * 8 / SURE_S)


def test_a_line_without_a_limit_is_measured_as_what_time_can_tell() -> None:
    """No time at all is counted as the shortest that is believed, so that the figure stays a lower bound."""
    pair = line()
    found = probed(pair, pair.accepting)
    assert found is not None
    assert 5e9 < found <= TRAIN_MAX * 8 / SURE_S


def test_a_line_too_slow_for_a_train_gives_an_upper_bound_in_time() -> None:
    """2 kbit/s: the first real train doesn't arrive within the limit, and what it says is still an answer."""
    pair = line(0.05, 2000)
    found = probed(pair, pair.accepting, seconds=2.5, bytes_max=1 << 16)
    assert found is not None
    assert 2000 <= found < 100_000


def test_a_peer_that_never_answers_says_nothing() -> None:
    """Without even a bare train's answer there is no figure."""
    pair = line()
    pair.rules.add(Rule(Drop()))
    assert probed(pair, pair.accepting, seconds=2.5) is None
    probe = pair.accepting.probed(now=pair.now)
    assert probe is not None
    assert (probe.ended, probe.trains, probe.round_trip_s) == ("time", 0, None)


def test_round_trips_are_told_by_pings_and_hellos_alone() -> None:
    """Messages and their acknowledgements are no round trips: an application's time is in them."""
    pair = line(0.02)
    assert pair.dialling.round_trips == (1, pytest.approx(0.02))
    assert pair.accepting.round_trips == (0, 0.0)
    pair.accepting.send(b"hello", now=pair.now, deadline=pair.now + 5)
    pair.run()
    assert pair.accepting.round_trips == (0, 0.0)
    assert pair.accepting.ping(now=pair.now)
    pair.run()
    assert pair.accepting.round_trips == (1, pytest.approx(0.02))


def test_asking_again_before_the_answer_is_asking_once() -> None:
    """Who asks more often than a way is long still gets round trips; an answer that was lost is not waited for long."""
    pair = line(0.3)
    for _ in range(20):
        assert pair.accepting.ping(now=pair.now)
        pair.run(0.1)
    assert 5 <= pair.accepting.round_trips[0] <= 7
    rule = Rule(Drop())
    pair.rules.add(rule)
    assert pair.accepting.ping(now=pair.now)
    pair.run(1.0)
    pair.rules.remove(rule)
    known = pair.accepting.round_trips[0]
    for _ in range(60):
        pair.accepting.ping(now=pair.now)
        pair.run(0.1)
    assert pair.accepting.round_trips[0] > known


@pytest.mark.parametrize("sender", ["dialling", "accepting"])
def test_a_probe_gives_way_to_a_message_of_either_side(sender: str) -> None:
    """The message waits behind one train, and not one byte of the probe follows it."""
    pair = line(0.005, 1e6)
    assert pair.accepting.begin_probe(now=pair.now)
    pair.run(0.05)  # The first real train, 16 KiB, keeps this line busy for 0.13 s.
    began = pair.now
    getattr(pair, sender).send(b"urgent", now=pair.now, deadline=pair.now + 5)
    pair.run(3)
    ((when, event),) = pair.received
    assert event.payloads == [b"urgent"]
    assert when - began < 0.15
    probe = pair.accepting.probed(now=pair.now)
    assert probe is not None
    assert (probe.ended, probe.bits_per_s) == ("traffic", None)
    carried = pair.carried["to_client"]
    assert carried < 18_000


def test_a_probe_is_not_begun_beside_a_message() -> None:
    """A message that waits or is on its way, or was received and not answered, keeps probes away."""
    pair = line(0.1)
    link = pair.accepting
    link.send(b"first", now=pair.now, deadline=pair.now + 5)
    assert not link.begin_probe(now=pair.now)
    pair.run(0.01)
    assert link.in_flight == 1
    assert not link.begin_probe(now=pair.now)
    pair.run(1)
    assert link.begin_probe(now=pair.now)
    assert not link.begin_probe(now=pair.now)


def test_a_probe_is_bounded_in_bytes() -> None:
    """A budget that allows one small train is kept to, and what that train says is taken."""
    pair = line(0.005, 1e9)
    before = pair.carried["to_client"]
    found = probed(pair, pair.accepting, bytes_max=20_000)
    assert found == pytest.approx(16384 * 8 / SURE_S)
    assert pair.carried["to_client"] - before <= 20_000


def test_a_lost_connection_ends_a_probe_and_the_next_one_starts_afresh() -> None:
    """Trains are counted on, so that no late answer is taken for another's."""
    pair = line(0.05, 1e8)
    assert pair.accepting.begin_probe(now=pair.now)
    pair.run(0.06)
    for link in (pair.dialling, pair.accepting):
        link.connection_lost(now=pair.now)
    probe = pair.accepting.probed(now=pair.now)
    assert probe is not None
    assert probe.ended == "connection"
    assert not pair.accepting.begin_probe(now=pair.now)
    again = line(0.05, 1e8)
    assert probed(again, again.accepting) == pytest.approx(1e8, rel=0.01)


class OlderLink(NativeLink):
    """A peer from before probes."""

    features: ClassVar[int] = 0


@pytest.mark.parametrize("older", ["dialling", "accepting"])
def test_a_peer_that_does_not_know_probes_is_never_sent_one(older: str) -> None:
    """Neither side measures what the other wouldn't understand; pings go on as ever."""
    pair = LinePair(older=older, older_link=OlderLink)
    pair.run()
    newer = pair.dialling if older == "accepting" else pair.accepting
    assert not newer.begin_probe(now=pair.now)
    for link in (pair.dialling, pair.accepting):
        assert link.ping(now=pair.now)
    pair.run()
    assert pair.accepting.round_trips[0] == 1


def opened() -> NativeLink:
    """An accepting link whose peer has said hello, and that has seen a first frame."""
    link = NativeLink("gateway", rng=Random(1), role=Role.ACCEPTING)
    device = NativeLink("device", rng=Random(2))
    for one in (link, device):
        one.connection_made(now=0.0)
    link.receive_data(device.data_to_send(now=0.0), now=0.0)
    link.receive_data(encode_frame(FrameType.PING, 1), now=0.0)
    link.data_to_send(now=0.0)
    assert isinstance(link.next_event(), Opened)
    return link


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        ([encode_frame(FrameType.PROBE, 1)], "train of 0 bytes"),
        ([encode_frame(FrameType.PROBE, 1, payload=(TRAIN_MAX + 1).to_bytes(4))], f"train of {TRAIN_MAX + 1} bytes"),
        ([encode_frame(FrameType.PROBE, 1, payload=(40).to_bytes(4) + bytes(20))], "52 bytes of a probe's train of 40"),
        (
            [
                encode_frame(FrameType.PROBE, 1, payload=(100).to_bytes(4)),
                encode_frame(FrameType.PROBE, 1, payload=(90).to_bytes(4)),
            ],
            "64 bytes of a probe's train of 100",
        ),
    ],
)
def test_a_train_that_makes_no_sense_costs_its_sender_the_connection(frames: list[bytes], says: str) -> None:
    """Announced too large, too small, or larger than announced."""
    link = opened()
    for frame in frames:
        link.receive_data(frame, now=1.0)
    dropped = link.next_event()
    assert isinstance(dropped, Dropped)
    assert says in dropped.reason


def test_an_answer_of_the_wrong_size_costs_its_sender_the_connection() -> None:
    """The asking side judges answers, too."""
    link = opened()
    assert link.begin_probe(now=1.0)
    link.receive_data(encode_frame(FrameType.PROBED, 1, payload=b"123"), now=1.0)
    assert isinstance(link.next_event(), Dropped)


def test_answers_that_nobody_asked_for_are_passed_over() -> None:
    """Answers to older trains come late without harm; so do those to none."""
    link = opened()
    link.receive_data(encode_frame(FrameType.PROBED, 7, payload=bytes(8)), now=1.0)
    assert link.begin_probe(now=1.0)
    link.receive_data(encode_frame(FrameType.PROBED, 7, payload=bytes(8)), now=1.0)
    assert link.probed(now=1.0) is None
    assert link.next_event() is None


def test_a_peer_that_takes_no_answers_to_its_probes_is_let_go() -> None:
    """What waits for a peer is bounded, answers to probes included."""
    link = opened()
    for number in range(1, 100):
        link.receive_data(encode_frame(FrameType.PROBE, number, payload=(32).to_bytes(4)), now=1.0)
    dropped = link.next_event()
    assert isinstance(dropped, Dropped)
    assert "does not take the answers" in dropped.reason

"""The lines wire: write and hope, replies watched, words of warning, and nothing that can grow."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agt.transport import (
    Barrier,
    ConnectionUnavailable,
    Dropped,
    Event,
    Link,
    MessageTooLarge,
    MoveKind,
    Observed,
    Opened,
    Outcome,
    QueueFull,
    Received,
    Settled,
    UsageError,
)
from agt.transport.wires.lines import Greeting, LinesConfig, LinesLink, greeting_line, number_in, read_greeting
from agt.transport.wires.lines._text import LineReader


def events_of(link: LinesLink) -> list[Event]:
    """Pull everything."""
    events = []
    while (event := link.next_event()) is not None:
        events.append(event)
    return events


def connected_controller(config: LinesConfig | None = None, *, hello: bytes = b"hello lamp-7\n") -> LinesLink:
    """A controller whose device has said hello."""
    link = LinesLink("controller", config)
    link.connection_made(now=0)
    link.receive_data(hello, now=0)
    events_of(link)
    return link


@pytest.mark.parametrize(("sequenced", "barrier"), [(False, Barrier.NONE), (True, Barrier.SEQUENCE)])
def test_hello_names_the_device_and_tells_the_barrier(sequenced: bool, barrier: Barrier) -> None:
    """A device with one watermark over all attachments makes an exact move possible."""
    device: Link = LinesLink("device", LinesConfig(name="lamp-7", sequenced=sequenced))
    controller = LinesLink("controller")
    for link in (device, controller):
        link.connection_made(now=0)
    controller.receive_data(device.data_to_send(now=0), now=0)
    assert events_of(controller) == [Opened("lamp-7", resumed=False)]
    assert device.next_event() == Opened("controller", resumed=False)
    assert controller.traits.barrier is device.traits.barrier is barrier
    assert controller.traits.move is MoveKind.WARM
    assert not controller.traits.acknowledges


def test_command_is_written_and_its_reply_observed() -> None:
    """Both ways of sending put the same line on the wire; a reply finds its number."""
    controller = connected_controller()
    device = LinesLink("device", LinesConfig(name="lamp-7"))
    device.connection_made(now=0)
    device.data_to_send(now=0)
    sent = controller.send(b"set 1 on", now=1, deadline=9)
    data = controller.data_to_send(now=1.5)
    written = controller.write(b"set 2 off", now=2)
    data += controller.data_to_send(now=2)
    assert data == b"set 1 on\nset 2 off\n"
    assert events_of(controller) == [Settled(sent, Outcome.WRITTEN, "", 0.5)]
    device.receive_data(data, now=2)
    received = [event for event in events_of(device) if isinstance(event, Received)]
    assert [(event.payloads, event.sequence) for event in received] == [([b"set 1 on"], 1), ([b"set 2 off"], 2)]
    for event in reversed(received):
        device.acknowledge(event.token, now=2)
    controller.receive_data(device.data_to_send(now=2), now=2.25)
    assert events_of(controller) == [Observed(written, 0.25), Observed(sent.sequence, 0.75)]
    assert (controller.unanswered, controller.observed_missing, controller.unmatched_acks) == (0, 0, 0)


def test_reply_that_stays_out_is_counted_as_missing() -> None:
    """After its time, and at once when the connection is lost."""
    controller = connected_controller(LinesConfig(reply_timeout_s=5))
    controller.write(b"set 1 on", now=0)
    controller.write(b"set 2 on", now=1)
    controller.data_to_send(now=1)
    assert controller.next_deadline() == 5
    controller.handle_timer(now=5)
    assert (controller.unanswered, controller.observed_missing) == (1, 1)
    controller.connection_lost(now=5)
    assert (controller.unanswered, controller.observed_missing) == (0, 2)
    assert controller.next_deadline() == math.inf


def test_reply_to_nothing_is_counted() -> None:
    """A number that was never written, or answered already."""
    controller = connected_controller()
    controller.write(b"set 1 on", now=0)
    controller.receive_data(b"ok 1\nok 1\nok 9\nok\n", now=1)
    assert (controller.unmatched_acks, controller.decode_errors) == (2, 1)


def test_replies_with_one_number_match_in_order() -> None:
    """A message that was written again draws two replies."""
    controller = connected_controller()
    first, second = (controller.write(b"set 1 on", now=at) for at in (0, 1))
    controller.receive_data(b"ok 1\nok 1\n", now=2)
    assert events_of(controller) == [Observed(first, 2), Observed(second, 1)]


def test_messages_wait_for_a_connection_until_their_deadline() -> None:
    """Never written is provably not delivered."""
    controller = LinesLink("controller")
    early = controller.send(b"set 1 on", now=0, deadline=5)
    late = controller.send(b"set 2 on", now=0, deadline=50)
    cancelled = controller.send(b"set 3 on", now=0, deadline=50)
    assert (controller.oldest_in_flight_at, controller.next_deadline()) == (0, 5)
    controller.handle_timer(now=5)
    controller.cancel(cancelled, now=6)
    assert events_of(controller) == [
        Settled(early, Outcome.NOT_DELIVERED, "its deadline passed", 5),
        Settled(cancelled, Outcome.NOT_DELIVERED, "cancelled", 6),
    ]
    controller.connection_made(now=7)
    assert controller.data_to_send(now=7) == b""
    controller.receive_data(b"hello lamp-7\n", now=8)
    assert controller.data_to_send(now=8) == b"set 2 on\n"
    assert events_of(controller)[-1] == Settled(late, Outcome.WRITTEN, "", 8)


def test_withdraw_gives_back_what_was_not_written() -> None:
    """What was written has ended; nobody holds it."""
    controller = LinesLink("controller")
    number = controller.send(b"set 1 on", now=0, deadline=5)
    withdrawal = controller.withdraw(now=0)
    assert (withdrawal.unsent, withdrawal.in_doubt, controller.queued) == ((number,), (), 0)


def test_warning_reaches_the_device_and_changes_nothing_else() -> None:
    """The deprecated listener warns in words, on one line whatever the text."""
    controller = connected_controller()
    controller.say("warn", "move to native\nsoon")
    controller.write(b"set 1 on", now=0)
    device = LinesLink("device", LinesConfig(name="lamp-7"))
    device.connection_made(now=0)
    device.receive_data(controller.data_to_send(now=0), now=0)
    assert list(device.warnings) == ["move to native soon"]
    assert [type(event) for event in events_of(device)] == [Opened, Received]


def test_refusal_in_words_is_final() -> None:
    """The device knows why, and that dialling again is pointless."""
    controller = connected_controller()
    controller.say("error", "the lines listener is removed; use native")
    device = LinesLink("device", LinesConfig(name="lamp-7"))
    device.connection_made(now=0)
    events_of(device)
    device.receive_data(controller.data_to_send(now=0), now=0)
    assert events_of(device) == [Dropped("the lines listener is removed; use native", "us", final=True)]


@pytest.mark.parametrize(
    "first", [b"set 1 on\n", b"hello\n", b"hello a b\n", b"hello a seq x\n", b"hello \xff\n", b"\n", b"h" * 5000]
)
def test_connection_that_does_not_begin_with_hello_is_dropped(first: bytes) -> None:
    """Nonsense costs the connection and nothing else."""
    controller = LinesLink("controller")
    controller.connection_made(now=0)
    controller.receive_data(first, now=0)
    (dropped,) = events_of(controller)
    assert isinstance(dropped, Dropped)
    assert (dropped.culprit, dropped.final, controller.decode_errors) == ("peer", False, 1)
    controller.receive_data(b"hello lamp-7\n", now=0)
    assert events_of(controller) == []


def test_line_over_the_limit_drops_the_connection() -> None:
    """Nothing is buffered without end, newline or not."""
    for tail in (b"", b"\n"):
        controller = connected_controller(LinesConfig(line_max_bytes=32))
        controller.receive_data(b"status 1\n" + b"x" * 33 + tail, now=0)
        assert [type(event) for event in events_of(controller)] == [Received, Dropped]


def test_limits_have_names() -> None:
    """Queue, line, unsent bytes and missing connection are told apart."""
    link = LinesLink("controller", LinesConfig(send_queue_max=1, line_max_bytes=32))
    link.send(b"set 1 on", now=0, deadline=1)
    with pytest.raises(QueueFull):
        link.send(b"set 2 on", now=0, deadline=1)
    with pytest.raises(MessageTooLarge):
        link.send(b"x" * 33, now=0, deadline=1)
    with pytest.raises(ConnectionUnavailable):
        link.write(b"set 3 on", now=0)
    for payload in (b"", b"a\nb", b"a\r"):
        with pytest.raises(UsageError, match="exactly one line"):
            link.send(payload, now=0, deadline=1)
    with pytest.raises(UsageError, match="short name"):
        LinesLink("device", LinesConfig(name="two words"))
    stalled = connected_controller(LinesConfig(unsent_max_bytes=4096))
    stalled.write(b"x" * 4000, now=0)
    with pytest.raises(QueueFull, match="unsent bytes"):
        stalled.write(b"x" * 100, now=0)


def test_unprocessed_and_unanswered_are_bounded() -> None:
    """An application that never answers, and a device that never does."""
    controller = connected_controller(LinesConfig(unprocessed_max=3, unanswered_max=3))
    controller.receive_data(b"status 1\n" * 5, now=0)
    assert (len(events_of(controller)), controller.overflowed) == (3, 2)
    for number in range(5):
        controller.write(b"set %d on" % number, now=0)
    assert (controller.unanswered, controller.observed_missing) == (3, 2)


@given(st.lists(st.binary(max_size=60), max_size=20), st.lists(st.integers(0, 400), max_size=10))
def test_lines_come_out_whole_however_the_bytes_are_cut(lines: list[bytes], cuts: list[int]) -> None:
    """Reads know nothing of lines."""
    wanted = [line.replace(b"\n", b"").replace(b"\r", b"") for line in lines]
    stream = b"".join(line + b"\n" for line in wanted)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    reader, got = LineReader(), []
    for start, end in itertools.pairwise(places):
        found, overlong = reader.feed(stream[start:end])
        assert not overlong
        got += found
    assert got == wanted


@given(st.text(max_size=30), st.booleans())
def test_greeting_reads_back_or_is_refused(name: str, sequenced: bool) -> None:
    """No name can be written that would be read as another."""
    greeting = Greeting(name, sequenced)
    try:
        line = greeting_line(greeting)
    except UsageError:
        return
    assert read_greeting(line) == greeting


@given(st.lists(st.binary(max_size=200), max_size=10), st.booleans())
def test_no_bytes_can_raise_an_error(pieces: list[bytes], as_device: bool) -> None:
    """Also not a number with thousands of digits."""
    link = LinesLink("device", LinesConfig(name="a")) if as_device else LinesLink("controller")
    link.connection_made(now=0)
    for piece in (b"hello a\nok " + b"9" * 3000 + b"\n", *pieces):
        link.receive_data(piece, now=0)
        events_of(link)
    assert number_in(b"ok " + b"9" * 21) is None

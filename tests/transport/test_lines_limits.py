"""The lines wire at its edges: both ends, exact limits, bad bytes, and peers that don't read."""

import pytest

from agt.transport import Dropped, Event, Opened, Outcome, Received, Settled
from agt.transport.wires.lines import LinesConfig, LinesLink


def events_of(link: LinesLink) -> list[Event]:
    """Pull everything."""
    events = []
    while (event := link.next_event()) is not None:
        events.append(event)
    return events


def ends(config: LinesConfig | None = None) -> tuple[LinesLink, LinesLink]:
    """A controller and a device that have said hello, nothing left to write."""
    controller = LinesLink("controller", config)
    device = LinesLink("device", LinesConfig(name="lamp-7"))
    for link in (controller, device):
        link.connection_made(now=0)
    controller.receive_data(device.data_to_send(now=0), now=0)
    for link in (controller, device):
        assert isinstance(events_of(link)[0], Opened)
    return controller, device


def test_both_ends_send_and_reply() -> None:
    """A device reports, the controller says ok; the controller commands, the device says ok."""
    controller, device = ends()
    for sender, receiver, line in ((device, controller, b"status 4 on"), (controller, device, b"set 5 off")):
        written = sender.write(line, now=1)
        receiver.receive_data(sender.data_to_send(now=1), now=1)
        (received,) = events_of(receiver)
        assert isinstance(received, Received)
        assert received.payloads == [line]
        receiver.acknowledge(received.token, now=1)
        sender.receive_data(receiver.data_to_send(now=1), now=1.5)
        (observed,) = events_of(sender)
        assert (observed.message, observed.latency_s) == (written, 0.5)


def test_a_refused_message_gets_no_reply() -> None:
    """Which is all that this wire can say."""
    controller, device = ends()
    controller.write(b"set 5 off", now=1)
    device.receive_data(controller.data_to_send(now=1), now=1)
    (received,) = events_of(device)
    assert isinstance(received, Received)
    device.refuse(received.token, "rejected", now=1)
    device.acknowledge(received.token, now=1)
    assert device.data_to_send(now=1) == b""


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_a_line_may_be_as_long_as_the_limit_and_no_longer(ending: bytes) -> None:
    """With either line ending; one byte more costs the connection."""
    limit = 64
    controller, _ = ends(LinesConfig(line_max_bytes=limit))
    longest = b"x" * (limit - len(ending) + 1)
    controller.receive_data(longest + ending, now=0)
    (received,) = events_of(controller)
    assert isinstance(received, Received)
    assert received.payloads == [longest]
    controller.receive_data(b"x" * (limit + 1) + ending, now=0)
    (dropped,) = events_of(controller)
    assert isinstance(dropped, Dropped)
    assert "over 64 bytes" in dropped.reason


@pytest.mark.parametrize(
    "line", [b"\xff\xfe\x00status", b"\x00", b"ok ok", b"set 99999999999999999999999 on", b"hello a"]
)
def test_bytes_that_mean_nothing_here_are_the_applications_business(line: bytes) -> None:
    """Handed on as they came, or counted; the connection stays."""
    controller, _ = ends()
    controller.receive_data(line + b"\nstatus 1\n", now=0)
    received = [event for event in events_of(controller) if isinstance(event, Received)]
    assert received[-1].payloads == [b"status 1"]
    assert len(received) + controller.decode_errors == 2


def test_queued_messages_wait_while_the_socket_is_stalled() -> None:
    """Time passing moves no more bytes into memory than the limit; the queue's own limit does the rest."""
    controller, _ = ends(LinesConfig(unsent_max_bytes=4096, send_queue_max=1000))
    messages = [controller.send(b"%04d" % n + b"x" * 1000, now=0, deadline=50) for n in range(100)]
    for now in range(1, 9):
        controller.handle_timer(now=now)  # The driver is stuck in its last write.
    assert controller.queued >= 95
    written = b""
    for _ in range(100):
        written += controller.data_to_send(now=9)
    assert written.count(b"\n") == 100
    assert [event.message for event in events_of(controller) if isinstance(event, Settled)] == messages


def test_messages_that_wait_for_a_stalled_socket_still_end_in_time() -> None:
    """Never written is provably not delivered."""
    controller, _ = ends(LinesConfig(unsent_max_bytes=4096))
    for _ in range(50):
        controller.send(b"x" * 1000, now=0, deadline=5)
    controller.handle_timer(now=1)
    controller.handle_timer(now=5)
    outcomes = [event.outcome for event in events_of(controller) if isinstance(event, Settled)]
    assert outcomes.count(Outcome.NOT_DELIVERED) == 50 - outcomes.count(Outcome.WRITTEN) >= 45
    assert controller.queued == 0


def test_a_peer_that_asks_on_and_never_reads_is_dropped() -> None:
    """Its answers don't pile up without end."""
    controller, _ = ends(LinesConfig(unsent_max_bytes=4096))
    dropped: list[Dropped] = []
    for number in range(5000):
        controller.receive_data(b"status %d\n" % number, now=0)
        for event in events_of(controller):
            if isinstance(event, Dropped):
                dropped.append(event)
            elif isinstance(event, Received):
                controller.acknowledge(event.token, now=0)
    assert [event.culprit for event in dropped] == ["peer"]
    assert len(controller.data_to_send(now=0)) <= 2 * 4096 + 64

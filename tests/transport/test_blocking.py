"""The driver for plain threads over real sockets: what is its own, beside what conformance asks of every driver."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from agt.transport import Closed, Outcome, ReceivedMessage, ReliableConfig, TCPConnection, TransportMetrics, UsageError
from agt.transport.blocking import BlockingListener, BlockingSession, BlockingTransport, _io_thread
from agt.transport.blocking._poller import SelectorPoller
from agt.transport.testing import PlainLink
from support.driver_harness import until
from support.scenes import but, unused_port

ROOMY = ReliableConfig(send_queue_max=2000, recv_queue_max=2000, backoff_base_s=0.01, backoff_max_s=0.02)


@contextmanager
def pair(
    on_message: Callable[[ReceivedMessage], None] | None = None,
    device_gets: Callable[[ReceivedMessage], None] | None = None,
) -> Iterator[tuple[BlockingTransport, BlockingSession]]:
    """Connect a device to a controller."""
    with (
        BlockingListener(name="controller", on_message=on_message, config=ROOMY) as listener,
        BlockingTransport(
            TCPConnection("127.0.0.1", listener.port), name="device", on_message=device_gets, config=ROOMY
        ) as device,
    ):
        assert device.wait_connected(5)
        yield device, listener.sessions["device"]


def in_thread(work: Callable[[], object]) -> threading.Thread:
    """Start a thread."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def io_threads() -> list[str]:
    """Return the names of the threads that drivers run."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("agt-")]


# Many threads


def test_any_number_of_threads_may_send_and_wait_on_one_transport() -> None:
    """Each waits for its own outcomes; what one thread sends keeps its order."""
    seen: list[bytes] = []
    failed: list[object] = []
    with pair(lambda message: seen.append(message.payload)) as (device, _):

        def send(thread: int) -> None:
            failed.extend(
                each for number in range(40) if not (each := device.send_reliable(b"%d %d" % (thread, number)))
            )

        threads = [in_thread(lambda thread=thread: send(thread)) for thread in range(5)]
        for thread in threads:
            thread.join(20)
    assert (failed, len(seen)) == ([], 200)
    for thread_number in range(5):
        assert [one for one in seen if one.startswith(b"%d " % thread_number)] == [
            b"%d %d" % (thread_number, number) for number in range(40)
        ]


def test_threads_that_receive_get_each_message_once() -> None:
    """Two takers, one stream of messages: together they have all, none twice."""
    with pair() as (device, controller):
        taken: list[bytes] = []

        def take() -> None:
            while (message := controller.receive(5)).payload != b"stop":
                message.ack()
                taken.append(message.payload)
            message.ack()

        takers = [in_thread(take) for _ in range(2)]
        sent = [device.send(b"%d" % number) for number in range(100)]
        sent += [device.send(b"stop"), device.send(b"stop")]
        assert {each.result(10) for each in sent} == {Outcome.DELIVERED}
        for taker in takers:
            taker.join(10)
    assert sorted(taken, key=int) == [b"%d" % number for number in range(100)]


def test_a_thread_that_waits_for_a_message_also_reads_the_answers_for_others() -> None:
    """Only one reads the socket; nobody else's outcome waits for its message to come."""
    with pair() as (device, controller):
        reader = in_thread(lambda: device.recv_reliable(10).ack())
        sent = device.send_nowait(b"up")
        controller.receive(5).ack()
        assert sent.result(5) is Outcome.DELIVERED
        assert reader.is_alive()
        assert controller.send_reliable(b"down")
        reader.join(5)


def test_closing_ends_every_wait_and_the_thread() -> None:
    """Receivers learn that nothing will come, senders what became of their message; no thread is left."""
    ended: list[object] = []
    with BlockingListener(config=ROOMY) as listener:
        device = BlockingTransport(TCPConnection("127.0.0.1", listener.port), name="device", config=ROOMY).start()
        assert device.wait_connected(5)

        def receive() -> None:
            with pytest.raises(Closed):
                device.recv_reliable()
            ended.append("receiver")

        waiting = [in_thread(receive), in_thread(receive), in_thread(lambda: ended.append(device.send_reliable(b"x")))]
        listener.sessions["device"].receive(5)
        device.close(drain_s=0)
        for thread in waiting:
            thread.join(5)
    assert ended.count("receiver") == 2
    (delivery,) = [each for each in ended if each != "receiver"]
    assert delivery.outcome is Outcome.INDETERMINATE
    assert io_threads() == []


def test_a_signal_handler_that_raises_leaves_the_transport_whole() -> None:
    """A wait that Ctrl-C ends gives the socket back: messages are read and answered as before."""

    class Interrupted(Exception):
        """What the handler raises, as KeyboardInterrupt would be."""

    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pair() as (device, controller):
            waiting = threading.Event()
            main = threading.main_thread().ident
            assert main is not None

            def send_signal() -> None:
                waiting.wait(5)
                until(lambda: device.session._waiting._polling)
                signal.pthread_kill(main, signal.SIGUSR1)

            sender = in_thread(send_signal)
            waiting.set()
            with pytest.raises(Interrupted):
                device.recv_reliable(10)
            sender.join(5)
            sent = controller.send_nowait(b"x")
            until(lambda: device.session.waiting == 1)
            device.recv_reliable(5).ack()
            assert sent.result(5) is Outcome.DELIVERED
    finally:
        signal.signal(signal.SIGUSR1, before)


# Waiting and callbacks


def test_waits_end_when_their_time_is_over() -> None:
    """A handle says whether it has ended, a receiver that nothing came; the message is still on its way."""
    with pair() as (device, controller):
        sent = device.send_nowait(b"x")
        assert not sent.wait(0.01)
        with pytest.raises(TimeoutError, match="has not ended"):
            sent.result(0.01)
        with pytest.raises(TimeoutError, match="no message within"):
            device.recv_reliable(0.01)
        with pytest.raises(TimeoutError, match="no message within"):
            device.recv_batch(10, 0.01)
        controller.receive(5).ack()
        assert sent.result(5) is Outcome.DELIVERED


def test_done_callbacks_may_send_on() -> None:
    """Ten messages in a row, each sent when the one before has ended; a late callback is called at once."""
    done = threading.Event()
    with pair(lambda _: None) as (device, _):

        def next_one(number: int) -> None:
            if number == 10:
                done.set()
                return
            device.send_nowait(b"%d" % number).add_done_callback(lambda _: next_one(number + 1))

        next_one(0)
        assert done.wait(5)
        delivery = device.send_reliable(b"last")
        called: list[object] = []
        delivery.add_done_callback(called.append)
        assert called == [delivery]


def test_waiting_in_a_callback_is_refused_in_words() -> None:
    """It would wait for itself: the I/O thread brings what is waited for."""
    errors: list[UsageError] = []

    def wait(message: ReceivedMessage) -> None:
        for work in (
            lambda: device.send_reliable(b"y"),
            lambda: device.send(b"y"),
            lambda: device.recv_reliable(1),
            lambda: device.wait_connected(1),
        ):
            with pytest.raises(UsageError, match="would wait for itself") as error:
                work()
            errors.append(error.value)
        device.send_nowait(message.payload)

    with pair(device_gets=wait) as (device, controller):
        assert controller.send_reliable(b"x")
        message = controller.receive(5)
        message.ack()
        assert message.payload == b"x"
    assert len(errors) == 4


def test_a_slow_handler_holds_up_no_other_thread() -> None:
    """Whoever waits reads for itself, so its outcome comes though the I/O thread is busy in a handler."""
    handling, go_on = threading.Event(), threading.Event()

    def handle(_: ReceivedMessage) -> None:
        handling.set()
        go_on.wait(10)

    with pair(device_gets=handle) as (device, controller):
        slow = controller.send_nowait(b"slow")
        assert handling.wait(5)
        first = device.send_nowait(b"from another thread")
        controller.receive(5).ack()
        assert first.result(5) is Outcome.DELIVERED
        assert not slow.done
        go_on.set()
        assert slow.result(5) is Outcome.DELIVERED


def test_callbacks_that_fail_are_logged_and_hurt_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A done callback that raises is the application's own trouble."""
    with pair() as (device, controller):
        first = device.send_nowait(b"x")
        first.add_done_callback(lambda delivery: delivery.nonsense)  # type: ignore[attr-defined]
        for sent in (first, device.send_nowait(b"y")):
            controller.receive(5).ack()
            assert sent.result(5) is Outcome.DELIVERED
        until(lambda: "a callback of the session with 'controller' failed" in caplog.text)


def test_what_was_refused_for_good_is_kept_under_the_id_that_both_sides_know() -> None:
    """Somebody can look at it, mend it and send it again."""
    with pair() as (device, controller):
        sent = device.send_nowait(b"who wants this?")
        message = controller.receive(5)
        assert message.id == sent.id != ""
        message.refuse("malformed")
        assert sent.result(5) is Outcome.NOT_DELIVERED
        (letter,) = device.session.dead_letters
        assert (letter.id, letter.payload, letter.code) == (message.id, b"who wants this?", "malformed")


def test_draining_ends_a_connection_with_nothing_in_doubt() -> None:
    """What was sent is answered first, on both sides, and then the two part in words."""
    with pair(lambda _: None) as (device, _):
        sent = [device.send_nowait(b"%d" % number) for number in range(50)]
        assert device.session.drain(5)
        assert {each.outcome for each in sent} == {Outcome.DELIVERED}


def test_a_drained_connection_is_gone_though_the_next_one_is_there() -> None:
    """A dialler comes back at once: whoever waits for the end must not wait for that of the new one."""
    with pair(lambda _: None) as (device, _):
        assert device.session.begin_drain(5, "a look")
        until(lambda: device.session.greetings == 2)
        assert device.session.wait_gone(0)


def test_a_planned_restart_leaves_nothing_in_doubt_and_names_who_did_not_finish() -> None:
    """A listener is drained while a device sends on: all is delivered once, over both; an open message is named."""
    port, seen, opened = unused_port(), list[bytes](), list[ReceivedMessage]()

    def on_message(message: ReceivedMessage) -> None:
        if message.payload == b"open":
            message.defer()
            opened.append(message)
        seen.append(message.payload)

    config = but(ROOMY, recv_queue_max=20)
    address = TCPConnection("127.0.0.1", port)
    with BlockingTransport(address, name="busy", config=config) as busy:
        with (
            BlockingTransport(address, name="idle", config=config) as idle,
            BlockingListener(port=port, on_message=on_message, config=config) as listener,
        ):
            idle.send_nowait(b"open")
            sent = [busy.send_nowait(b"%d" % number) for number in range(1000)]
            until(lambda: b"20" in seen and opened)
            assert listener.drain(0.3, reason="restart", retry_after_s=0.02) == ("idle",)
            assert not any(session.connected for session in listener.sessions.values())
            until(lambda: "restart, come back in 0.0" in busy.last_error)
        with BlockingListener(port=port, on_message=on_message, config=config):
            assert {message.result(5) for message in sent} == {Outcome.DELIVERED}
    assert sorted(int(payload) for payload in seen if payload != b"open") == list(range(1000))


# The thread


def test_threads_are_named_daemons_and_there_is_one_each() -> None:
    """A thread dump says whose they are; a program that forgets to close can still end."""
    before = io_threads()
    with pair():
        ours = [thread for thread in threading.enumerate() if thread.name.startswith("agt-")]
        assert len(ours) - len(before) == 2
        assert "agt-controller" in [thread.name for thread in ours]
        assert all(thread.daemon for thread in ours)
    assert io_threads() == before


def test_a_failure_of_the_thread_ends_everything_in_words(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for ever for a thread that is gone."""

    class Broken(PlainLink):
        def handle_timer(self, *, now: float) -> None:
            raise RuntimeError("a bug")

    with (
        BlockingListener() as listener,
        BlockingTransport(
            TCPConnection("127.0.0.1", listener.port), make_link=lambda name, _: Broken(name)
        ) as transport,
    ):
        delivery = transport.send_reliable(b"x", deadline_s=0.05)
        assert delivery.outcome is Outcome.NOT_DELIVERED
        assert "I/O thread failed" in delivery.reason
    assert "a bug" in caplog.text


def test_without_epoll_selectors_do() -> None:
    """The same on systems that have no epoll."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_io_thread, "make_poller", SelectorPoller)
        with pair() as (device, controller):
            for number in range(20):
                sent = device.send_nowait(b"%d" % number + bytes(100_000))
                message = controller.receive(5)
                assert message.payload[:2].rstrip(b"\0") == b"%d" % number
                message.ack()
                assert sent.result(5) is Outcome.DELIVERED


def test_metrics_may_be_shared_and_read_while_they_grow() -> None:
    """Several transports, several threads, one count, exact."""
    metrics = TransportMetrics()
    with BlockingListener(on_message=lambda _: None, config=ROOMY) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        with (
            BlockingTransport(address, name="a", metrics=metrics, config=ROOMY) as a,
            BlockingTransport(address, name="b", metrics=metrics, config=ROOMY) as b,
        ):
            threads = [
                in_thread(lambda transport=transport: [transport.send(b"x") for _ in range(200)])
                for transport in (a, b, a, b)
            ]
            while any(thread.is_alive() for thread in threads):
                assert len(metrics.in_flight_older_than()) == 4
            until(lambda: metrics.outcomes[Outcome.DELIVERED] == 800)
            assert (metrics.accepted, metrics.acks_received, sum(metrics.latency_counts)) == (800, 800, 800)


FORK = """
import os, sys
from agt.transport import TCPConnection, UsageError
from agt.transport.blocking import BlockingListener, BlockingTransport
with BlockingListener(on_message=lambda _: None) as listener:
    with BlockingTransport(TCPConnection("127.0.0.1", listener.port)) as transport:
        assert transport.send_reliable(b"before")
        child = os.fork()
        if not child:
            for use in (lambda: transport.send_nowait(b"x"), lambda: transport.recv_reliable(1), transport.close):
                try:
                    use()
                except UsageError as error:
                    assert "before a fork" in str(error)
                else:
                    os._exit(1)
            with BlockingTransport(TCPConnection("127.0.0.1", listener.port)) as own:
                os._exit(0 if own.send_reliable(b"from the child") else 2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert transport.send_reliable(b"after")
        assert transport.metrics.connections == 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_told_that_threads_stay_behind() -> None:
    """What the parent made is refused there in words, its own works, and the parent's connection doesn't notice."""
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")

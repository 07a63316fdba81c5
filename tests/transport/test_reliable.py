"""ReliableTransport and ReliableListener over real sockets: delivery, resume, deadlines, refusals."""

import socket
import stat
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio.abc import ByteStream

from agt.transport import (
    Closed,
    ConnectionUnavailable,
    Outcome,
    Overflow,
    QueueFull,
    ReceivedMessage,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    Session,
    TCPConnection,
    UnixConnection,
    UsageError,
)

pytestmark = pytest.mark.anyio

FAST = ReliableConfig(backoff_base_s=0.01, backoff_max_s=0.02, send_queue_max=5000, recv_queue_max=50)


def unused_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def read_to_the_end(stream: ByteStream) -> None:
    """Read until the other side has closed."""
    while True:
        await stream.receive()


async def test_a_message_is_true_when_delivered_and_the_reply_comes_back(until):
    """Both directions of one connection are reliable."""
    async with (
        ReliableListener() as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="device-1") as transport,
        anyio.create_task_group() as tasks,
    ):

        async def controller() -> None:
            await until(lambda: listener.sessions)
            session = listener.sessions["device-1"]
            message = await session.receive()
            message.ack()
            assert await session.send_nowait(b"ok " + message.payload)

        tasks.start_soon(controller)
        assert await transport.send_reliable(b"set 1 5")
        reply = await transport.recv_reliable()
        assert (reply.payload, reply.peer) == (b"ok set 1 5", "listener")
        reply.ack()


async def test_an_unknown_refusal_code_leaves_the_message_to_be_answered(until):
    """A slip of the handler must not leave its sender, and all behind it, waiting for an answer that never comes."""
    async with (
        ReliableListener() as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="d") as transport,
    ):
        delivery = transport.send_nowait(b"x")
        await until(lambda: listener.sessions)
        message = await listener.sessions["d"].receive()
        with pytest.raises(UsageError, match="no refusal code"):
            message.refuse("no such code")
        message.refuse("rejected")
        await delivery
    assert (delivery.outcome, delivery.reason) == (Outcome.NOT_DELIVERED, "refused by the peer: rejected")


async def test_an_older_process_stays_fenced_after_the_listener_was_restarted(until):
    """The restarted listener remembers nobody, yet whoever claimed a name under the former one is the older process."""
    port, restart = unused_port(), anyio.Event()

    async def former() -> None:
        async with ReliableListener(port=port):
            await restart.wait()

    address = TCPConnection("127.0.0.1", port)
    async with anyio.create_task_group() as tasks, ReliableTransport(address, name="d", config=FAST) as old:
        tasks.start_soon(former)
        await old.wait_connected()
        restart.set()
        await until(lambda: not old.connected)
        async with ReliableTransport(address, name="d", config=FAST) as new, ReliableListener(port=port):
            await until(lambda: new.connected and "stale generation" in str(old.last_error))


async def test_a_unix_socket_is_ours_alone_and_gone_afterwards(tmp_path: Path):
    """Mode 0600 while it listens, no file left behind."""
    path = tmp_path / "s.sock"
    async with ReliableListener(path=str(path), on_message=lambda _: None):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        async with ReliableTransport(UnixConnection(str(path))) as transport:
            assert await transport.send_reliable(b"x")
    assert not path.exists()


async def test_connections_cut_in_mid_flight_lose_and_double_nothing(cable):
    """Every message is handed over once, in order, over a connection that breaks every few hundred bytes."""
    seen: list[bytes] = []
    async with (
        ReliableListener(on_message=lambda message: seen.append(message.payload), config=FAST) as listener,
        cable(listener.port) as wire,
        ReliableTransport(TCPConnection("127.0.0.1", wire.port), name="d", config=FAST) as transport,
    ):
        wire.cut_after = 300
        deliveries = [transport.send_nowait(b"%d" % number) for number in range(200)]
        for delivery in deliveries:
            assert await delivery, delivery
        assert transport.metrics.reconnections >= 5
    assert seen == [b"%d" % number for number in range(200)]


async def test_a_session_keeps_its_identity_over_reconnects(cable, until):
    """The listener announces a peer once; its session moves to the new connection, with what was queued for it."""
    announced: list[Session] = []
    async with (
        ReliableListener(on_peer=announced.append, config=FAST) as listener,
        cable(listener.port) as wire,
        ReliableTransport(TCPConnection("127.0.0.1", wire.port), name="d", config=FAST) as transport,
    ):
        await transport.wait_connected()
        session = listener.sessions["d"]
        wire.plugged = False
        wire.cut()
        await until(lambda: not (session.connected or transport.connected))
        delivery = session.send_nowait(b"queued for later")
        wire.plugged = True
        (await transport.recv_reliable()).ack()
        assert await delivery
        assert listener.sessions["d"] is session
    assert announced == [session]


async def test_the_first_redial_after_a_healthy_connection_comes_at_once(cable, until):
    """With pauses of an hour configured, a connection that got messages through is replaced without one."""
    config = ReliableConfig(backoff_base_s=3600, backoff_max_s=3600)
    async with (
        ReliableListener(on_message=lambda _: None) as listener,
        cable(listener.port) as wire,
        ReliableTransport(TCPConnection("127.0.0.1", wire.port), config=config) as transport,
    ):
        for _ in range(3):
            assert await transport.send_reliable(b"x")
            wire.cut()
            await until(lambda: not transport.connected)
        assert await transport.send_reliable(b"x")
    assert wire.dialled == 4


async def test_a_listener_that_comes_later_is_found(until):
    """Messages wait in the queue while there is nobody to dial."""
    port = unused_port()
    async with ReliableTransport(TCPConnection("127.0.0.1", port), config=FAST) as transport:
        delivery = transport.send_nowait(b"x")
        await until(lambda: "refused" in transport.last_error)
        async with ReliableListener(port=port, on_message=lambda _: None):
            assert await delivery


async def test_without_a_peer_a_message_ends_at_its_deadline_as_not_delivered():
    """What was never written provably did not arrive; the wait is the deadline's, not the backoff's."""
    async with ReliableTransport(TCPConnection("127.0.0.1", unused_port())) as transport:
        delivery = await transport.send_reliable(b"x", deadline_s=0.05)
    assert not delivery
    assert delivery.outcome is Outcome.NOT_DELIVERED
    assert delivery.reason


async def test_a_message_that_is_never_processed_is_indeterminate_at_its_deadline():
    """Written, handed to the application, not answered: nobody can know."""
    async with (
        ReliableListener() as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port)) as transport,
    ):
        delivery = await transport.send_reliable(b"x", deadline_s=0.3)
    assert delivery.outcome is Outcome.INDETERMINATE


async def test_a_refused_message_says_why():
    """The application's word reaches the sender, and nothing is sent again."""

    def refuse(message: ReceivedMessage) -> None:
        message.refuse("malformed")

    async with (
        ReliableListener(on_message=refuse) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port)) as transport,
    ):
        delivery = await transport.send_reliable(b"x")
    assert (delivery.outcome, delivery.resends) == (Outcome.NOT_DELIVERED, 0)
    assert "malformed" in delivery.reason


async def test_a_sender_that_was_forgotten_learns_it_and_nothing_is_repeated(cable, until):
    """A listener that restarts without its memory makes what was in flight indeterminate, not doubled."""
    kept: list[ReceivedMessage] = []

    def keep(message: ReceivedMessage) -> None:
        message.defer()
        kept.append(message)

    port = unused_port()
    async with ReliableTransport(TCPConnection("127.0.0.1", port), name="d", config=FAST) as transport:
        async with ReliableListener(port=port, on_message=keep, config=FAST):
            delivery = transport.send_nowait(b"in flight")
            await until(lambda: kept)
        seen: list[bytes] = []
        async with ReliableListener(port=port, on_message=lambda m: seen.append(m.payload), config=FAST):
            await delivery
            assert await transport.send_reliable(b"after")
    assert delivery.outcome is Outcome.INDETERMINATE
    assert seen == [b"after"]


async def test_a_newer_process_of_the_same_name_fences_the_older_one(until):
    """The older one is told so in words, stops dialling, and its sends end at once."""
    async with ReliableListener(on_message=lambda _: None, config=FAST) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with ReliableTransport(address, name="d", config=FAST) as older:
            assert await older.send_reliable(b"x")
            async with ReliableTransport(address, name="d", config=FAST) as newer:
                assert await newer.send_reliable(b"y")
                await until(lambda: older.session.closed)
                delivery = await older.send_reliable(b"z")
                assert delivery.outcome is Outcome.NOT_DELIVERED
                assert "stale generation" in delivery.reason
                with pytest.raises(ConnectionUnavailable, match="stale generation"):
                    await older.wait_connected()
                assert await newer.send_reliable(b"y")


async def test_reject_tells_the_caller_at_once():
    """A full queue is the caller's to handle; the limit is named."""
    async with ReliableTransport(
        TCPConnection("127.0.0.1", unused_port()), send_queue_max=2, overflow=Overflow.REJECT
    ) as transport:
        transport.send_nowait(b"a")
        transport.send_nowait(b"b")
        with pytest.raises(QueueFull, match="2 messages"):
            await transport.send_reliable(b"c")
    assert transport.metrics.queue_full == 1


async def test_leaving_settles_what_is_left_and_refuses_more():
    """No handle stays open, and using a closed transport is an error."""
    async with ReliableTransport(TCPConnection("127.0.0.1", unused_port())) as transport:
        delivery = transport.send_nowait(b"x")
    assert (delivery.outcome, delivery.reason) == (Outcome.NOT_DELIVERED, "the transport was closed")
    with pytest.raises(Closed):
        transport.send_nowait(b"y")
    with pytest.raises(Closed):
        await transport.recv_reliable()


async def test_a_cancelled_send_gives_its_message_up():
    """Nobody waits any more, so nobody is left to be delivered to."""
    async with ReliableTransport(TCPConnection("127.0.0.1", unused_port())) as transport:
        with anyio.move_on_after(0.01):
            await transport.send_reliable(b"x")
        assert transport.session.queued == 0


async def test_acknowledgements_given_just_before_leaving_are_not_lost():
    """Closing waits a moment for what is still to be written."""
    async with ReliableListener() as listener:
        async with ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="d") as transport:
            await transport.wait_connected()
            delivery = listener.sessions["d"].send_nowait(b"x")
            (await transport.recv_reliable()).ack()
        assert await delivery


async def test_nonsense_before_the_hello_costs_the_connection_only():
    """A caller that speaks another protocol is let go; the others don't notice."""
    async with ReliableListener(on_message=lambda _: None) as listener:
        stream = await TCPConnection("127.0.0.1", listener.port).connect()
        async with stream:
            await stream.send(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" + bytes(200))
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await read_to_the_end(stream)
        async with ReliableTransport(TCPConnection("127.0.0.1", listener.port)) as transport:
            assert await transport.send_reliable(b"x")
    assert listener.open_connections == 0


async def test_a_connection_that_says_nothing_is_closed_after_the_hello_timeout():
    """Silence costs a slot for a limited time."""
    async with ReliableListener(config=ReliableConfig(hello_timeout_s=0.05)) as listener:
        stream = await TCPConnection("127.0.0.1", listener.port).connect()
        async with stream:
            with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()


async def test_one_connection_too_many_is_closed_at_once():
    """The number of connections is bounded, and those that are there go on."""
    async with ReliableListener(on_message=lambda _: None, max_connections=1) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with ReliableTransport(address) as transport:
            assert await transport.send_reliable(b"x")
            stream = await address.connect()
            async with stream:
                with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()
            assert await transport.send_reliable(b"y")
    assert listener.turned_away == 1


async def test_senders_are_forgotten_oldest_first_when_there_is_no_room(until):
    """The number of remembered senders is bounded; whoever held the session is told."""
    gone: list[str] = []
    async with ReliableListener(
        on_message=lambda _: None, on_gone=lambda session: gone.append(session.peer), max_senders=2
    ) as listener:
        for name in ("a", "b", "c"):
            async with ReliableTransport(TCPConnection("127.0.0.1", listener.port), name=name) as transport:
                assert await transport.send_reliable(b"x")
            await until(lambda: not listener.open_connections)
        assert (sorted(listener.sessions), gone) == (["b", "c"], ["a"])
    assert gone == ["a", "b", "c"]


async def test_an_address_in_use_is_named():
    """A second listener gets one clear error, TCP and Unix alike."""
    async with ReliableListener() as listener:
        with pytest.raises(ConnectionUnavailable, match=f"{listener.port}: address already in use"):
            async with ReliableListener(port=listener.port):
                pass


async def test_a_unix_socket_in_use_is_not_taken_over_but_a_dead_one_is(tmp_path: Path):
    """Whoever listens keeps the path; what a crash left behind is no obstacle."""
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    async with ReliableListener(path=path):
        with pytest.raises(ConnectionUnavailable, match="another process listens there"):
            async with ReliableListener(path=path):
                pass
        async with await UnixConnection(path).connect():
            pass


async def test_a_path_too_long_for_a_unix_socket_is_refused_in_words(tmp_path: Path):
    """The kernel's own message names no limit."""
    path = str(tmp_path / ("x" * 120))
    with pytest.raises(ConnectionUnavailable, match="choose a shorter directory"):
        await UnixConnection(path).connect()
    with pytest.raises(ConnectionUnavailable, match="choose a shorter directory"):
        async with ReliableListener(path=path):
            pass


async def test_a_file_in_the_place_of_a_socket_is_left_alone(tmp_path: Path):
    """Nothing that is not a socket is removed."""
    path = tmp_path / "notes.txt"
    path.write_text("keep")
    with pytest.raises(ConnectionUnavailable, match="no socket"):
        async with ReliableListener(path=str(path)):
            pass
    assert path.read_text() == "keep"


@pytest.mark.parametrize(
    ("connection", "why"),
    [
        (UnixConnection("/nonexistent/s.sock"), "no such file"),
        (TCPConnection("host.invalid", 1), "host.invalid:1: "),
    ],
)
async def test_a_failed_dial_names_address_and_cause(connection, why: str):
    """One error with everything a log line needs."""
    with pytest.raises(ConnectionUnavailable, match=why):
        await connection.connect()


def test_a_setting_out_of_range_is_named():
    """The error says which field, at construction and not at run time."""
    with pytest.raises(msgspec.ValidationError, match="send_queue_max"):
        ReliableTransport(TCPConnection("127.0.0.1", 1), send_queue_max=0)

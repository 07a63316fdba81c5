"""What is held when somebody doesn't read, answer or stop: counted by the named limits, on real sockets.

Not by the process's size (the soak does that): a limit that is kept shows in counts long before it shows in megabytes.
"""

import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from agt.transport import (
    Outcome,
    Overflow,
    QueueFull,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    Session,
    TCPConnection,
    WireListener,
)
from agt.transport._connections import listen_tcp
from agt.transport.wires.lines import LinesConfig, LinesLink
from agt.transport.wires.native import FrameType, NativeAcceptor, NativeLink, encode_frame
from agt.transport.wires.native._link import ANSWERS_MAX

pytestmark = pytest.mark.anyio
KIB = 1024
SMALL = ReliableConfig(
    send_queue_max=50, recv_queue_max=40, in_flight_max=64, overflow=Overflow.REJECT, backoff_base_s=0.01
)
HEAVY = ReliableConfig(
    send_queue_max=1000,
    recv_queue_max=1000,
    send_queue_bytes_max=256 * KIB,
    recv_queue_bytes_max=256 * KIB,
    overflow=Overflow.REJECT,
)


def held_bytes(session: Session) -> int:
    """Payload bytes of everything that a session has accepted and not ended."""
    return sum(len(message.payload) for message in session.link.unsettled())


async def pour(session: Session, payload: bytes, *, rounds: int) -> int:
    """Send as much as is accepted, again and again; return how often there was no room."""
    refused = 0
    for _ in range(rounds):
        try:
            while True:
                session.send_nowait(payload, deadline_s=60)
        except QueueFull:
            refused += 1
        await anyio.lowlevel.checkpoint()
    return refused


@asynccontextmanager
async def deaf_acceptor(config: ReliableConfig, *, reads: bool) -> AsyncIterator[int]:
    """A native peer that welcomes whoever dials, and from then on never says anything; it reads, or not even that."""
    listening = await listen_tcp("127.0.0.1", 0)
    acceptor = NativeAcceptor("deaf", rng=random.Random(1))
    kept: list[socket.socket] = []

    async def serve() -> None:
        await anyio.wait_readable(listening)
        sock, _ = listening.accept()
        kept.append(sock)
        sock.setblocking(False)
        greeting = acceptor.greeting(now=0)
        while greeting.hello is None:
            await anyio.wait_readable(sock)
            greeting.receive_data(sock.recv(1024))
        link = acceptor.admit(greeting)
        link.connection_made(now=0)
        link.receive_data(greeting.data, now=0)
        sock.send(link.data_to_send(now=0))
        while reads:
            await anyio.wait_readable(sock)
            if not sock.recv(1 << 18):
                return

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        yield listening.getsockname()[1]
        tasks.cancel_scope.cancel()
    for sock in (*kept, listening):
        sock.close()


async def test_a_stalled_reader_holds_no_more_than_its_queue_and_stops_the_sender(until) -> None:
    """Nobody takes what has arrived: the receiver's queue, the window and the sender's queue are full; no more."""
    async with (
        ReliableListener(config=SMALL) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="dev-1", config=SMALL) as transport,
    ):
        await transport.wait_connected()
        session = transport.session
        await pour(session, b"x" * 100, rounds=50)
        receiver = listener.sessions["dev-1"]
        await until(lambda: receiver.waiting == SMALL.recv_queue_max)
        assert await pour(session, b"x" * 100, rounds=50) == 50
        assert receiver.waiting == SMALL.recv_queue_max
        assert session.in_flight == SMALL.recv_queue_max, "the receiver's queue is the window"
        assert session.queued == SMALL.send_queue_max
        for message in await receiver.receive_batch(10):
            message.ack()
        await until(lambda: session.queued < SMALL.send_queue_max)


async def test_large_messages_are_bounded_by_bytes_on_both_sides(until) -> None:
    """A thousand messages are allowed and 256 KiB of them; one message more may be over it at each place."""
    size = 30 * KIB
    async with (
        ReliableListener(config=HEAVY) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="dev-1", config=HEAVY) as transport,
    ):
        await transport.wait_connected()
        session = transport.session
        await until(lambda: "dev-1" in listener.sessions)
        receiver = listener.sessions["dev-1"]
        for _ in range(3):
            await pour(session, bytes(size), rounds=50)
            await until(lambda: receiver.waiting * size > HEAVY.recv_queue_bytes_max - 2 * size)
            assert receiver.waiting * size <= HEAVY.recv_queue_bytes_max + size
            assert session.queued * size <= HEAVY.send_queue_bytes_max
            assert held_bytes(session) <= HEAVY.send_queue_bytes_max + HEAVY.recv_queue_bytes_max + size
        await pour(session, bytes(size), rounds=1)
        with pytest.raises(QueueFull, match="262144 bytes"):
            session.send_nowait(bytes(size))


async def test_dropping_the_oldest_makes_room_in_bytes_too(until) -> None:
    """Many small ones give way for a large one, and are told so."""
    config = ReliableConfig(send_queue_bytes_max=100 * KIB, send_queue_max=1000, overflow=Overflow.DROP_OLDEST)
    async with ReliableTransport(TCPConnection("127.0.0.1", 1), config=config) as transport:
        small = [transport.send_nowait(bytes(1 * KIB), deadline_s=60) for _ in range(100)]
        large = transport.send_nowait(bytes(60 * KIB), deadline_s=60)
        assert transport.session.queued == 41
        assert [delivery.done for delivery in small] == [True] * 60 + [False] * 40
        assert {delivery.outcome for delivery in small[:60]} == {Outcome.NOT_DELIVERED}
        assert not large.done


@pytest.mark.parametrize("reads", [True, False])
async def test_a_peer_that_never_answers_holds_no_more_than_the_window(reads: bool) -> None:
    """Whether it reads or not: the window, the queue, and what the system's own buffers take; all ends in time."""
    config = ReliableConfig(
        send_queue_max=200, in_flight_max=100, overflow=Overflow.REJECT, max_retries=None, close_timeout_s=0.1
    )
    async with (
        deaf_acceptor(config, reads=reads) as port,
        ReliableTransport(TCPConnection("127.0.0.1", port), config=config) as transport,
    ):
        await transport.wait_connected()
        session = transport.session
        first = session.send_nowait(bytes(20 * KIB), deadline_s=0.3)
        assert await pour(session, bytes(20 * KIB), rounds=50) == 50
        assert session.in_flight <= config.in_flight_max
        assert session.queued <= config.send_queue_max
        assert held_bytes(session) <= (config.in_flight_max + config.send_queue_max) * 20 * KIB
        assert (await first).outcome is Outcome.INDETERMINATE


async def test_a_flood_over_the_window_costs_the_connection_and_holds_nothing(until) -> None:
    """A peer that ignores the window is a violation, found before its messages are kept."""
    async with ReliableListener(config=SMALL) as listener:
        link = NativeLink("flood", rng=random.Random(2))
        link.connection_made(now=0)
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.sendall(link.data_to_send(now=0))
        flood = b"".join(encode_frame(FrameType.DATA, n, 0, bytes(1000)) for n in range(1, 400))
        sock.sendall(flood)
        sock.setblocking(False)
        await until(lambda: "flood" in listener.sessions and not listener.open_connections)
        assert listener.sessions["flood"].waiting <= SMALL.recv_queue_max
        assert listener.metrics.decode_errors == 1
        sock.close()


async def test_questions_without_end_from_a_peer_that_does_not_read_cost_it_the_connection(until) -> None:
    """Answers to pings don't pile up behind a socket that takes none."""
    async with ReliableListener() as listener:
        link = NativeLink("asker", rng=random.Random(2))
        link.connection_made(now=0)
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(link.data_to_send(now=0))
        await until(lambda: "asker" in listener.sessions)
        sock.setblocking(False)
        pings = b"".join(encode_frame(FrameType.PING, n) for n in range(1, 2000))
        sent = 0
        with anyio.fail_after(10):
            while listener.open_connections:
                try:
                    sent += sock.send(pings)
                except BlockingIOError:
                    await anyio.lowlevel.checkpoint()
                except (ConnectionResetError, BrokenPipeError):
                    break
                else:
                    await anyio.lowlevel.checkpoint()
        assert len(listener.sessions["asker"].link._control) <= ANSWERS_MAX
        assert listener.metrics.decode_errors == 1
        sock.close()


async def test_a_flood_of_lines_is_bounded_and_counted(until) -> None:
    """No window on that wire: what the application doesn't take is dropped over `unprocessed_max`, never queued."""
    links: list[LinesLink] = []

    def make_link() -> LinesLink:
        links.append(LinesLink("controller", LinesConfig(unprocessed_max=200)))
        return links[-1]

    async with WireListener(make_link, recv_queue_max=100) as listener:
        sock = socket.create_connection(("127.0.0.1", listener.port))
        sock.sendall(b"hello lamp-7\n")
        await until(lambda: "lamp-7" in listener.sessions)
        sock.setblocking(False)
        for _ in range(200):
            try:
                sock.send(b"a\n" * 20_000)
            except BlockingIOError:
                await anyio.lowlevel.checkpoint()
        session = listener.sessions["lamp-7"]
        await until(lambda: session.waiting >= 200)
        assert session.waiting <= 200
        assert links[0].overflowed > 0
        sock.close()


async def test_senders_without_end_are_forgotten_as_they_come(until) -> None:
    """The names that a listener remembers are bounded, and so is everything that hangs on a name."""
    gone: list[str] = []
    limit = 20
    async with ReliableListener(max_senders=limit, on_gone=lambda session: gone.append(session.peer)) as listener:
        for number in range(3 * limit):
            link = NativeLink(f"dev-{number}", rng=random.Random(number))
            link.connection_made(now=0)
            with socket.create_connection(("127.0.0.1", listener.port)) as sock:
                sock.sendall(link.data_to_send(now=0))
                await until(lambda name=f"dev-{number}": name in listener.sessions)
                sock.setblocking(False)
                await anyio.wait_readable(sock)
                link.receive_data(sock.recv(4096), now=0)
                sock.send(link.data_to_send(now=0))
                await until(lambda name=f"dev-{number}": listener.sessions[name].connected)
            assert len(listener.sessions) <= limit
        assert len(listener.metrics.sending) <= limit
        assert len(gone) == 2 * limit

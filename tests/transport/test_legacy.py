"""The legacy way of sending, and legacy peers on a port: what it promises is little, and it keeps that."""

import socket

import anyio
import pytest
from anyio.abc import ByteStream

from agt.transport import (
    LegacyTransport,
    Outcome,
    ReliableTransport,
    Session,
    TCPConnection,
    TransportMetrics,
    UsageError,
    WireListener,
)
from agt.transport.testing import PlainLink
from agt.transport.wires.lines import LinesLink

pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore:LegacyTransport is deprecated")]


async def test_lines_arrive_one_a_message_and_are_only_written():
    """The bytes on the socket are today's; the handle says no more than that they were written."""
    arrived = bytearray()
    done = anyio.Event()

    async def device(stream: ByteStream) -> None:
        async with stream:
            while arrived.count(b"\n") < 2:
                arrived.extend(await stream.receive())
            done.set()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, device)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with LegacyTransport(TCPConnection("127.0.0.1", port)) as legacy:
            first, second = await legacy.send(b"set 1 5"), await legacy.send(b"set 2 6")
            with anyio.fail_after(5):
                await done.wait()
        tasks.cancel_scope.cancel()
    assert (first.outcome, second.outcome, bool(first)) == (Outcome.WRITTEN, Outcome.WRITTEN, False)
    assert arrived == b"set 1 5\nset 2 6\n"
    assert legacy.metrics.outcomes[Outcome.WRITTEN] == 2


async def test_a_peer_that_reads_nothing_costs_the_drain_timeout_and_the_connection():
    """What was half written must not be continued with the next message."""
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.bind(("127.0.0.1", 0))
        stalled.listen()
        address = TCPConnection("127.0.0.1", stalled.getsockname()[1])
        async with LegacyTransport(address, "raw", drain_timeout_s=0.05) as legacy:
            delivery = await legacy.send(bytes(20_000_000))
    assert delivery.outcome is Outcome.INDETERMINATE
    assert "0.05 s" in delivery.reason


async def test_nobody_there_is_not_delivered_and_dialled_again_next_time():
    """As today: each message tries; nothing is queued for later."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with LegacyTransport(TCPConnection("127.0.0.1", port)) as legacy:
        delivery = await legacy.send(b"set 1 5")
        assert (delivery.outcome, "refused" in delivery.reason) == (Outcome.NOT_DELIVERED, True)
        async with WireListener(lambda: LinesLink("controller"), port=port):
            assert (await legacy.send(b"hello lamp")).outcome is Outcome.WRITTEN


async def test_over_a_session_it_shares_the_device_s_own_socket(until):
    """In place: the same connection carries both ways, each counted for its own runtime."""
    control, candidate, came = TransportMetrics("v4"), TransportMetrics("v5"), []
    async with (
        WireListener(
            PlainLink, on_peer=came.append, metrics=candidate, written_metrics=control, max_connections=1
        ) as listener,
        ReliableTransport(
            TCPConnection("127.0.0.1", listener.port),
            on_message=lambda _: None,
            make_link=lambda name, _: PlainLink(name),
        ),
    ):
        await until(lambda: came)
        session: Session = came[0]
        written = await LegacyTransport(session=session).send(b"old way")
        assert written.outcome is Outcome.WRITTEN
        assert await session.send_nowait(b"new way")
        await until(lambda: control.observed_replies == 1)
    assert (control.accepted, candidate.accepted) == (1, 1)


async def test_it_needs_a_connection_or_a_session_and_not_both():
    """A mistake of the caller's is named at construction."""
    session = Session(PlainLink())
    with pytest.raises(UsageError, match="either a connection"):
        LegacyTransport()
    with pytest.raises(UsageError, match="either a connection"):
        LegacyTransport(TCPConnection("127.0.0.1", 1), session=session)


async def test_outside_its_context_it_does_not_dial():
    """Without a task group there would be nobody to read the replies away."""
    with pytest.raises(UsageError, match="async with"):
        await LegacyTransport(TCPConnection("127.0.0.1", 1)).send(b"x")


async def test_a_peer_that_never_says_who_it_is_is_let_go():
    """The hello timeout holds on legacy wires too."""
    async with WireListener(lambda: LinesLink("controller"), hello_timeout_s=0.05) as listener:
        async with await TCPConnection("127.0.0.1", listener.port).connect() as stream:
            with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        assert listener.sessions == {}


async def test_a_peer_that_dials_again_replaces_its_older_connection(until):
    """A device whose connection died unseen is not kept waiting for the old one to be noticed."""
    came: list[Session] = []
    gone: list[Session] = []
    async with WireListener(lambda: LinesLink("controller"), on_peer=came.append, on_gone=gone.append) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with await address.connect() as first, await address.connect() as second:
            await first.send(b"hello lamp\n")
            await until(lambda: len(came) == 1)
            await second.send(b"hello lamp\n")
            await until(lambda: gone)
            assert gone == [came[0]]
            assert listener.sessions == {"lamp": came[1]}

"""The way to a session's peer over real sockets: bounds on one side only, since a busy machine is no network."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import anyio
import pytest

from agt.chaos.faults import Bandwidth, Fault, Latency
from agt.chaos.proxy import FaultProxy
from agt.transport import (
    KeyRing,
    PreSharedKey,
    Probe,
    ReliableListener,
    ReliableTransport,
    Session,
    TCPConnection,
    UnixConnection,
    Way,
    WireListener,
)
from agt.transport.blocking import BlockingTransport
from agt.transport.wires.lines import LinesLink

pytestmark = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


@asynccontextmanager
async def ways_over(*faults: Fault) -> AsyncIterator[tuple[Way, Way, ReliableTransport]]:
    """Connect a device to a gateway through the fault proxy; yield both ways and the device's transport."""
    sessions: list[Session] = []
    came = anyio.Event()

    def on_peer(session: Session) -> None:
        sessions.append(session)
        came.set()

    async with (
        ReliableListener(name="gateway", on_peer=on_peer) as listener,
        FaultProxy(("127.0.0.1", listener.port), wire="native", rng=Random(1), faults=faults) as proxy,
        ReliableTransport(TCPConnection("127.0.0.1", proxy.port), name="device") as transport,
    ):
        with anyio.fail_after(10):
            await transport.wait_connected()
            await came.wait()
        yield Way(sessions[0]), Way(transport.session), transport


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until it is so."""
    with anyio.fail_after(10):
        while not condition():
            await anyio.wait_all_tasks_blocked()
            await anyio.lowlevel.checkpoint()


async def next_probe(way: Way) -> Probe:
    """Probe and wait for the answer."""
    await until(way.begin_probe)
    await until(way.probed)
    probe = way.probed()
    assert probe is not None
    return probe


async def next_round_trip(way: Way) -> float:
    """Ask for a round trip and wait for it."""
    assert way.round_trips is not None
    known = way.round_trips
    assert way.ask()
    await until(lambda: way.round_trips != known)
    return way.round_trips[1]


async def test_a_narrow_line_is_measured_as_narrow() -> None:
    """200 Mbit/s: no more than the line carries, give or take a loop's turn, once a probe meets no stall."""
    async with ways_over(Bandwidth(200e6)) as (*ways, _):
        for way in ways:
            await next_round_trip(way)
            rates = [(await next_probe(way)).bits_per_s or 0.0 for _ in range(4)]
            assert 1e6 < min(rates) < 300e6


async def test_a_long_way_is_measured_as_long() -> None:
    """100 ms each round trip, seen from both sides; never less."""
    async with ways_over(Latency(0.05)) as (*ways, _):
        for way in ways:
            assert await next_round_trip(way) >= 0.099


async def test_a_probe_gives_way_to_the_first_message() -> None:
    """On a line of 100 kbit/s a train takes more than a second; the message is not kept waiting for the rest."""
    async with ways_over(Bandwidth(1e5)) as (gateway, _, device):
        await until(gateway.begin_probe)
        device.send_nowait(b"urgent")
        await until(gateway.probed)
        probe = gateway.probed()
        assert probe is not None
        assert (probe.ended, probe.bits_per_s) == ("traffic", None)
        assert probe.sent_bytes < 40_000


async def test_the_system_knows_the_way_of_any_tcp_connection() -> None:
    """Round trip, bytes and rate of a wire that has neither pings nor probes."""
    sessions: list[Session] = []
    async with WireListener(lambda: LinesLink("controller"), port=0, on_peer=sessions.append) as listener:
        async with await anyio.connect_tcp("127.0.0.1", listener.port) as device:
            await device.send(b"hello lamp-1\n")
            await until(lambda: sessions)
            way = Way(sessions[0])
            assert (way.peer, way.connected) == ("lamp-1", True)
            known = way.kernel()
            assert known is not None
            assert 0 < known.round_trip_s < 5
            assert known.received_bytes >= len(b"hello lamp-1\n")
            assert way.round_trips is None
            assert not way.ask()
            assert not way.begin_probe()
            assert way.probed() is None
        await until(lambda: not way.connected)
        assert way.kernel() is None


async def test_probes_pass_a_keyed_connection() -> None:
    """Under a key the frames go in tagged records; the link inside measures and answers all the same."""
    sessions: list[Session] = []
    key = PreSharedKey("k1", bytes(range(32)))
    async with (
        ReliableListener(name="gateway", keys=KeyRing(key), on_peer=sessions.append) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="device", key=key) as device,
    ):
        await until(lambda: device.connected and sessions)
        for way in (Way(sessions[0]), Way(device.session)):
            assert await next_round_trip(way) > 0
            assert (await next_probe(way)).bits_per_s is not None


async def test_a_peer_of_threads_answers_probes() -> None:
    """The driver for plain threads carries the same link; its socket is the blocking kind."""
    sessions: list[Session] = []
    async with ReliableListener(name="gateway", on_peer=sessions.append) as listener:

        def live(stop: threading.Event) -> None:
            with BlockingTransport(TCPConnection("127.0.0.1", listener.port), name="device"):
                stop.wait(20)

        stop = threading.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, live, stop)
            try:
                await until(lambda: sessions)
                way = Way(sessions[0])
                assert await next_round_trip(way) > 0
                assert (await next_probe(way)).bits_per_s is not None
            finally:
                stop.set()


async def test_a_unix_socket_has_no_network(tmp_path: Path) -> None:
    """Pings work there as well; the system has nothing to say about it."""
    path = str(tmp_path / "gateway.sock")
    async with ReliableListener(path=path, name="gateway"), ReliableTransport(UnixConnection(path)) as transport:
        with anyio.fail_after(5):
            await transport.wait_connected()
        way = Way(transport.session)
        assert await next_round_trip(way) >= 0
        assert way.kernel() is None


async def test_without_a_connection_nothing_is_measured() -> None:
    """Asking is answered with no."""
    async with ReliableTransport(TCPConnection("127.0.0.1", 1)) as transport:
        way = Way(transport.session)
        assert not way.connected
        assert not way.ask()
        assert not way.begin_probe()
        assert way.kernel() is None

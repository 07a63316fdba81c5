"""What every wire owes its driver, over real sockets and on both event loops: one suite for all of them.

A wire is described by how its two ends are made and by what it can promise; each test asks only for what the wire
says it can do.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from agt.transport import (
    Link,
    Outcome,
    ReceivedMessage,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    Session,
    TCPConnection,
    WireListener,
)
from agt.transport.testing import PlainLink
from agt.transport.wires.cync import CyncConfig, CyncLink, hello, power_command
from agt.transport.wires.lines import LinesConfig, LinesLink

pytestmark = pytest.mark.anyio

CONFIG = ReliableConfig(backoff_base_s=0.01, backoff_max_s=0.02, send_queue_max=1000, recv_queue_max=1000)
ENDPOINT = bytes.fromhex("45880f3a")


@dataclass(frozen=True)
class Wire:
    """How to make both ends of one wire, and what may be asked of it."""

    name: str
    peer: str
    make_controller: Callable[[], Link] | None
    """None for the native wire, which has its own listener."""
    make_device: Callable[[str, ReliableConfig], Link] | None
    payload: Callable[[int], bytes]
    legacy: bool
    survives: bool = False
    """Whether a session outlives its connection."""


def line(number: int) -> bytes:
    """Build a message of the demo's text form."""
    return b"set %d %d" % (number, number * 7)


def command(number: int) -> bytes:
    """Build a cync command."""
    return power_command(ENDPOINT, 80, on=bool(number % 2), number=number).data


WIRES = (
    Wire("native", "dev-1", None, None, line, legacy=False, survives=True),
    Wire("plain", "dev-1", PlainLink, lambda name, _: PlainLink(name), line, legacy=True),
    Wire(
        "cync",
        ENDPOINT.hex(),
        lambda: CyncLink("controller"),
        lambda _name, _config: CyncLink("device", CyncConfig(hello=hello(ENDPOINT).data)),
        command,
        legacy=True,
    ),
    Wire(
        "lines",
        "dev-1",
        lambda: LinesLink("controller"),
        lambda name, _: LinesLink("device", LinesConfig(name=name, sequenced=True)),
        line,
        legacy=True,
    ),
)


@dataclass
class Ends:
    """A listener, a device that has dialled it, and what the device was handed."""

    session: Session
    device: ReliableTransport
    handed: list[bytes] = field(default_factory=list)
    came: list[str] = field(default_factory=list)
    went: list[str] = field(default_factory=list)
    port: int = 0


@pytest.fixture(params=WIRES, ids=[wire.name for wire in WIRES])
def wire(request: pytest.FixtureRequest) -> Wire:
    """Run a test over every wire."""
    return request.param


@asynccontextmanager
async def connected(wire: Wire, until: Callable) -> AsyncIterator[Ends]:
    """Connect both ends of a wire."""
    handed: list[bytes] = []
    came: list[Session] = []
    names: list[str] = []
    went: list[str] = []

    def on_peer(session: Session) -> None:
        came.append(session)
        names.append(session.peer)

    def on_message(message: ReceivedMessage) -> None:
        handed.append(message.payload)

    def on_gone(session: Session) -> None:
        went.append(session.peer)

    if wire.make_controller is None:
        listener = ReliableListener(on_peer=on_peer, on_gone=on_gone, config=CONFIG)
    else:
        listener = WireListener(wire.make_controller, on_peer=on_peer, on_gone=on_gone)
    async with listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with ReliableTransport(
            address, name="dev-1", config=CONFIG, on_message=on_message, make_link=wire.make_device
        ) as device:
            await until(lambda: came and device.connected)
            yield Ends(came[0], device, handed, names, went, listener.port)


async def test_the_peer_is_known_by_the_name_its_wire_gives(wire: Wire, until):
    """The session is handed over once, connected, with its name."""
    async with connected(wire, until) as ends:
        assert ends.came == [wire.peer]
        assert (ends.session.peer, ends.session.connected) == (wire.peer, True)


async def test_messages_arrive_once_in_order_and_their_outcome_is_the_best_the_wire_can_say(wire: Wire, until):
    """Delivered where the peer confirms, written where it doesn't."""
    async with connected(wire, until) as ends:
        deliveries = [ends.session.send_nowait(wire.payload(number)) for number in range(1, 31)]
        best = Outcome.DELIVERED if ends.session.link.traits.acknowledges else Outcome.WRITTEN
        with anyio.fail_after(10):
            assert {(await delivery).outcome for delivery in deliveries} == {best}
        await until(lambda: len(ends.handed) == 30)
        assert ends.handed == [wire.payload(number) for number in range(1, 31)]


async def test_quiet_comes_when_the_last_message_has_ended(wire: Wire, until):
    """Sent, answered where the wire answers, and nothing left: that is when a path has fallen silent."""
    async with connected(wire, until) as ends:
        ends.session.send_nowait(wire.payload(1))
        quiet = anyio.Event()
        ends.session.on_quiet(quiet.set)
        with anyio.fail_after(5):
            await quiet.wait()
        await until(lambda: ends.handed == [wire.payload(1)])


async def test_legacy_writes_are_observed_where_the_wire_has_them(wire: Wire, until):
    """Written at once; the replies make the path measurable."""
    if not wire.legacy:
        pytest.skip("this wire has no legacy way")
    async with connected(wire, until) as ends:
        written = [ends.session.write_nowait(wire.payload(number)) for number in range(1, 11)]
        assert {delivery.outcome for delivery in written} == {Outcome.WRITTEN}
        await until(lambda: not ends.session.unanswered)
        metrics = ends.session.metrics
        assert (metrics.observed_replies, metrics.observed_missing) == (10, 0)
        assert ends.handed == [wire.payload(number) for number in range(1, 11)]


async def test_every_send_ends_though_the_connection_is_gone(wire: Wire, until):
    """By the deadline on a session that survives, at once where the session ends with its connection."""
    async with connected(wire, until) as ends:
        ends.device.connection = TCPConnection("127.0.0.1", 1)
        ends.device.session.disconnect("the cable was pulled")
        await until(lambda: not ends.session.connected)
        if wire.survives:
            delivery = await ends.session.send_nowait(wire.payload(1), deadline_s=0.05)
            assert delivery.outcome is Outcome.NOT_DELIVERED
            assert ends.went == []
        else:
            await until(lambda: ends.went)
            assert ends.session.closed


async def test_nonsense_costs_the_connection_and_nothing_else(wire: Wire, until):
    """A peer that speaks something else is let go; the others don't notice."""
    async with connected(wire, until) as ends:
        stream = await TCPConnection("127.0.0.1", ends.port).connect()
        async with stream:
            with anyio.move_on_after(0.2):
                await stream.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 400)
        delivery = ends.session.send_nowait(wire.payload(1))
        with anyio.fail_after(5):
            assert (await delivery).outcome in {Outcome.DELIVERED, Outcome.WRITTEN}


async def test_what_is_withdrawn_is_the_taker_s_to_settle(wire: Wire, until):
    """After a withdrawal nothing is queued or in flight, and the handles are open."""
    async with connected(wire, until) as ends:
        ends.device.session.disconnect("a pause")
        deliveries = [ends.session.send_nowait(wire.payload(number)) for number in range(1, 4)]
        taken = ends.session.withdraw()
        assert [*taken.in_doubt, *taken.unsent] == deliveries
        assert not any(delivery.done for delivery in deliveries)
        assert (ends.session.in_flight, ends.session.queued) == (0, 0)


async def test_a_device_that_dials_again_is_served_again(wire: Wire, until):
    """A cut connection is followed by another, on which messages flow."""
    async with connected(wire, until) as ends:
        ends.device.session.disconnect("a pause")
        await until(lambda: ends.device.metrics.reconnections >= 1)
        assert ends.device.metrics.connections >= 2

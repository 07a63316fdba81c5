"""Type-checked, never run: what a user of `agt.transport` writes must have the types that it seems to have."""

from collections.abc import Mapping
from typing import assert_type

from anyio.abc import ByteStream

from agt.transport import (
    ConnectBudget,
    Connection,
    Delivery,
    Dropped,
    LegacyTransport,
    Link,
    NativeNames,
    Outcome,
    Overflow,
    ReceivedMessage,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    Session,
    SessionWithdrawal,
    SniffingListener,
    TCPConnection,
    TransportMetrics,
    UnixConnection,
    WireListener,
    begins_with,
    load_config,
)
from agt.transport.metrics import TransportCollector
from agt.transport.testing import PlainLink
from agt.transport.wires.cync import CyncLink
from agt.transport.wires.lines import LinesLink
from agt.transport.wires.native import NativeLink


async def the_documents_names() -> None:
    """The names of the mission documents, used as they use them."""
    connection: Connection = TCPConnection("127.0.0.1", 7000)
    async with ReliableTransport(connection, max_retries=3, dedup_cache_size=1000) as transport:
        assert_type(transport, ReliableTransport)
        delivery = await transport.send_reliable(b"set 1 5", deadline_s=2.0)
        assert_type(delivery, Delivery)
        if not delivery:
            assert_type(delivery.reason, str)
            assert_type(delivery.outcome, Outcome | None)
        assert_type(await transport.send_nowait(b"x"), Delivery)
        message = await transport.recv_reliable()
        assert_type(message, ReceivedMessage)
        message.ack()
        assert_type(await transport.recv_batch(), list[ReceivedMessage])


async def listeners() -> None:
    """Both listeners are entered and give sessions by name."""

    def on_peer(session: Session) -> None:
        assert_type(session.withdraw(), SessionWithdrawal)

    config = ReliableConfig(overflow=Overflow.REJECT, max_retries=None)
    async with ReliableListener(path="/run/agt.sock", on_peer=on_peer, config=config) as listener:
        assert_type(listener, ReliableListener)
        assert_type(listener.sessions, Mapping[str, Session])
        assert_type(listener.port, int)
    async with WireListener(lambda: CyncLink("controller"), on_peer=on_peer, on_gone=on_peer) as legacy:
        assert_type(legacy, WireListener)


async def one_port() -> None:
    """Wires by name, one budget, names that may not go back, and messages that bring their own id."""

    def allow_legacy(name: str) -> bool:
        return name == "lamp-7"

    def own_id(payload: bytes) -> bytes | None:
        return payload.partition(b":")[0] or None

    config = load_config("/etc/controller.toml")
    assert_type(config.reliable_transport, ReliableConfig)
    names = NativeNames(allow_legacy=allow_legacy)
    wires = {
        "native": ReliableListener(config=config.reliable_transport, native_names=names, own_id=own_id),
        "lines": WireListener(lambda: LinesLink("controller"), native_names=names),
        "mine": WireListener(PlainLink),
    }
    async with SniffingListener(
        wires,
        default="lines",
        recognisers={"mine": begins_with(b"MINE")},
        connect_budget=ConnectBudget(connects_per_s=200),
    ) as port:
        assert_type(port, SniffingListener)
        assert_type(port.callers, dict[str, int])


async def legacy_way(session: Session) -> None:
    """Of its own, and over a session that is there."""
    async with LegacyTransport(UnixConnection("/run/old.sock"), wire="lines") as legacy:
        assert_type(await legacy.send(b"set 1 5"), Delivery)
    assert_type(await LegacyTransport(session=session).send(b"set 1 5"), Delivery)


async def carried_by_hand(session: Session, stream: ByteStream) -> None:
    """A session over any byte stream."""
    assert_type(await session.run(stream), Dropped)


def every_wire_is_a_link(native: NativeLink, cync: CyncLink, lines: LinesLink, plain: PlainLink) -> tuple[Link, ...]:
    """The three wires and the double have the shape that drivers expect."""
    return (native, cync, lines, plain)


def collected(metrics: TransportMetrics) -> TransportCollector:
    """Metrics are exported by a collector."""
    return TransportCollector(metrics)

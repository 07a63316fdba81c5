"""One real port for every wire: told apart by what callers say first, or by their silence, and never downgraded."""

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest

from agt.transport import (
    ConnectBudget,
    Link,
    NativeNames,
    ReceivedMessage,
    Refusal,
    ReliableListener,
    ReliableTransport,
    Session,
    SniffingListener,
    TCPConnection,
    TLSConnection,
    UnixConnection,
    UsageError,
    WireListener,
    begins_with,
    tls_client_context,
    tls_server_context,
)
from agt.transport.testing import PlainLink
from agt.transport.wires.cync import CyncConfig, CyncLink, hello, power_command
from agt.transport.wires.lines import LinesConfig, LinesLink
from support.certificates import Authority

pytestmark = pytest.mark.anyio
ENDPOINT = bytes.fromhex("45880f3a")


@dataclass
class House:
    """A sniffing listener with native, cync and lines behind it, and what came there."""

    listener: SniffingListener
    peers: list[tuple[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)

    def connection(self, path: str | None = None) -> TCPConnection | UnixConnection:
        return UnixConnection(path) if path else TCPConnection("127.0.0.1", self.listener.port)


@asynccontextmanager
async def house(names: NativeNames | None = None, **options: object) -> AsyncIterator[House]:
    """Serve three wires on one port."""

    def came(wire: str) -> Callable[[Session], None]:
        return lambda session: built.peers.append((wire, session.peer))

    def took(message: ReceivedMessage) -> None:
        built.payloads.append(message.payload)

    def legacy(wire: str, make_link: Callable[[], Link]) -> WireListener:
        return WireListener(
            make_link,
            on_peer=came(wire),
            on_gone=lambda session: built.gone.append(session.peer),
            on_message=took,
            native_names=names,
        )

    wires = {
        "native": ReliableListener(on_peer=came("native"), on_message=took, native_names=names),
        "cync": legacy("cync", lambda: CyncLink("controller")),
        "lines": legacy("lines", lambda: LinesLink("controller")),
    }
    async with SniffingListener(wires, **options) as listener:
        built = House(listener)
        yield built


def lines_device(name: str = "lamp-7") -> LinesLink:
    """The device's end of the lines wire."""
    return LinesLink("device", LinesConfig(name=name))


async def dial(port: int, first: bytes = b"") -> socket.socket:
    """Connect a plain socket and say something on it."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(first)
    sock.setblocking(False)
    return sock


async def read_all(sock: socket.socket) -> bytes:
    """Read until the other side has closed."""
    data = b""
    with anyio.fail_after(5):
        while True:
            await anyio.wait_readable(sock)
            try:
                piece = sock.recv(4096)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return data
            data += piece


async def test_every_wire_works_on_one_port(until) -> None:
    """Native, cync and lines devices beside each other; each is who it says on the wire that it speaks."""
    async with house() as home, anyio.create_task_group() as tasks:
        device = Session(CyncLink("device", CyncConfig(hello=hello(ENDPOINT).data)))
        lamp = Session(lines_device())
        tasks.start_soon(device.run, await home.connection().connect())
        tasks.start_soon(lamp.run, await home.connection().connect())
        async with ReliableTransport(home.connection(), name="dev-1") as transport:
            assert await transport.send_reliable(b"over native")
            await until(lambda: len(home.peers) == 3)
            lamp.write_nowait(b"set 1 on")
            await until(lambda: len(home.payloads) == 2)
        assert sorted(home.peers) == [("cync", ENDPOINT.hex()), ("lines", "lamp-7"), ("native", "dev-1")]
        assert set(home.payloads) == {b"over native", b"set 1 on"}
        assert [home.listener.callers[wire] for wire in ("native", "cync", "lines")] == [1, 1, 1]
        tasks.cancel_scope.cancel()


async def test_it_works_on_a_unix_socket_too(tmp_path, until) -> None:
    """Peeking is the same there."""
    path = str(tmp_path / "agt.sock")
    async with (
        house(path=path) as home,
        ReliableTransport(home.connection(path), name="dev-1") as transport,
    ):
        assert await transport.send_reliable(b"x")
        assert home.peers == [("native", "dev-1")]


async def test_a_beginning_in_pieces_is_waited_for(until) -> None:
    """Byte by byte, each in a segment of its own."""
    async with house() as home:
        sock = await dial(home.listener.port)
        for byte in b"hello lamp-9\n":
            sock.sendall(bytes((byte,)))
            await anyio.lowlevel.checkpoint()
        await until(lambda: home.peers == [("lines", "lamp-9")])
        sock.close()
        await until(lambda: home.gone == ["lamp-9"])


async def test_a_silent_caller_gets_the_default_wire_because_some_wires_speak_second(until) -> None:
    """After the sniff timeout; what it says then is read from the start."""
    async with house(default="lines", sniff_timeout_s=0.05) as home:
        sock = await dial(home.listener.port)
        await until(lambda: home.listener.callers["silent"] == 1)
        sock.sendall(b"hello slow-1\n")
        await until(lambda: home.peers == [("lines", "slow-1")])
        sock.close()


async def test_a_silent_caller_without_a_default_is_closed() -> None:
    """Nobody can hold a place by saying nothing."""
    async with house(sniff_timeout_s=0.05) as home:
        sock = await dial(home.listener.port)
        assert await read_all(sock) == b""
        assert (home.listener.callers["silent"], home.listener.callers["refused"]) == (1, 1)
        assert home.listener.door.refused[Refusal.SILENT] == 1
        sock.close()


@pytest.mark.parametrize("default", [None, "lines"])
async def test_what_no_wire_begins_with_goes_to_the_default_or_nowhere(default: str | None) -> None:
    """The default wire's link is the judge of it; here it knows better too."""
    async with house(default=default) as home:
        sock = await dial(home.listener.port, b"GET / HTTP/1.1\r\n\r\n")
        await read_all(sock)
        assert home.listener.callers["unrecognised"] == 1
        assert home.listener.callers["refused"] == home.listener.door.refused[Refusal.SENSELESS] == (default is None)
        assert home.peers == []
        sock.close()


async def test_a_stream_of_nonsense_is_looked_at_for_one_kibibyte_only(until) -> None:
    """A caller that could still become a wire, and never does, is decided about at the limit."""
    always_more = lambda head: None  # noqa: E731 - a recogniser in one line
    listener = SniffingListener(
        {"odd": WireListener(PlainLink)}, recognisers={"odd": always_more}, sniff_timeout_s=60.0
    )
    async with listener:
        sock = await dial(listener.port, b"\x77" * 1000)
        await until(lambda: listener.open_connections == 1)
        assert listener.callers["refused"] == 0
        sock.sendall(b"\x77" * 24)
        await read_all(sock)
        assert listener.callers["unrecognised"] == 1
        sock.close()


async def test_tls_that_is_not_configured_is_refused_in_words() -> None:
    """A real TLS client is told that the handshake failed, and our log says why."""
    async with house() as home:
        context = ssl.create_default_context()

        def handshake() -> None:
            with socket.create_connection(("127.0.0.1", home.listener.port)) as sock:
                context.wrap_socket(sock, server_hostname="localhost")

        with pytest.raises(ssl.SSLError, match=r"(?i)handshake failure"):
            await anyio.to_thread.run_sync(handshake)
        assert home.listener.callers["refused"] == home.listener.door.refused[Refusal.TLS] == 1


async def test_tls_and_plain_callers_share_a_port_where_tls_is_configured(tmp_path, until) -> None:
    """The ClientHello goes to the listener that does the handshake, whole."""
    authority = Authority(tmp_path)
    pair = authority.sign("gateway.test")
    taken: list[bytes] = []
    wires = {
        "tls": ReliableListener(
            tls=tls_server_context(pair.certificate, pair.key), on_message=lambda message: taken.append(message.payload)
        ),
        "lines": WireListener(
            lambda: LinesLink("controller"), on_message=lambda message: taken.append(message.payload)
        ),
    }
    async with SniffingListener(wires) as listener:
        context = tls_client_context(ca=authority.certificate)
        address = TLSConnection("127.0.0.1", listener.port, context, "gateway.test")
        async with ReliableTransport(address, name="dev-1") as transport:
            assert await transport.send_reliable(b"under TLS")
            sock = await dial(listener.port, b"hello lamp-7\nset 1 on\n")
            await until(lambda: taken == [b"under TLS", b"set 1 on"])
            sock.close()
        assert [listener.callers[wire] for wire in ("tls", "lines")] == [1, 1]


async def test_a_wire_of_ones_own_is_served_by_its_magic(until) -> None:
    """What comes later needs no change here."""
    seen: list[str] = []
    mine = WireListener(lambda: LinesLink("controller"), on_peer=lambda session: seen.append(session.peer))
    async with SniffingListener({"mine": mine}, recognisers={"mine": begins_with(b"hello my-")}) as listener:
        sock = await dial(listener.port, b"hello my-lamp\n")
        await until(lambda: seen == ["my-lamp"])
        sock.close()


async def test_a_name_that_spoke_natively_is_not_taken_as_legacy() -> None:
    """No downgrade: refused in the wire's own words, heard by nobody, announced to nobody."""
    names = NativeNames()
    async with house(names) as home:
        async with ReliableTransport(home.connection(), name="lamp-7") as transport:
            assert await transport.send_reliable(b"natively")
        sock = await dial(home.listener.port, b"hello lamp-7\nset 1 on\n")
        said = await read_all(sock)
        assert said.startswith(b"error lamp-7 has spoken the native wire")
        assert home.peers == [("native", "lamp-7")]
        assert (home.payloads, home.gone, names.refused) == ([b"natively"], [], 1)
        sock.close()


async def test_a_name_that_may_go_back_is_taken_as_legacy(until) -> None:
    """The router says so, for a rollback."""
    may_go_back = {"lamp-7"}
    names = NativeNames(allow_legacy=may_go_back.__contains__)
    async with house(names) as home:
        async with ReliableTransport(home.connection(), name="lamp-7") as transport:
            assert await transport.send_reliable(b"natively")
        sock = await dial(home.listener.port, b"hello lamp-7\nset 1 on\n")
        await until(lambda: home.payloads == [b"natively", b"set 1 on"])
        assert home.peers == [("native", "lamp-7"), ("lines", "lamp-7")]
        sock.close()


async def test_a_cync_device_that_spoke_natively_is_let_go(until) -> None:
    """That wire has no word for it."""
    names = NativeNames()
    names.add(ENDPOINT.hex())
    async with house(names) as home:
        first = hello(ENDPOINT).data + power_command(ENDPOINT, 1, on=True, number=1).data
        sock = await dial(home.listener.port, first)
        await read_all(sock)
        assert (home.peers, home.payloads, names.refused) == ([], [], 1)
        sock.close()


async def test_one_port_has_one_budget_for_all_its_wires(until) -> None:
    """Given to the port, it holds for the native peers behind it, and is what their welcome speaks of."""
    budget = ConnectBudget(connects_per_s=4, connect_burst=2)
    async with house(connect_budget=budget) as home:
        sock = await dial(home.listener.port, b"hello lamp-7\n")
        await until(lambda: home.peers == [("lines", "lamp-7")])
        async with ReliableTransport(home.connection(), name="first") as first:
            await first.wait_connected()
            assert first.session.link.spread_s == 1 / 4
            async with ReliableTransport(home.connection(), name="second") as second:
                await until(lambda: "busy" in second.last_error)
                await second.wait_connected()
        assert (home.listener.pacer.admitted, home.listener.pacer.sent_away) == (3, 1)
        sock.close()


async def test_wires_that_cannot_be_recognised_are_refused_at_once() -> None:
    """With the names that are known."""
    with pytest.raises(UsageError, match="can't recognise telnet; it knows native, cync, lines, tls"):
        SniffingListener({"telnet": WireListener(PlainLink)})
    with pytest.raises(UsageError, match="no wire at all"):
        SniffingListener({})
    with pytest.raises(UsageError, match="the default wire 'cync' is none of lines"):
        SniffingListener({"lines": WireListener(PlainLink)}, default="cync")


async def test_closing_the_port_ends_the_sessions_of_every_wire(until) -> None:
    """Whoever was told of a peer is told of its end."""
    async with house() as home:
        sock = await dial(home.listener.port, b"hello lamp-7\n")
        await until(lambda: home.peers == [("lines", "lamp-7")])
    assert home.gone == ["lamp-7"]
    assert await read_all(sock) == b""
    sock.close()

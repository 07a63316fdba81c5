"""The door of a listener over real sockets: slow callers, floods, other users; and nothing is remembered of them."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from agt.transport import (
    AdmissionLimits,
    ConnectionUnavailable,
    KeyFile,
    KeyRing,
    PreSharedKey,
    Refusal,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    TCPConnection,
    UnixConnection,
    WireListener,
    new_runtime_nonce,
)
from agt.transport._peer import budget_address
from agt.transport.testing import PlainLink

pytestmark = pytest.mark.anyio

HURRIED = ReliableConfig(hello_timeout_s=0.15)
ENDS = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


async def drip(stream: ByteStream, data: bytes) -> int:
    """Send byte by byte, for as long as the other side lets us; return how many bytes that was."""
    sent = 0
    with anyio.fail_after(5):
        try:
            for sent in range(len(data)):
                await stream.send(data[sent : sent + 1])
                with anyio.move_on_after(0.01):
                    await stream.receive()
        except ENDS:
            return sent
    raise AssertionError("the other side took everything")


async def is_closed(stream: ByteStream) -> bool:
    """Wait until the other side hangs up."""
    with anyio.fail_after(5):
        try:
            while True:
                await stream.receive()
        except ENDS:
            return True


@pytest.mark.parametrize("kind", ["native", "keyed", "legacy"])
async def test_a_slow_loris_gets_no_more_time_than_anybody(kind: str, until):
    """Bytes that drip in keep a connection no longer than silence does: the deadline is absolute."""
    if kind == "legacy":
        listener = WireListener(PlainLink, hello_timeout_s=0.15)
    else:
        keys = KeyRing(PreSharedKey.generate("k")) if kind == "keyed" else None
        listener = ReliableListener(config=HURRIED, keys=keys)
    whole = {
        "native": b"\x00\x00\x03\xe0" + bytes(1000),
        "keyed": b"AGTK\x01\x01\x03\xd0" + bytes(1000),
        "legacy": b"\x00" + bytes(8) + b"\x00\x00\xff\x00" + bytes(1000),
    }[kind]
    async with listener:
        started = anyio.current_time()
        async with await TCPConnection("127.0.0.1", listener.port).connect() as stream:
            assert await drip(stream, whole) < 500
        assert anyio.current_time() - started < 2
        await until(lambda: listener.door.refused[Refusal.SILENT] == 1)
        assert len(listener.door.half_open) == 0
        assert not listener.sessions


async def test_a_kibibyte_is_all_that_is_read_of_somebody_unknown(until):
    """A larger hello is refused by its length alone, before the rest of it is there."""
    async with ReliableListener() as listener:
        async with await TCPConnection("127.0.0.1", listener.port).connect() as stream:
            await stream.send(b"\x00\x00\x04\x00" + bytes(24))
            assert await is_closed(stream)
        await until(lambda: listener.door.refused[Refusal.SENSELESS] == 1)
        assert not listener.sessions


async def test_a_flood_from_one_address_keeps_nobody_out_who_comes_from_another(until):
    """Hundreds of silent connections use up their own address's share and nobody else's."""
    limits = AdmissionLimits(half_open_max=64, half_open_per_address_max=16)
    async with ReliableListener(on_message=lambda _: None, limits=limits, max_connections=200) as listener:
        flood = [_dialled_from("127.0.0.2", listener.port) for _ in range(100)]
        try:
            await until(lambda: listener.door.refused[Refusal.CROWDED] == 84)
            assert listener.door.half_open.held_by("127.0.0.2") == 16
            async with ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="good") as transport:
                with anyio.fail_after(5):
                    assert await transport.send_reliable(b"x")
            assert listener.door.half_open.held_by("127.0.0.2") == 16
        finally:
            for sock in flood:
                sock.close()
    assert listener.open_connections == 0


async def test_even_behind_the_flood_s_own_address_an_honest_caller_gets_in(until):
    """Whoever has had its time gives way, and an honest caller is through before it has."""
    limits = AdmissionLimits(half_open_per_address_max=8, half_open_patience_s=0.05)
    async with ReliableListener(on_message=lambda _: None, limits=limits) as listener:
        flood = [_dialled_from("127.0.0.1", listener.port) for _ in range(50)]
        try:
            await until(lambda: listener.door.half_open.held_by("127.0.0.1") == 8)
            config = ReliableConfig(backoff_base_s=0.01, backoff_max_s=0.02)
            address = TCPConnection("127.0.0.1", listener.port)
            async with ReliableTransport(address, name="good", config=config) as transport:
                with anyio.fail_after(5):
                    assert await transport.send_reliable(b"x")
            assert listener.door.refused[Refusal.MADE_ROOM] > 0
        finally:
            for sock in flood:
                sock.close()


async def test_a_flood_from_many_addresses_is_bounded_too(until):
    """In all, whoever holds most gives way."""
    limits = AdmissionLimits(half_open_max=20, half_open_per_address_max=10)
    async with ReliableListener(on_message=lambda _: None, limits=limits) as listener:
        flood = [_dialled_from(f"127.0.0.{2 + number % 10}", listener.port) for number in range(60)]
        try:
            refused = listener.door.refused
            await until(lambda: refused[Refusal.MADE_ROOM] + refused[Refusal.CROWDED] == 40)
            assert len(listener.door.half_open) == 20
            async with ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="good") as transport:
                assert await transport.send_reliable(b"x")
        finally:
            for sock in flood:
                sock.close()


async def test_who_is_let_in_is_hurried_no_more(until):
    """An admitted peer may be silent for as long as its wire lets it."""
    async with ReliableListener(on_message=lambda _: None, config=HURRIED) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with ReliableTransport(address, name="d") as transport:
            assert await transport.send_reliable(b"x")
            async with await address.connect() as silent:
                assert await is_closed(silent)  # Its time was up, ours is long over, too.
            assert transport.connected
            assert await transport.send_reliable(b"y")
            assert transport.metrics.connections == 1
        await until(lambda: listener.door.refused[Refusal.SILENT] == 1)


def _dialled_from(address: str, port: int) -> socket.socket:
    sock = socket.socket()
    sock.bind((address, 0))
    sock.connect(("127.0.0.1", port))
    return sock


def test_a_budget_is_kept_for_what_one_host_can_choose_freely():
    """IPv4 by address, also where it is written as IPv6; IPv6 by the /64 that one host commonly has."""

    class Sock:
        family = socket.AF_INET6

        def __init__(self, host: str) -> None:
            self._host = host

        def getpeername(self) -> tuple[str, int]:
            if not self._host:
                raise OSError("not connected any more")
            return (self._host, 1)

    places = {
        "192.0.2.7": "192.0.2.7",
        "::ffff:192.0.2.7": "192.0.2.7",
        "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
        "2001:db8:1:2::9": "2001:db8:1:2::/64",
        "fe80::1%eth0": "fe80::/64",
        "": "unknown",
    }
    assert {host: budget_address(Sock(host)) for host in places} == places  # type: ignore[arg-type]


# Unix sockets

as_root = pytest.mark.skipif(os.getuid() != 0, reason="becoming another user takes root")
NOBODY = 65534


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Return a directory in which other users can find something by name, once its mode lets them."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def as_nobody(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program as another user."""
    become = f"import os, socket, sys; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
    command = [sys.executable, "-c", become + textwrap.dedent(program), *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@as_root
async def test_another_user_on_our_unix_socket_is_refused_at_accept(reachable: Path, until):
    """Even one that the file system lets through: the kernel says who it is."""
    path = reachable / "s.sock"
    async with ReliableListener(path=str(path), on_message=lambda _: None) as listener:
        os.chmod(reachable, 0o711)  # noqa: PTH101 - instantly, whatever the linter fears
        os.chmod(path, 0o666)  # noqa: PTH101 - as above
        caller = as_nobody(
            """
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(5)
            sock.connect(sys.argv[1])
            try:
                print("open" if sock.recv(1) else "closed")
            except ConnectionResetError:
                print("closed")
            """,
            str(path),
        )
        said, _ = await anyio.to_thread.run_sync(caller.communicate)
        assert said == "closed\n"
        await until(lambda: listener.door.refused[Refusal.USER] == 1)
        assert not listener.sessions
        assert len(listener.door.half_open) == 0
        async with ReliableTransport(UnixConnection(str(path))) as transport:
            assert await transport.send_reliable(b"x")


@as_root
async def test_a_socket_of_another_user_is_not_dialled(reachable: Path):
    """Somebody who got to the path first is told apart from our own listener."""
    path = reachable / "s.sock"
    os.chown(reachable, NOBODY, NOBODY)
    squatter = as_nobody(
        """
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(sys.argv[1])
        sock.listen()
        print("ready", flush=True)
        sys.stdin.read()
        """,
        str(path),
    )
    assert squatter.stdout is not None
    assert await anyio.to_thread.run_sync(squatter.stdout.readline) == "ready\n"
    try:
        with pytest.raises(ConnectionUnavailable, match="another user listens there"):
            await UnixConnection(str(path)).connect()
    finally:
        squatter.communicate()


@as_root
async def test_a_directory_of_another_user_is_no_place_for_our_socket(reachable: Path):
    """Its owner could put another socket in the place of ours."""
    os.chown(reachable, NOBODY, NOBODY)
    with pytest.raises(ConnectionUnavailable, match=f"belongs to uid {NOBODY}"):
        async with ReliableListener(path=str(reachable / "s.sock")):
            pass


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o777])
async def test_a_socket_s_directory_must_be_ours_alone(mode: int, tmp_path: Path):
    """The way out is said."""
    os.chmod(tmp_path, mode)  # noqa: PTH101 - instantly, whatever the linter fears
    with pytest.raises(ConnectionUnavailable, match=f"open to others .mode has {mode & 0o77:03o}.; `chmod 700` it"):
        async with ReliableListener(path=str(tmp_path / "s.sock")):
            pass


async def test_only_registered_sources_with_the_nonce_of_this_run_are_admitted(tmp_path: Path, until):
    """Document 001's contract: an earlier run's nonce opens nothing, nor does a name that nobody registered."""
    path, nonce = tmp_path / "s.sock", tmp_path / "nonce"
    old = new_runtime_nonce(nonce)
    sources = {"source-1"}
    keys = KeyRing(new_runtime_nonce(nonce))
    async with ReliableListener(path=str(path), keys=keys, sources=sources, on_message=lambda _: None) as listener:
        dial = UnixConnection(str(path))
        async with ReliableTransport(dial, name="source-1", key=KeyFile(nonce)) as transport:
            assert await transport.send_reliable(b"x")
        async with ReliableTransport(dial, name="source-1", key=old) as late:
            await until(lambda: "no key of this id is known here" in late.last_error)
        async with ReliableTransport(dial, name="source-2", key=KeyFile(nonce)) as stranger:
            await until(lambda: "'source-2' is not registered here" in stranger.last_error)
        async with ReliableTransport(dial, name="source-1") as careless:
            await until(lambda: "takes only peers that have a key" in careless.last_error)
        assert list(listener.sessions) == ["source-1"]


async def test_a_missing_directory_is_made_for_us_alone(tmp_path: Path):
    """Mode 0700, whatever the umask; its parent must be there."""
    path = tmp_path / "run" / "s.sock"
    async with ReliableListener(path=str(path)):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConnectionUnavailable, match="can't be made: no such file"):
        async with ReliableListener(path=str(tmp_path / "a" / "b" / "s.sock")):
            pass

"""Keys over real sockets: who gets in, and what somebody in the middle can and can't do."""

import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from agt.transport import (
    BadCredential,
    KeyFile,
    KeyRing,
    Outcome,
    PreSharedKey,
    Refusal,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    SniffingListener,
    TCPConnection,
    WireListener,
    write_key_file,
)
from agt.transport.wires.lines import LinesConfig, LinesLink

pytestmark = pytest.mark.anyio

FAST = ReliableConfig(backoff_base_s=0.01, backoff_max_s=0.02, send_queue_max=1000, recv_queue_max=1000)
KEY = PreSharedKey.generate("k1")


@pytest.fixture(params=["fast", "portable"])
def portable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, anyio_backend: str) -> None:
    """Run over the carrier that is chosen by itself, and on asyncio over the portable one too."""
    if request.param == "portable":
        if anyio_backend == "trio":
            pytest.skip("trio has the portable one only")
        monkeypatch.setattr("agt.transport._session.FastStream", type("Nobody", (), {}), raising=False)


Change = Callable[[bytes, int], bytes]
"""What somebody in the middle makes of the bytes of one receive; the number counts those of its direction."""


def untouched(data: bytes, _number: int) -> bytes:
    """Let through."""
    return data


@dataclass
class Middle:
    """A relay that somebody else controls: it sees all bytes and may change them."""

    port: int = 0
    seen: list[bytes] = field(default_factory=list)
    """Bytes towards the listener, as they came, of all connections."""
    change: Change = untouched
    """What becomes of the bytes towards the listener."""
    change_back: Change = untouched
    """What becomes of the bytes towards who dialled."""
    connections: int = 0


@asynccontextmanager
async def in_the_middle(target: int) -> AsyncIterator[Middle]:
    """Stand between a dialler and a listener."""
    middle = Middle()

    async def copy(source: ByteStream, sink: ByteStream, way: str, scope: anyio.CancelScope) -> None:
        number = 0
        try:
            while True:
                data = await source.receive()
                if way == "there":
                    middle.seen.append(data)
                change = middle.change if way == "there" else middle.change_back
                await sink.send(change(data, number))
                number += 1
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            scope.cancel()

    async def relay(caller: ByteStream) -> None:
        middle.connections += 1
        async with caller, await anyio.connect_tcp("127.0.0.1", target) as callee, anyio.create_task_group() as tasks:
            tasks.start_soon(copy, caller, callee, "there", tasks.cancel_scope)
            tasks.start_soon(copy, callee, caller, "back", tasks.cancel_scope)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        middle.port = listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.start_soon(listener.serve, relay, tasks)
        yield middle
        tasks.cancel_scope.cancel()


async def answer_of(stream: ByteStream) -> bytes:
    """Return everything that the other side says before it hangs up."""
    parts: list[bytes] = []
    with anyio.fail_after(5):
        try:
            while True:
                parts.append(await stream.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return b"".join(parts)


async def test_messages_go_both_ways_under_a_key(portable: None, until):
    """Also big ones, of many records, and many at once, of one."""
    big = secrets.token_bytes(300_000)
    async with (
        ReliableListener(keys=KeyRing(KEY), config=FAST) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="d", key=KEY, config=FAST) as transport,
    ):
        deliveries = [transport.send_nowait(payload) for payload in (big, *(b"%d" % n for n in range(200)))]
        await until(lambda: "d" in listener.sessions)
        received = 0
        while received < 201:
            for message in await listener.sessions["d"].receive_batch():
                assert message.payload == (big if received == 0 else b"%d" % (received - 1))
                received += 1
                message.ack()
        assert {(await delivery).outcome for delivery in deliveries} == {Outcome.DELIVERED}
        back = listener.sessions["d"].send_nowait(big)
        message = await transport.recv_reliable()
        assert message.payload == big
        message.ack()
        assert await back


async def test_a_session_outlives_its_keyed_connections(cable, until):
    """Reconnecting proves both sides anew, and the session resumes: nothing lost, nothing doubled."""
    seen: list[bytes] = []
    async with (
        ReliableListener(keys=KeyRing(KEY), on_message=lambda m: seen.append(m.payload), config=FAST) as listener,
        cable(listener.port) as wire,
        ReliableTransport(TCPConnection("127.0.0.1", wire.port), name="d", key=KEY, config=FAST) as transport,
    ):
        wire.cut_after = 900  # In the middle of a record, mostly.
        for number in range(60):
            assert await transport.send_reliable(b"%d" % number)
        assert transport.metrics.reconnections >= 2
        assert len(listener.sessions) == 1
    assert seen == [b"%d" % number for number in range(60)]


async def test_who_has_no_key_is_refused_in_words_and_nothing_is_remembered(until):
    """No downgrade: a listener with keys takes nobody without."""
    async with ReliableListener(keys=KeyRing(KEY)) as listener:
        async with ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="d", config=FAST) as transport:
            await until(lambda: "this listener takes only peers that have a key" in transport.last_error)
            assert not transport.session.closed  # Somebody in between could have said so: it goes on trying.
        assert listener.sessions == {}
        assert listener.door.refused[Refusal.KEY] > 0


async def test_a_listener_without_keys_is_not_believed(until):
    """The same the other way round: who has a key speaks to nobody without."""
    async with ReliableListener(on_message=lambda _: None) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with ReliableTransport(address, name="d", key=KEY, config=FAST) as transport:
            await until(lambda: "did not answer our challenge" in transport.last_error)
        assert listener.sessions == {}


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (PreSharedKey.generate("k1"), "did not prove that it has key 'k1'"),
        (PreSharedKey.generate("k9"), "refused key 'k9': no key of this id is known here"),
    ],
)
async def test_a_wrong_key_opens_nothing_and_says_why(key: PreSharedKey, why: str, until):
    """Another secret under the same id, or an id that nobody knows."""
    async with ReliableListener(keys=KeyRing(KEY)) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with ReliableTransport(address, name="d", key=key, config=FAST) as transport:
            await until(lambda: why in transport.last_error)
            assert not transport.connected
        assert listener.sessions == {}


async def test_a_key_for_some_names_gives_no_other(until):
    """One device's key can't take over another one's session."""
    keys = KeyRing(PreSharedKey("k1", KEY.reveal(), peers=("dev-1",)))
    async with ReliableListener(keys=keys, on_message=lambda _: None) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with ReliableTransport(address, name="dev-2", key=KEY, config=FAST) as thief:
            await until(lambda: "key 'k1' is not for 'dev-2'" in thief.last_error)
        async with ReliableTransport(address, name="dev-1", key=KEY) as transport:
            assert await transport.send_reliable(b"x")
        assert list(listener.sessions) == ["dev-1"]
        assert listener.door.refused[Refusal.NAME] > 0


async def test_a_name_that_is_not_registered_is_refused_before_anything_is_made(until):
    """And admitted once it is: the registry is asked anew for each caller."""
    sources = {"dev-1"}
    async with ReliableListener(sources=sources, on_message=lambda _: None) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with ReliableTransport(address, name="dev-2", config=FAST) as transport:
            await until(lambda: "'dev-2' is not registered here" in transport.last_error)
            assert listener.sessions == {}
            sources.add("dev-2")
            assert await transport.send_reliable(b"x")


async def test_a_replayed_connection_gets_nowhere(until):
    """Everything that a device ever said, played back to the listener word for word."""
    seen: list[bytes] = []
    async with ReliableListener(keys=KeyRing(KEY), on_message=lambda m: seen.append(m.payload)) as listener:
        async with in_the_middle(listener.port) as middle:
            address = TCPConnection("127.0.0.1", middle.port)
            async with ReliableTransport(address, name="d", key=KEY) as transport:
                assert await transport.send_reliable(b"open the door")
            said = b"".join(middle.seen)
        hello, rest = said[: 8 + int.from_bytes(said[6:8], "big")], said[8 + int.from_bytes(said[6:8], "big") :]
        async with await anyio.connect_tcp("127.0.0.1", listener.port) as stream:
            await stream.send(hello)
            await stream.receive()  # The challenge is a new one.
            await stream.send(rest)
            assert b"the proof is wrong" in await answer_of(stream)
        await until(lambda: listener.door.refused[Refusal.KEY] == 1)
    assert seen == [b"open the door"]


async def test_a_hijacker_who_injects_bytes_loses_the_connection_and_changes_nothing(portable: None, until):
    """Bytes of its own in the middle of a live stream: dropped, counted, dialled again, every message once."""
    seen: list[bytes] = []
    async with (
        ReliableListener(keys=KeyRing(KEY), on_message=lambda m: seen.append(m.payload), config=FAST) as listener,
        in_the_middle(listener.port) as middle,
        ReliableTransport(TCPConnection("127.0.0.1", middle.port), name="d", key=KEY, config=FAST) as transport,
    ):
        assert await transport.send_reliable(b"one")
        forged = (5).to_bytes(4, "big") + secrets.token_bytes(16) + b"forge"
        middle.change = lambda data, number: forged + data if number > 1 else data
        delivery = transport.send_nowait(b"two")
        await until(lambda: listener.sessions["d"].metrics.tag_failures == 1)
        middle.change = untouched
        assert await delivery
        assert transport.metrics.reconnections >= 1
    assert seen == [b"one", b"two"]


async def test_a_hijacker_who_replays_records_loses_the_connection_and_changes_nothing(until):
    """What the device itself said a moment ago, a second time."""
    seen: list[bytes] = []
    async with (
        ReliableListener(keys=KeyRing(KEY), on_message=lambda m: seen.append(m.payload), config=FAST) as listener,
        in_the_middle(listener.port) as middle,
        ReliableTransport(TCPConnection("127.0.0.1", middle.port), name="d", key=KEY, config=FAST) as transport,
    ):
        assert await transport.send_reliable(b"open the door")
        recorded = middle.seen[-1]
        middle.change = lambda data, _number: recorded + data
        delivery = transport.send_nowait(b"close it")
        await until(lambda: listener.metrics.tag_failures == 1)
        middle.change = untouched
        assert await delivery
    assert seen == [b"open the door", b"close it"]


async def test_what_is_changed_on_the_way_to_the_dialler_is_found_there(until):
    """Acknowledgements are under tags, too: nobody can make a message seem delivered."""
    async with (
        ReliableListener(keys=KeyRing(KEY), on_message=lambda _: None, config=FAST) as listener,
        in_the_middle(listener.port) as middle,
        ReliableTransport(TCPConnection("127.0.0.1", middle.port), name="d", key=KEY, config=FAST) as transport,
    ):
        assert await transport.send_reliable(b"one")
        middle.change_back = lambda data, number: bytes([*data[:-1], data[-1] ^ 1]) if number > 1 else data
        delivery = transport.send_nowait(b"two")
        await until(lambda: transport.metrics.tag_failures >= 1)
        assert "changed by somebody in between" in transport.last_error or transport.connected
        middle.change_back = untouched
        assert await delivery


async def test_somebody_in_the_middle_can_t_talk_a_device_out_of_its_key(until):
    """A forged refusal, as if the listener had none: the device goes on demanding a proof."""
    async with (
        ReliableListener(keys=KeyRing(KEY), on_message=lambda _: None, config=FAST) as listener,
        in_the_middle(listener.port) as middle,
    ):
        body = b"\x91\xa2no"
        middle.change_back = lambda _data, _number: b"AGTK\x01\x04" + len(body).to_bytes(2, "big") + body
        address = TCPConnection("127.0.0.1", middle.port)
        async with ReliableTransport(address, name="d", key=KEY, config=FAST) as transport:
            delivery = transport.send_nowait(b"a secret plan")
            await until(lambda: middle.connections > 2)
            assert b"a secret plan" not in b"".join(middle.seen)
            assert not delivery.done
            middle.change_back = untouched
            assert await delivery


async def test_keyed_peers_and_legacy_devices_share_a_port_and_nobody_is_talked_down(until):
    """By their first bytes; whoever speaks natively without a key is still refused in words."""
    native = ReliableListener(keys=KeyRing(KEY), on_message=lambda _: None)
    legacy = WireListener(lambda: LinesLink("controller"))
    async with SniffingListener({"native": native, "lines": legacy}) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with (
            ReliableTransport(address, name="d", key=KEY) as transport,
            ReliableTransport(
                address, name="old", make_link=lambda name, _: LinesLink("device", LinesConfig(name=name))
            ),
            ReliableTransport(address, name="bare", config=FAST) as bare,
        ):
            assert await transport.send_reliable(b"x")
            await until(lambda: "old" in legacy.sessions)
            await until(lambda: "takes only peers that have a key" in bare.last_error)
        assert list(native.sessions) == ["d"]


async def test_a_dialler_that_is_thrown_its_own_words_back_believes_nothing(until):
    """Reflection, over a real socket: an echo has no key."""

    async def echo(stream: ByteStream) -> None:
        async with stream:
            while True:
                await stream.send(await stream.receive())

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as mirror, anyio.create_task_group() as tasks:
        tasks.start_soon(mirror.serve, forgiving(echo), tasks)
        port = mirror.extra(anyio.abc.SocketAttribute.local_port)
        async with ReliableTransport(TCPConnection("127.0.0.1", port), name="d", key=KEY, config=FAST) as transport:
            await until(lambda: "did not answer our challenge" in transport.last_error)
            assert not transport.connected
        tasks.cancel_scope.cancel()


def forgiving(serve: Callable) -> Callable:
    """Wrap what serves a connection such that its end is no error."""

    async def served(stream: ByteStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await serve(stream)

    return served


async def test_keys_are_changed_one_after_the_other_without_a_restart(tmp_path: Path, until):
    """The listener takes both, the device's file is replaced, the old one is taken no more."""
    old, new = PreSharedKey.generate("2026-a"), PreSharedKey.generate("2026-b")
    path = tmp_path / "key"
    write_key_file(path, old)
    keys = KeyRing(old)
    async with ReliableListener(keys=keys, on_message=lambda _: None, config=FAST) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with ReliableTransport(address, name="d", key=KeyFile(path), config=FAST) as transport:
            assert await transport.send_reliable(b"with the old one")
            keys.add(new)
            write_key_file(path, new)
            keys.remove("2026-a")
            assert await transport.send_reliable(b"on the connection of before")
            transport.session.disconnect("a pause")
            assert await transport.send_reliable(b"with the new one")
            assert transport.metrics.reconnections >= 1


async def test_a_key_file_that_becomes_unreadable_costs_connections_and_nothing_else(tmp_path: Path, until):
    """The reason is said, dialling goes on, and goes well once the file does."""
    path = tmp_path / "key"
    async with ReliableListener(keys=KeyRing(KEY), on_message=lambda _: None) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        async with ReliableTransport(address, name="d", key=KeyFile(path), config=FAST) as transport:
            await until(lambda: "no such file" in transport.last_error)
            write_key_file(path, KEY)
            path.chmod(0o644)
            await until(lambda: "open to others" in transport.last_error)
            path.chmod(0o600)
            assert await transport.send_reliable(b"x")
    with pytest.raises(BadCredential):
        KeyFile(tmp_path / "nowhere")()


async def test_secrets_and_proofs_are_in_no_log_line(caplog: pytest.LogCaptureFixture, until):
    """Good connections, bad ones, attacks: at the most talkative level, nothing secret is said."""
    caplog.set_level(logging.DEBUG)
    async with ReliableListener(keys=KeyRing(KEY), on_message=lambda _: None, config=FAST) as listener:
        address = TCPConnection("127.0.0.1", listener.port)
        stranger = PreSharedKey.generate("k1")
        async with ReliableTransport(address, name="d", key=KEY) as transport:
            assert await transport.send_reliable(b"x")
        async with ReliableTransport(address, name="d", key=stranger, config=FAST) as transport:
            await until(lambda: transport.last_error)
            said = transport.last_error
        async with ReliableTransport(address, name="d", config=FAST) as transport:
            await until(lambda: transport.last_error)
            said += transport.last_error
    text = caplog.text + said
    assert "refused" in text
    for key in (KEY, stranger):
        assert key.reveal().hex() not in text
        assert repr(key.reveal())[2:-1] not in text

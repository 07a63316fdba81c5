"""The proxy on real sockets: what goes in comes out, except for what the faults did."""

import socket
from pathlib import Path
from random import Random
from typing import Any

import anyio
import msgspec
import pytest

from agt.chaos.faults import Cut, Down, Drop, Duplicate, Latency, Limit, Reorder, Reset, Slice, SlowClose, Stall
from agt.chaos.proxy import FaultProxy, peers, towards

pytestmark = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])

HELLO = b"hello kitchen\n"
TEN = [b"line %d\n" % number for number in range(10)]


async def dial(proxy: FaultProxy) -> anyio.abc.SocketStream:
    """Connect to the proxy."""
    return await anyio.connect_tcp("127.0.0.1", proxy.port)


def proxy_to(target: Any, seed: int = 1, **options: Any) -> FaultProxy:
    """Make a proxy for lines in front of the target."""
    return FaultProxy(("127.0.0.1", target.port), wire="lines", rng=Random(seed), **options)


async def hear(stream: anyio.abc.ByteReceiveStream, size: int) -> bytes:
    """Read at least so many bytes."""
    heard = b""
    with anyio.fail_after(5):
        while len(heard) < size:
            heard += await stream.receive()
    return heard


async def test_without_faults_bytes_pass_both_ways_and_the_end_passes_too(serve: Any) -> None:
    """An idle proxy is transparent, half-closed connections included."""
    async with serve(lambda data: data.upper()) as target, proxy_to(target) as proxy, await dial(proxy) as client:
        await client.send(HELLO + b"half a line")
        assert await hear(client, len(HELLO)) == HELLO.upper()
        await client.send_eof()
        await target.until(lambda: target.ended == ["end"])
        assert target.heard == [bytearray(HELLO + b"half a line")]


async def test_it_relays_unix_sockets(serve: Any, tmp_path: Path) -> None:
    """Target and listener may both be paths."""
    behind, front = tmp_path / "behind", tmp_path / "front"
    async with (
        serve(lambda data: data, path=behind),
        FaultProxy(str(behind), wire="lines", rng=Random(1), listen=str(front)) as proxy,
        await anyio.connect_unix(proxy.path) as client,
    ):
        await client.send(HELLO)
        assert await hear(client, len(HELLO)) == HELLO


async def test_latency_holds_one_direction_and_keeps_order(serve: Any) -> None:
    """Frames wait their time on the way that is meant, and none overtakes another when the delay ends."""
    async with serve(lambda data: data) as target, proxy_to(target) as proxy, await dial(proxy) as client:
        rule = proxy.add(Latency(0.15), towards("to_target"))
        began = anyio.current_time()
        await client.send(b"".join([HELLO, *TEN[:5]]))
        await anyio.lowlevel.checkpoint()
        while proxy.struck["latency"] != 6:
            await anyio.lowlevel.checkpoint()
        proxy.remove(rule)
        await client.send(b"".join(TEN[5:]))
        assert await hear(client, len(HELLO) + 70) == HELLO + b"".join(TEN)
        assert anyio.current_time() - began >= 0.15


async def test_drop_loses_whole_frames_only(serve: Any) -> None:
    """What arrives is a subset of the lines, each of them whole."""
    async with serve() as target, proxy_to(target) as proxy, await dial(proxy) as client:
        await client.send(HELLO)
        await target.until(lambda: target.first == HELLO)
        proxy.add(Drop(), probability=0.5)
        await client.send(b"".join(TEN))
        await client.send_eof()
        await target.until(lambda: bool(target.ended))
        lines = target.first.splitlines(keepends=True)[1:]
        assert 0 < len(lines) < 10
        assert lines == [line for line in TEN if line in lines]
        assert proxy.struck["drop"] == 10 - len(lines)


async def test_the_same_seed_strikes_the_same_frames(serve: Any) -> None:
    """Faults of a connection depend on seed, peer and count of connections, not on when it came."""

    async def run(seed: int) -> bytes:
        async with serve() as target, proxy_to(target, seed) as proxy, await dial(proxy) as client:
            proxy.add(Drop(), towards("to_target"), probability=0.5)
            await client.send(HELLO + b"".join(TEN))
            await client.send_eof()
            await target.until(lambda: bool(target.ended))
            return target.first

    first, again, other = await run(7), await run(7), await run(8)
    assert first == again
    assert first != other


async def test_duplicate_and_reorder_change_the_multiset_as_they_say(serve: Any) -> None:
    """Doubling adds copies; reordering loses nothing but order."""
    async with serve() as target, proxy_to(target) as proxy, await dial(proxy) as client:
        await client.send(HELLO)
        await target.until(lambda: target.first == HELLO)
        rule = proxy.add(Duplicate())
        await client.send(TEN[0])
        await target.until(lambda: len(target.first) == len(HELLO) + 14)
        proxy.remove(rule)
        proxy.add(Reorder(), probability=0.5)
        await client.send(b"".join(TEN[1:]))
        await client.send_eof()
        await target.until(lambda: bool(target.ended))
        lines = target.first.splitlines(keepends=True)
        assert lines[1:3] == [TEN[0], TEN[0]]
        assert lines[3:] != TEN[1:]
        assert sorted(lines[3:]) == TEN[1:]


async def test_a_stall_passes_nothing_until_it_is_over(serve: Any) -> None:
    """While stalled neither side hears anything and nobody sees an error; then all of it comes, in order."""
    async with serve(lambda data: data) as target, proxy_to(target) as proxy, await dial(proxy) as client:
        await client.send(HELLO)
        await hear(client, len(HELLO))
        rule = proxy.add(Stall(), peers("kitchen"))
        await client.send(b"".join(TEN))
        with anyio.move_on_after(0.1) as silence:
            await client.receive()
        assert silence.cancelled_caught
        assert target.first == HELLO
        proxy.remove(rule)
        assert await hear(client, 70) == b"".join(TEN)


async def test_a_scope_that_ends_lets_the_stall_go(serve: Any) -> None:
    """A scope may change while it runs; `refresh` makes the proxy look again."""
    stalled = {"kitchen"}
    async with serve(lambda data: data) as target, proxy_to(target) as proxy, await dial(proxy) as client:
        await client.send(HELLO)
        await hear(client, len(HELLO))
        proxy.add(Stall(), lambda flow: flow.peer in stalled)
        await client.send(TEN[0])
        stalled.clear()
        proxy.refresh()
        assert await hear(client, 7) == TEN[0]


async def test_a_cut_ends_connections_and_refuses_new_ones_until_it_is_over(serve: Any) -> None:
    """Only the peers in scope are cut; a new connection is cut when its first frame names the peer."""
    async with serve(lambda data: data) as target, proxy_to(target) as proxy:
        async with await dial(proxy) as kitchen, await dial(proxy) as hall:
            await kitchen.send(HELLO)
            await hear(kitchen, len(HELLO))
            await hall.send(b"hello hall\n")
            await hear(hall, 11)
            proxy.add(Cut(), peers("kitchen"), for_s=0.2)
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)), anyio.fail_after(5):
                await kitchen.receive()
            await hall.send(TEN[0])
            assert await hear(hall, 7) == TEN[0]
        async with await dial(proxy) as again:
            await again.send(HELLO)
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)), anyio.fail_after(5):
                await again.receive()
        assert [bytes(heard).count(HELLO) for heard in target.heard].count(1) == 1
        healed = b""
        with anyio.fail_after(5):
            while healed != HELLO:
                async with await dial(proxy) as later:
                    try:
                        await later.send(HELLO)
                        healed = await later.receive()
                    except (anyio.EndOfStream, anyio.BrokenResourceError):
                        continue


async def test_a_reset_of_one_side_resets_the_other_and_drops_what_was_held(serve: Any) -> None:
    """Held frames go nowhere once either side is gone."""
    async with serve() as target, proxy_to(target) as proxy:
        client = socket.create_connection(("127.0.0.1", proxy.port))
        client.sendall(HELLO)
        await target.until(lambda: target.first == HELLO)
        proxy.add(Latency(30.0))
        client.sendall(TEN[0])
        while not proxy.struck["latency"]:
            await anyio.lowlevel.checkpoint()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        await target.until(lambda: target.ended == ["reset"])
        assert target.first == HELLO


async def test_a_reset_fault_ends_the_connection_at_a_frame(serve: Any) -> None:
    """The frame is lost and both sides see a reset."""
    async with serve(lambda data: data) as target, proxy_to(target) as proxy, await dial(proxy) as client:
        await client.send(HELLO)
        await hear(client, len(HELLO))
        proxy.add(Reset(), towards("to_target"))
        await client.send(TEN[0])
        with pytest.raises(anyio.BrokenResourceError), anyio.fail_after(5):
            await client.receive()
        await target.until(lambda: target.ended == ["reset"])


async def test_a_limit_passes_its_bytes_and_ends_the_connection(serve: Any) -> None:
    """The target hears the first bytes and then the end; the next connection begins anew."""
    async with serve() as target, proxy_to(target) as proxy:
        proxy.add(Limit(len(HELLO) + 3), towards("to_target"))
        for place in range(2):
            async with await dial(proxy) as client:
                await client.send(HELLO + TEN[0])
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)), anyio.fail_after(5):
                    await client.receive()
            await target.until(lambda place=place: len(target.ended) > place)
        assert [bytes(heard) for heard in target.heard] == [HELLO + b"lin"] * 2


async def test_slices_arrive_whole(serve: Any) -> None:
    """However a frame is cut up, its bytes come in order, and nothing is missing at the end."""
    async with serve() as target, proxy_to(target) as proxy, await dial(proxy) as client:
        proxy.add(Slice(size=3, pause_s=0.0))
        await client.send(HELLO + b"".join(TEN))
        await client.send_eof()
        await target.until(lambda: bool(target.ended))
        assert target.first == HELLO + b"".join(TEN)


async def test_a_slow_close_passes_bytes_at_once_and_the_end_when_it_is_over(serve: Any) -> None:
    """The other side doesn't hear of the end as long as the fault holds it back."""
    async with serve() as target, proxy_to(target) as proxy, await dial(proxy) as client:
        rule = proxy.add(SlowClose(60.0))
        await client.send(HELLO)
        await client.send_eof()
        await target.until(lambda: target.first == HELLO)
        with anyio.move_on_after(0.05) as silence:
            await target.until(lambda: bool(target.ended))
        assert silence.cancelled_caught
        proxy.remove(rule)
        await target.until(lambda: target.ended == ["end"])


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_down_refuses_by_the_system_and_comes_back_at_the_same_place(
    serve: Any, tmp_path: Path, kind: str
) -> None:
    """Connections end, new ones aren't even accepted, and afterwards the address is what it was."""
    listen: Any = str(tmp_path / "front") if kind == "unix" else ("127.0.0.1", 0)
    async with serve(lambda data: data) as target, proxy_to(target, listen=listen) as proxy:
        place: Any = listen if kind == "unix" else proxy.port

        async def reach() -> anyio.abc.SocketStream:
            if kind == "unix":
                return await anyio.connect_unix(place)
            return await anyio.connect_tcp("127.0.0.1", place)

        async with await reach() as client:
            await client.send(HELLO)
            await hear(client, len(HELLO))
            rule = proxy.add(Down())
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)), anyio.fail_after(5):
                await client.receive()
        for _ in range(2):
            with pytest.raises(OSError):  # noqa: PT011 - anyio wraps a refusal in one, or in several.
                await reach()
        proxy.remove(rule)
        async with await reach() as client:
            await client.send(HELLO)
            assert await hear(client, len(HELLO)) == HELLO


async def test_a_proxy_may_be_down_from_the_start(serve: Any) -> None:
    """A fault that is given at the beginning counts before the first connection."""
    async with serve(lambda data: data) as target, proxy_to(target, faults=[Down()]) as proxy:
        with pytest.raises(OSError):  # noqa: PT011 - as above.
            await dial(proxy)
        proxy.clear()
        async with await dial(proxy) as client:
            await client.send(HELLO)
            assert await hear(client, len(HELLO)) == HELLO


async def test_nobody_behind_the_proxy_looks_like_a_refusal(serve: Any) -> None:
    """When the target is down the client's connection ends at once."""
    async with serve() as target:
        proxy = proxy_to(target)
    async with proxy, await dial(proxy) as client:
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)), anyio.fail_after(5):
            await client.receive()


async def test_native_and_cync_frames_are_struck_whole(serve: Any) -> None:
    """Frames cut across segments are put together before a fault sees them, and name their peer."""
    body = msgspec.msgpack.encode([1, 1, 0, "hall-7", 12])
    hello = len(body).to_bytes(4, "big") + bytes(24) + body
    data = (5).to_bytes(4, "big") + bytes(24) + b"12345"
    cync_hello = bytes.fromhex("23 00 00 00 0a 03 45 88 0f 3a 00 10 00 00 00")
    heartbeat = bytes.fromhex("d3 00 00 00 00")
    for wire, peer, first, then in (("native", "hall-7", hello, data), ("cync", "45880f3a", cync_hello, heartbeat)):
        async with (
            serve() as target,
            FaultProxy(("127.0.0.1", target.port), wire=wire, rng=Random(1)) as proxy,  # type: ignore[arg-type]
            await dial(proxy) as client,
        ):
            proxy.add(Duplicate(), peers(peer))
            for piece in (first[:3], first[3:] + then[:2], then[2:]):
                await client.send(piece)
                await anyio.lowlevel.checkpoint()
            doubled = first * 2 + then * 2
            await target.until(lambda doubled=doubled: target.first == doubled)

"""What callers are told when a runtime gives no answer, and that no write is ever made twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from agt.router.http import Address
from support.http_front import Front, front, reply, until, whole_body

pytestmark = pytest.mark.anyio

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
UNCLEAR = {
    "two lengths": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", b"400"),
    "length and chunked": (
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"400",
    ),
    "chunked before identity": (
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"4",
    ),
    "no such coding": (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", b"4"),
    "signed length": (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +1\r\n\r\nx", b"400"),
    "space before colon": (b"GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n", b"400"),
    "zero byte": (b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n z\x00\r\n\r\n", b"400"),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", b"400"),
    "absolute target": (b"GET http://elsewhere/ HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
    "connect": (b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", b"501"),
    "two keys": (b"GET / HTTP/1.1\r\nHost: h\r\nX-Device: a\r\nX-Device: b\r\n\r\n", b"400"),
    "large head": (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", b"4"),
}
"""Requests, and how their answer's status begins."""


@pytest.fixture
def anyio_backend() -> str:
    """The adapter runs on asyncio only."""
    return "asyncio"


@asynccontextmanager
async def rude(talk: Talk) -> AsyncIterator[tuple[Address, list[bytes]]]:
    """A service that speaks for itself: gets the head of each request, and does what it likes."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield Address(host="127.0.0.1", port=server.sockets[0].getsockname()[1]), heads
    finally:
        server.close()


def pointed(found: Front, address: Address) -> None:
    """Point the candidate elsewhere."""
    found.adapter._pools["v2"].address = address


async def ask(found: Front, method: str = "GET", **more: Any) -> tuple[int, dict[str, Any]]:
    """Ask the candidate; returns status and body."""
    answer = await found.client.request(method, "/", headers={"x-device": "d"}, **more)
    return answer.status_code, answer.json()


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection without a word."""
    writer.close()


async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer what is no HTTP."""
    writer.write(b"SSH-2.0-x\r\n\r\n")


async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Let the caller wait."""
    await reader.read(1)


async def half(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin an answer and break it off."""
    writer.write(HEAD + b"half")
    await writer.drain()
    writer.close()


async def test_a_service_that_is_down_is_502_and_nothing_was_delivered() -> None:
    """One clear body: what, where, whether anything was sent, and what to do."""
    async with front(100.0) as found:
        pointed(found, Address(host="127.0.0.1", port=1))
        status, body = await ask(found, "POST", content=b"x")
        assert status == 502
        assert body["error"]["code"] == "unreachable"
        assert (body["error"]["runtime"], body["error"]["sent"]) == ("v2", False)
        assert body["error"]["hint"]
        assert found.router.ledger.totals["v2"].not_delivered == 1


@pytest.mark.parametrize(("talk", "code"), [(hang_up, "broken"), (nonsense, "broken")])
async def test_a_service_that_breaks_off_is_502_and_in_doubt(talk: Talk, code: str) -> None:
    """Nobody knows what it did, and the caller is told so."""
    async with front(100.0) as found, rude(talk) as (address, heads):
        pointed(found, address)
        status, body = await ask(found, "POST", content=b"x")
        assert (status, body["error"]["code"], body["error"]["sent"]) == (502, code, True)
        assert len(heads) == 1
        assert found.router.ledger.totals["v2"].indeterminate == 1


async def test_a_service_that_says_nothing_is_504_by_the_deadline() -> None:
    """The deadline counts from the request's last byte; a route may have its own."""
    rules = '[[route]]\npath = "/"\nanswer_s = 0.05\n'
    async with front(100.0, rules) as found, rude(say_nothing) as (address, _):
        pointed(found, address)
        with anyio.fail_after(5):
            status, body = await ask(found)
        assert (status, body["error"]["code"]) == (504, "timeout")
        assert found.router.ledger.totals["v2"].indeterminate == 1


async def test_an_answer_that_breaks_off_is_never_taken_for_a_whole_one() -> None:
    """The caller's connection is cut short of the length that was announced."""
    async with front(100.0) as found, rude(half) as (address, _):
        pointed(found, address)
        received = await found.raw(b"GET / HTTP/1.1\r\nHost: h\r\nX-Device: d\r\n\r\n")
        assert received.endswith((b"half", b"\r\n\r\n")) or received == b""
        assert found.router.ledger.totals["v2"].indeterminate == 1


async def test_a_stream_that_stops_flowing_is_cut() -> None:
    """Silence in the middle has a limit of its own."""

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"half")
        await reader.read(1)

    async with front(100.0, "[limits]\nidle_s = 0.05\n") as found, rude(stall) as (address, _):
        pointed(found, address)
        with anyio.fail_after(5):
            await found.raw(b"GET / HTTP/1.1\r\nHost: h\r\nX-Device: d\r\n\r\n")
        assert "did not go on" in found.router.ledger.anomalies[0].says


async def test_a_stream_without_a_length_is_not_ended_properly_when_it_is_cut() -> None:
    """Its end is the end of the connection: one that we end ourselves must not look like the service's own."""

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf")
        await reader.read(1)

    async with front(100.0, "[limits]\nidle_s = 0.05\n") as found, rude(stall) as (address, _):
        pointed(found, address)
        received = await found.raw(b"GET / HTTP/1.1\r\nHost: h\r\nX-Device: d\r\n\r\n")
        assert b"transfer-encoding: chunked" in received.lower()
        assert not received.endswith(b"0\r\n\r\n")
        assert found.router.ledger.totals["v2"].indeterminate == 1


async def test_a_stream_without_a_length_ends_with_its_connection() -> None:
    """The service closing it is its proper end."""

    async def whole(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole")
        writer.close()

    async with front(100.0) as found, rude(whole) as (address, _):
        pointed(found, address)
        answer = await found.client.get("/", headers={"x-device": "d"})
        assert (answer.status_code, answer.text) == (200, "whole")
        assert found.router.ledger.totals["v2"].delivered == 1


@pytest.mark.parametrize("fallback", ["off", "reads", "unsent"])
async def test_only_what_cannot_double_is_asked_of_control(fallback: str) -> None:
    """Reads where the file says so, writes only when provably nothing was sent; the body goes up once."""
    async with front(100.0, f'fallback = "{fallback}"') as found, rude(hang_up) as (address, heads):
        totals, crossed, broken = found.router.ledger.totals, 0, 0
        for method in ("GET", "POST"):
            for down in (True, False):
                pointed(found, Address(host="127.0.0.1", port=1) if down else address)
                status, body = await ask(found, method, content=b"x" * (method == "POST"))
                allowed = (method == "GET" and fallback != "off") or (down and fallback == "unsent")
                assert (status, body.get("by")) == ((200, "v1") if allowed else (502, None))
                crossed, broken = crossed + allowed, broken + (not down)
                assert (len(found.control.asked), len(heads)) == (crossed, broken)
                assert totals["v2"].given_up == totals["v1"].taken_over == crossed
        assert (totals["v1"].in_flight, totals["v2"].in_flight) == (0, 0)


async def test_a_kill_takes_along_what_waits_for_a_connection() -> None:
    """Nothing of it was sent, so control answers it; what was sent ends where it is."""
    gate = anyio.Event()

    async def hold(_: Any, receive: Any, send: Any) -> None:
        await whole_body(receive)
        await gate.wait()
        await reply(send, {"by": "v2"})

    async with front(100.0, candidate=hold, upstream="connections_max = 1\nconnect_s = 10.0") as found:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(ask(found, "POST"))
            await until(lambda: found.candidate.asked)
            second = tasks.create_task(ask(found, "POST"))
            await until(lambda: found.adapter._pools["v2"].waiting)
            found.router.kill("test")
            gate.set()
        assert (first.result()[1]["by"], second.result()[1]["by"]) == ("v2", "v1")
        assert found.adapter.books.crossings == 1


async def test_too_many_at_once_are_told_to_come_again() -> None:
    """503 with Retry-After, before anything is read or sent."""
    gate = anyio.Event()

    async def hold(_: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send, {})

    async with front(0.0, "[limits]\nrequests_max = 1\n", control=hold) as found:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(found.client.get("/"))
            await until(lambda: found.control.asked)
            answer = await found.client.get("/")
            gate.set()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert len(found.control.asked) == 1


async def test_a_body_beyond_the_limit_is_413_announced_or_not() -> None:
    """By its length at once, without one as soon as it has grown too far."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 10

    async with front(0.0, "[limits]\nbody_max_bytes = 50\n") as found:
        assert (await ask(found, "POST", content=b"x" * 51))[0] == 413
        assert found.control.asked == []
        assert (await ask(found, "POST", content=pieces()))[0] == 413
        assert found.control.bodies in ([], [b"x" * 50]) or len(found.control.bodies[0]) <= 50
        assert (await ask(found, "POST", content=b"x" * 50))[0] == 200


async def test_requests_whose_end_or_aim_is_unclear_reach_nobody() -> None:
    """Request smuggling and its relatives are refused at the door, not interpreted."""
    async with front(0.0) as found:
        for name, (request, status) in UNCLEAR.items():
            answer = await found.raw(request)
            assert answer.startswith(b"HTTP/1.1 " + status), (name, answer[:200])
            assert found.control.asked == [], name


async def test_an_upload_that_is_refused_is_read_on_only_for_a_while() -> None:
    """So that its caller sees the answer; but nobody pours gigabytes into the void."""
    async with (
        front(0.0, "[limits]\nbody_max_bytes = 10\n") as found,
        await anyio.connect_tcp(found.address.host, found.address.port) as stream,
    ):
        await stream.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999\r\n\r\n")
        assert (await stream.receive()).startswith(b"HTTP/1.1 413")
        with anyio.fail_after(10), contextlib.suppress(anyio.BrokenResourceError):
            while True:
                await stream.send(bytes(65_536))


async def test_websockets_are_refused_in_words() -> None:
    """Live connections are the router's work; 501 says so at once."""
    async with front(0.0) as found:
        answer = await found.client.get("/", headers={"connection": "Upgrade", "upgrade": "websocket"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (501, "not_carried")
        assert (await found.client.get("/", headers={"connection": "Upgrade", "upgrade": "h2c"})).status_code == 200
        assert "upgrade" not in found.control.asked[0][2]


async def test_a_head_that_trickles_in_is_given_up() -> None:
    """A caller that never finishes its first line holds a connection for `head_s` and no longer."""
    async with front(0.0) as found, await anyio.connect_tcp(found.address.host, found.address.port) as stream:
        await stream.send(b"GET / HT")
        with anyio.fail_after(5), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()


async def test_an_early_refusal_of_an_upload_reaches_its_caller() -> None:
    """A service that answers in the middle of a body is heard, and nothing waits for the rest."""

    async def refuse(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await reply(send, {"by": "v1"}, status=403)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield bytes(65_536)

    async with front(0.0, control=refuse) as found:
        status, _ = await ask(found, "POST", content=endless())
        assert status == 403

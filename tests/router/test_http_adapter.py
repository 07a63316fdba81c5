"""The adapter in front of two real servers: where requests go, and what passes through unchanged."""

import asyncio
import json
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from agt.router import Ledger, position
from agt.transport import Outcome
from support.http_front import Front, front, reply, selector, until, whole_body

VECTORS = json.loads(Path(__file__).parents[2].joinpath("docs/reference/position-vectors.json").read_text())

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The adapter runs on asyncio only."""
    return "asyncio"


async def runtime(found: Front, device: str, path: str = "/", **more: Any) -> str:
    """Which runtime answers a device."""
    answer = await found.client.get(path, headers={"x-device": device}, **more)
    assert answer.headers["x-agt-runtime"] == answer.json()["by"]
    return str(answer.json()["by"])


def settled(ledger: Ledger) -> dict[str, int]:
    """What the ledger says of all requests, both runtimes together."""
    totals = ledger.totals.values()
    return {
        name: sum(getattr(counts, name) for counts in totals)
        for name in ("accepted", "delivered", "not_delivered", "indeterminate", "in_flight")
    }


async def test_a_share_is_split_exactly_by_position() -> None:
    """Every name of the golden vectors goes where its position says, and nobody else does."""
    async with front(25.0) as found:
        names = [item["device"] for item in VECTORS["vectors"] if item["device"].isascii() and item["device"].strip()]
        names = [name for name in names if name.isprintable() and len(name) < 200][:25]
        assert len(names) > 10
        for name in names:
            assert await runtime(found, name) == ("v2" if position(name) < 25 else "v1"), name
        assert {path for _, path, _ in found.control.asked} == {"/"}


async def test_nobody_at_0_and_everybody_at_100() -> None:
    """The ends of the scale; a caller without a key stays on control even then."""
    async with front(0.0) as found:
        assert {await runtime(found, f"d{n}") for n in range(5)} == {"v1"}
        found.set(100.0)
        assert {await runtime(found, f"d{n}") for n in range(5)} == {"v2"}
        assert (await found.client.get("/")).headers["x-agt-runtime"] == "v1"


async def test_no_selector_means_control() -> None:
    """As everywhere: what can't be read sends nobody forward."""
    async with front(100.0) as found:
        found.router.kill("test")
        assert await runtime(found, "d1") == "v1"
        assert found.router.status().killed


async def test_cohorts_overrides_and_components_count() -> None:
    """The whole decision decides, not a percentage beside it."""
    rules = '[[route]]\npath = "/predict/**"\ncomponent = "prediction"\n'
    async with front(0.0, rules, cohort=("alpha",), components={"prediction": False}) as found:
        assert await runtime(found, "alpha") == "v2"
        assert await runtime(found, "beta") == "v1"
        assert await runtime(found, "alpha", "/predict/now") == "v1"
        found.router.apply(selector(0.0, generation=9, cohort=("alpha",), components={"prediction": True}))
        assert await runtime(found, "alpha", "/predict/now") == "v2"


async def test_pinned_sessions_stay_on_control_until_they_end() -> None:
    """Callers who are there when the share is raised keep their runtime; new ones don't."""
    async with front(0.0, pin_live_sessions=True) as found:
        assert await runtime(found, "there") == "v1"
        found.set(100.0, pin_live_sessions=True)
        assert await runtime(found, "there") == "v1"
        assert await runtime(found, "new") == "v2"
        found.adapter.callers.sweep(found.router.status().loop_lag_s + 1e9)
        assert await runtime(found, "there") == "v2"


async def test_a_kill_in_the_middle_of_load_loses_no_request() -> None:
    """Each request is answered by one side, once; nothing enters the candidate after the kill."""
    async with front(50.0) as found:
        answers: list[httpx.Response] = []

        async def load(caller: int) -> None:
            for number in range(12):
                headers = {"x-device": f"d{caller}-{number % 5}", "x-number": f"{caller}-{number}"}
                answers.append(await found.client.post("/", headers=headers, content=b"x" * 100))

        async with asyncio.TaskGroup() as tasks:
            for caller in range(8):
                tasks.create_task(load(caller))
            await until(lambda: len(answers) >= 40)
            receipt = found.router.kill("test")
            before = len(found.candidate.asked)
        assert [answer.status_code for answer in answers] == [200] * 96
        numbers = [headers["x-number"] for _, _, headers in found.control.asked + found.candidate.asked]
        assert len(numbers) == len(set(numbers)) == 96
        assert len(found.candidate.asked) - before <= 8, "only what was on its way already"
        assert (await receipt.settled()).moving == 0
        assert settled(found.router.ledger) == {
            "accepted": 96,
            "delivered": 96,
            "not_delivered": 0,
            "indeterminate": 0,
            "in_flight": 0,
        }


async def test_a_stream_ends_on_the_runtime_that_began_it() -> None:
    """A move is settled only when the last stream on the old side has ended; new requests don't wait for that."""
    gate = asyncio.Event()

    async def stream(_: Any, receive: Any, send: Any) -> None:
        await whole_body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await gate.wait()
        await send({"type": "http.response.body", "body": b"two"})

    async with front(100.0, candidate=stream) as found:
        async with found.client.stream("GET", "/", headers={"x-device": "d"}) as answer:
            pieces = answer.aiter_raw()
            assert await anext(pieces) == b"one "
            batch = found.set(0.0)
            assert await runtime(found, "d") == "v1"
            assert batch.receipt().moving == 1
            gate.set()
            assert b"".join([piece async for piece in pieces]) == b"two"
        assert (await batch.settled()).moved == 1


async def test_megabytes_flow_both_ways_at_once() -> None:
    """An upload echoed as a download while it still goes up."""

    async def echo(_: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            await send({"type": "http.response.body", "body": message["body"], "more_body": more})

    async with front(0.0, control=echo) as found:
        piece, count = bytes(range(256)) * 256, 64

        async def upload() -> Any:
            for _ in range(count):
                yield piece

        received = bytearray()
        async with found.client.stream("POST", "/", content=upload()) as answer:
            async for part in answer.aiter_raw():
                received += part
        assert bytes(received) == piece * count


async def test_the_path_and_the_query_pass_untouched() -> None:
    """A service sees the bytes that the caller wrote; only rules go by what they mean."""
    seen: list[tuple[bytes, bytes]] = []

    async def look(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["raw_path"], scope["query_string"]))
        await reply(send, {})

    async with front(0.0, control=look) as found:
        answer = await found.raw(b"GET /a%2Fb//c/../d;x=1?q=%20&q HTTP/1.1\r\nHost: h\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
    assert seen == [(b"/a%2Fb//c/../d;x=1", b"q=%20&q")]


async def test_headers_say_for_whom_and_lie_about_nobody() -> None:
    """What a caller claims to forward is dropped; what speaks of one connection stays behind."""
    async with front(0.0) as found:
        forged = {"x-forwarded-for": "10.9.9.9", "forwarded": "for=10.9.9.9", "x-agt-mirror": "1", "te": "trailers"}
        named = {"connection": "x-secret, authorization", "x-secret": "1", "authorization": "token"}
        answer = await found.client.get("/", headers={**forged, **named})
        (_, _, headers) = found.control.asked[0]
        assert headers["x-forwarded-for"] == "127.0.0.1"
        assert headers["forwarded"].startswith("for=127.0.0.1;proto=http;host=")
        assert headers["authorization"] == "token", "what a service decides by can't be named away"
        assert not {"x-secret", "te", "x-agt-mirror"} & set(headers)
        assert answer.headers["x-agt-runtime"] == "v1"


async def test_a_trusted_proxy_is_continued() -> None:
    """Behind a proxy of one's own the chain of addresses grows."""
    async with front(0.0, "trust_forwarded = true") as found:
        await found.client.get("/", headers={"x-forwarded-for": "10.9.9.9", "x-forwarded-proto": "https"})
        (_, _, headers) = found.control.asked[0]
        assert (headers["x-forwarded-proto"], headers["x-forwarded-for"]) == ("https", "10.9.9.9, 127.0.0.1")


async def test_the_runtime_can_be_kept_to_oneself() -> None:
    """Outside callers need not know that there are two."""
    async with front(0.0, "show_runtime = false") as found:
        assert "x-agt-runtime" not in (await found.client.get("/")).headers


async def test_head_options_and_bodiless_answers_are_right() -> None:
    """No body where there is none, the same headers, and the connection goes on."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/204":
            await send({"type": "http.response.start", "status": 204, "headers": [(b"x-a", b"1")]})
            await send({"type": "http.response.body"})
        else:
            await reply(send, {"method": scope["method"]})

    async with front(0.0, control=answer) as found:
        head = await found.client.head("/")
        assert (head.status_code, head.content, int(head.headers["content-length"])) == (200, b"", 18)
        assert (await found.client.options("/")).json() == {"method": "OPTIONS"}
        none = await found.client.get("/204")
        assert (none.status_code, none.headers["x-a"], none.content) == (204, "1", b"")
        assert (await found.raw(b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_caller_that_waits_for_100_continue_gets_it() -> None:
    """Once there is a service to take the body; a refusal comes instead of it, and ends the connection."""
    async with front(0.0, "[limits]\nbody_max_bytes = 10\n") as found:
        address = found.address
        async with await anyio.connect_tcp(address.host, address.port) as stream:
            await stream.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
            assert (await stream.receive()).startswith(b"HTTP/1.1 100")
            await stream.send(b"body")
            assert (await stream.receive()).startswith(b"HTTP/1.1 200")
        assert found.control.bodies == [b"body"]
        refused = await found.raw(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in refused.lower()


async def test_a_caller_that_hangs_up_ends_its_request_at_the_service() -> None:
    """Nobody goes on working for somebody who has left."""
    gone, begun = anyio.Event(), anyio.Event()

    async def slow(_: Any, receive: Any, send: Any) -> None:
        await whole_body(receive)
        begun.set()
        assert (await receive())["type"] == "http.disconnect"
        gone.set()

    async with front(0.0, control=slow) as found:
        async with await anyio.connect_tcp(found.address.host, found.address.port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await begun.wait()
        with anyio.fail_after(5):
            await gone.wait()
            await until(lambda: not settled(found.router.ledger)["in_flight"])
        assert found.adapter.books.callers_gone == {"v1": 1, "v2": 0}
        assert settled(found.router.ledger)["indeterminate"] == 1


async def test_each_request_is_in_the_ledger_and_the_figures() -> None:
    """An answer is delivered, a 5xx leaves it open what was done; both runtimes are measured alike."""

    async def fails(_: Any, receive: Any, send: Any) -> None:
        await whole_body(receive)
        await reply(send, {}, status=503)

    async with front(50.0, candidate=fails) as found:
        for n in range(20):
            await found.client.get("/", headers={"x-device": f"d{n}"})
        status, books = found.router.status(), found.adapter.books
        failed = status.ledger["v2"].indeterminate
        assert 0 < failed < 20
        assert status.ledger["v1"].delivered == 20 - failed
        assert books.metrics["v1"].observed_replies == 20 - failed
        assert books.metrics["v2"].outcomes[Outcome.INDETERMINATE] == failed
        assert sum(books.metrics["v2"].latency_counts) == failed
        assert (status.runtimes["v2"].devices, status.runtimes["v2"].in_flight) == (failed, 0)
        assert found.router.preview(selector(0.0, generation=5)).to_control == failed
        found.control.answer = fails
        await found.client.get("/")
        assert (books.metrics["v1"].observed_replies, books.metrics["v1"].observed_missing) == (20 - failed, 1)


async def test_a_connection_is_used_again_and_no_more_than_allowed_are_open() -> None:
    """Twenty requests at once over two connections: they wait their turn and all are answered."""
    async with front(0.0, upstream="connections_max = 2") as found:
        peers: set[Any] = set()
        inner = found.control._echo

        async def look(scope: Any, receive: Any, send: Any) -> None:
            peers.add(scope["client"])
            await inner(scope, receive, send)

        found.control.answer = look
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(found.client.get("/")) for _ in range(20)]
        assert {one.result().status_code for one in asked} == {200}
        assert len(peers) == 2


async def test_nothing_piles_up_before_a_service_that_reads_slowly() -> None:
    """A caller that could send 64 MiB gets rid of no more than the buffers between hold."""
    sent, stuck = 0, anyio.Event()

    async def ignore(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await stuck.wait()
        await reply(send, {})

    async with (
        front(0.0, control=ignore) as found,
        await anyio.connect_tcp(found.address.host, found.address.port) as stream,
    ):
        await stream.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 67108864\r\n\r\n")
        while sent < 64 << 20:
            with anyio.move_on_after(0.2) as scope:
                await stream.send(bytes(65_536))
            if scope.cancelled_caught:
                break
            sent += 65_536
        stuck.set()
    assert sent < 32 << 20, "kernel buffers of four sockets, not the whole of it"


async def test_nothing_piles_up_before_a_caller_that_reads_slowly() -> None:
    """A service that could send 64 MiB gets rid of no more than the buffers between hold."""
    sent = 0
    stuck = anyio.Event()

    async def pour(_: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1024):
            with anyio.move_on_after(0.2) as scope:
                await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            if scope.cancelled_caught:
                break
            sent += 65_536
        stuck.set()

    async with (
        front(0.0, control=pour) as found,
        await anyio.connect_tcp(found.address.host, found.address.port) as stream,
    ):
        await stream.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        with anyio.fail_after(20):
            await stuck.wait()
    assert sent < 32 << 20, "kernel buffers of four sockets, not the whole of it"

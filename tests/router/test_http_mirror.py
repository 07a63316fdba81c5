"""The shadow of requests: what is mirrored where, what differs, and that no caller ever waits for it."""

import asyncio
import gzip
import json
from typing import Any

import pytest

from agt.router.http._compare import Answer, unpacked
from agt.router.shadow import report
from support.http_front import Front, Service, front, listening, reply, until, whole_body

pytestmark = pytest.mark.anyio

SHADOW = {"shadow": "candidate"}


@pytest.fixture
def anyio_backend() -> str:
    """The adapter runs on asyncio only."""
    return "asyncio"


async def quiet(found: Front) -> None:
    """Wait until nothing is being mirrored."""
    mirror = found.adapter.mirror
    await until(lambda: not (mirror.waiting or mirror.held_bytes or _mirroring(found)))


def _mirroring(found: Front) -> int:
    return sum(pool.lent + pool.waiting for pool in found.adapter.mirror._readers.values())


async def prices(_: Any, receive: Any, send: Any) -> None:
    """Answer with a price."""
    await whole_body(receive)
    await reply(send, {"price": 100.0, "segment": "new", "at": "10:00", "items": [1, 2]})


async def dearer(_: Any, receive: Any, send: Any) -> None:
    """Answer with another one, at another time."""
    await whole_body(receive)
    await reply(send, {"price": 104.0, "segment": "new", "at": "10:01", "items": [1, 2, 3]})


IGNORED = """
[[mirror.rules.ignore]]
field = "reply.at"
owner = "g"
reason = "the time of the answer"
expires = 2099-01-01T00:00:00Z
"""


async def test_a_planted_difference_is_found_by_field() -> None:
    """The price is 4 % higher, one item is extra, the time is ignored; status and category are equal."""
    async with front(0.0, IGNORED, control=prices, candidate=dearer, **SHADOW) as found:
        for n in range(5):
            answer = await found.client.get("/price", headers={"x-device": f"d{n}"})
            assert answer.json()["price"] == 100.0
        await quiet(found)
        said = report(found.adapter.shadow, wall=0.0).runtimes[0]
        fields = {row.field: row for row in said.fields}
        assert (said.runtime, said.compared, said.differences, said.errors) == ("v2", 5, 5, 0)
        assert (fields["reply.price"].mean_delta, fields["reply.price"].max_delta) == (4.0, 4.0)
        assert fields["reply.items.*"].differences == 5
        assert (fields["reply.at"].differences, fields["reply.at"].ignored) == (0, 5)
        assert "reply.segment" not in fields
        assert fields["reply.price"].examples[0].device == "GET /price"
        assert found.router.status().shadow.compared == 5


async def test_equal_answers_differ_in_nothing() -> None:
    """However they are packed."""
    packed = gzip.compress(json.dumps({"price": 100.0, "segment": "new", "at": "10:00", "items": [1, 2]}).encode())

    async def squeezed(_: Any, receive: Any, send: Any) -> None:
        await whole_body(receive)
        fields = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": packed})

    async with front(0.0, control=prices, candidate=squeezed, **SHADOW) as found:
        assert (await found.client.get("/")).status_code == 200
        await quiet(found)
        said = report(found.adapter.shadow, wall=0.0).runtimes[0]
        assert (said.compared, said.differences) == (1, 0)


async def test_a_service_that_fails_in_the_shadow_is_an_error_there_and_nowhere_else() -> None:
    """Neither the caller nor the candidate's own figures see it; document 003's error rate does."""

    async def fails(_: Any, receive: Any, send: Any) -> None:
        await reply(send, {"error": "no"}, status=500)

    async with front(0.0, control=prices, candidate=fails, **SHADOW) as found:
        assert (await found.client.get("/")).status_code == 200
        await quiet(found)
        said = report(found.adapter.shadow, wall=0.0).runtimes[0]
        assert (said.errors, said.error_rate) == (1, 1.0)
        status = found.router.status()
        assert status.ledger["v2"].accepted == 0
        assert found.adapter.mirror.metrics["v2"].runtime == "v2-shadow"


async def test_writes_reach_a_declared_twin_or_nobody() -> None:
    """A mirrored write never acts on the world: without a twin it is only decided."""
    async with front(0.0, **SHADOW) as found:
        await found.client.post("/order", content=b"buy")
        await found.client.request("PURGE", "/order")
        await quiet(found)
        assert found.candidate.asked == []
        assert found.adapter.shadow.counts.decided == 2
    async with listening(Service("v2")) as twin, front(0.0, twin=twin, **SHADOW) as found:
        await found.client.post("/order", content=b"buy")
        await quiet(found)
        assert twin.bodies == [b"buy"]
        assert found.candidate.asked == []
        assert twin.asked[0][2]["x-agt-mirror"] == "1"


async def test_rules_say_what_reads_and_what_writes() -> None:
    """A POST that only computes may be mirrored, a GET that acts may not."""
    rules = """
[[route]]
path = "/predict"
methods = ["POST"]
kind = "read"
[[route]]
path = "/logout"
kind = "write"
"""
    async with front(0.0, rules, **SHADOW) as found:
        await found.client.post("/predict", content=b"features")
        await found.client.get("/logout")
        await quiet(found)
        assert [path for _, path, _ in found.candidate.asked] == ["/predict"]
        assert found.candidate.bodies == [b"features"]


async def test_a_service_may_call_its_paths_otherwise() -> None:
    """Document 003's v1 and v2 differ in the beginning of every path; the same request reaches both."""
    rewrite = 'rewrite = { "/api/" = "/api/v2/", "/" = "/x/" }'
    async with front(50.0, upstream=rewrite, **SHADOW) as found:
        found.adapter._pools["v1"]._rewrite = ()
        for n in range(10):
            await found.client.get("/api/users", headers={"x-device": f"d{n}"})
        await quiet(found)
        assert {path for _, path, _ in found.control.asked} == {"/api/users"}
        assert [path for _, path, _ in found.candidate.asked] == ["/api/v2/users"] * 10


async def test_after_the_cutover_the_shadow_turns_round() -> None:
    """Control is kept warm by copies of what the candidate answers."""
    async with front(100.0, shadow="control") as found:
        await found.client.get("/", headers={"x-device": "d"})
        await quiet(found)
        assert [headers.get("x-agt-mirror") for _, _, headers in found.control.asked] == ["1"]
        assert len(found.candidate.asked) == 1


async def test_a_shadow_that_hangs_slows_nobody_and_piles_up_nothing() -> None:
    """Callers get their answers while not one mirrored request comes back; what finds no room is shed and counted."""
    gate = asyncio.Event()

    async def hangs(_: Any, receive: Any, send: Any) -> None:
        await gate.wait()
        await reply(send, {})

    settings = "[mirror]\nqueue_max = 5\nconcurrent = 2\n"
    async with front(0.0, settings, candidate=hangs, **SHADOW) as found:
        for n in range(40):
            assert (await found.client.get("/", headers={"x-device": f"d{n}"})).status_code == 200
        mirror, counts = found.adapter.mirror, found.adapter.shadow.counts
        assert len(found.candidate.asked) <= 2
        assert mirror.waiting <= 5
        assert counts.shed["queue"] >= 40 - 2 - 5
        gate.set()
        await quiet(found)
        assert counts.shed["queue"] + report(found.adapter.shadow, wall=0.0).runtimes[0].compared == 40


async def test_a_shadow_that_is_too_slow_is_given_up() -> None:
    """It counts as timed out and as an error of the candidate."""

    async def never(_: Any, receive: Any, send: Any) -> None:
        await whole_body(receive)
        await receive()

    async with front(0.0, "[mirror]\ntimeout_s = 0.05\n", candidate=never, **SHADOW) as found:
        await found.client.get("/")
        await quiet(found)
        assert found.adapter.shadow.counts.timed_out == 1
        assert report(found.adapter.shadow, wall=0.0).runtimes[0].errors == 1


async def test_copies_have_limits_and_give_their_memory_back() -> None:
    """A large body or answer passes as ever and is not kept; all copies together are bounded."""

    async def large(_: Any, receive: Any, send: Any) -> None:
        await whole_body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 5000})

    rules = '[[route]]\npath = "/**"\nkind = "read"\n[mirror]\nbody_max_bytes = 100\nanswer_max_bytes = 1000\n'
    async with front(0.0, rules, **SHADOW) as found:
        assert (await found.client.post("/", content=b"x" * 101)).json()["bytes"] == 101
        found.control.answer = large
        assert len((await found.client.get("/")).content) == 5000
        await quiet(found)
        assert found.adapter.shadow.counts.shed["large"] == 2
        assert found.adapter.mirror.held_bytes == 0
        assert found.candidate.asked == []
    async with front(0.0, "[mirror]\nmemory_max_bytes = 10\n", **SHADOW) as found:
        assert (await found.client.get("/")).status_code == 200
        assert found.adapter.shadow.counts.shed["memory"] == 1
        assert found.adapter.mirror.held_bytes == 0


async def test_only_the_chosen_share_is_mirrored_and_no_partial_requests() -> None:
    """By the same positions as the route; entity tags belong to one service alone."""
    async with front(0.0, shadow="candidate", shadow_percent=50.0) as found:
        for n in range(30):
            await found.client.get("/", headers={"x-device": f"d{n}"})
        await found.client.get("/", headers={"x-device": "d0", "if-none-match": '"x"'})
        await quiet(found)
        assert 5 < len(found.candidate.asked) < 25


def test_a_body_that_unpacks_to_too_much_is_left_packed() -> None:
    """A small bomb costs no more memory than it may."""
    bomb = gzip.compress(bytes(1 << 20))
    answer = Answer(200, ((b"content-encoding", b"gzip"),), bomb)
    assert unpacked(answer, 1000) == bomb
    assert len(unpacked(answer, 2 << 20)) == 1 << 20
    assert unpacked(answer._replace(body=b"no gzip"), 1000) == b"no gzip"

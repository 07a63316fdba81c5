"""A long load with moves, kills and a candidate that misbehaves: every request has one end, no write is made twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from agt.router import MemorySelector
from support.http_front import RUNTIMES, Front, front, reply, selector, until, whole_body

pytestmark = [pytest.mark.anyio, pytest.mark.soak, pytest.mark.timeout(300)]

CALLERS, REQUESTS = 24, 150


@pytest.fixture
def anyio_backend() -> str:
    """The adapter runs on asyncio only."""
    return "asyncio"


class Misbehaving:
    """A candidate that now and then fails, hangs up, streams or takes its time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = await whole_body(receive)
        fate = self._random.random()
        if fate < 0.02:
            await reply(send, {}, status=500)
            return
        if fate < 0.04:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"100")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            return
        if fate < 0.06:
            await reply(send, {}, status=503)
            return
        await reply(send, {"by": "v2", "bytes": len(body)})


async def call(found: Front, caller: int, seed: int, ends: Counter[str]) -> None:
    """One caller's requests, one after the other; some hang up in the middle."""
    draw = random.Random(seed)
    async with httpx.AsyncClient(base_url=f"http://{found.address}", timeout=30, verify=False) as client:
        for number in range(REQUESTS):
            headers = {"x-device": f"d{caller % 10}-{draw.randrange(20)}", "x-number": f"{caller}-{number}"}
            method, body = draw.choice([("GET", b""), ("POST", b"x" * draw.randrange(20_000))])
            try:
                asked = client.request(method, "/", headers=headers, content=body)
                if draw.random() < 0.02:
                    async with asyncio.timeout(draw.random() * 0.01):
                        answer = await asked
                else:
                    answer = await asked
                ends[str(answer.status_code)] += 1
            except TimeoutError:
                ends["left"] += 1
            except httpx.HTTPError:
                ends["cut"] += 1


async def steer(found: Front, source: MemorySelector, seed: int, done: Callable[[], bool]) -> None:
    """Change the route again and again: shares, shadows, kills and the way back from them."""
    draw, generation = random.Random(seed), 10
    while not done():
        seen = found.adapter.books._number
        await until(lambda: done() or found.adapter.books._number > seen + 100)  # noqa: B023 - awaited at once.
        generation += 1
        if draw.random() < 0.2:
            found.router.kill("soak")
            continue
        shadow = draw.choice(["off", "candidate", "control"])
        source.put(selector(draw.choice([0.0, 10.0, 50.0, 100.0]), generation=generation, shadow=shadow))
        found.router.observe(source.read())


@pytest.mark.parametrize("fallback", ["off", "reads", "unsent"])
async def test_a_long_load_balances(fallback: str, figure: Callable[[str, float], None]) -> None:
    """Sources, services and ledger agree about every single request."""
    source = MemorySelector(selector(50.0))
    async with front(50.0, f'fallback = "{fallback}"\n', candidate=Misbehaving(7)) as found:
        assert found.router.runtimes == RUNTIMES
        ends: Counter[str] = Counter()
        async with asyncio.TaskGroup() as tasks:
            callers = [tasks.create_task(call(found, caller, caller, ends)) for caller in range(CALLERS)]
            tasks.create_task(steer(found, source, 3, lambda: all(caller.done() for caller in callers)))
        mirror, books = found.adapter.mirror, found.adapter.books
        await until(lambda: not (books.under_way or mirror.waiting or mirror.held_bytes))
        assert ends.total() == CALLERS * REQUESTS
        assert ends["200"] > 0.8 * ends.total(), ends
        assert set(ends) <= {"200", "500", "502", "503", "left", "cut"}, ends
        asked = Counter(
            (method, headers["x-number"])
            for method, _, headers in found.control.asked + found.candidate.asked
            if "x-agt-mirror" not in headers
        )
        doubled = [number for (method, number), times in asked.items() if method == "POST" and times > 1]
        assert doubled == []
        for counts in found.router.ledger.totals.values():
            assert counts.in_flight == 0
        totals = found.router.ledger.totals.values()
        assert sum(counts.accepted for counts in totals) <= ends.total()
        assert sum(counts.settled for counts in totals) == sum(counts.accepted for counts in totals)
        assert all(not known.busy for known in found.adapter.callers._known.values())
        figure("http_requests", ends.total())

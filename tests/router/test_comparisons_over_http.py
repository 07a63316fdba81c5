"""Parity and suites between real HTTP servers: document 003's comparison of v1 and v2."""

from collections.abc import Iterator

import pytest

from agt.router.parity import HttpSource, Projection, Verdict, check_parity
from agt.router.regression import Request, Suite, run_suite
from support.http_runtime import Runtime, http_runtime

PANES = Projection(key=("id",), fields=("evidence_mode",), every_s=0.001)
PREDICT = Request(name="predict", path="/predict", body={"seed": "{seed}"})


@pytest.fixture
def anyio_backend() -> str:
    """One event loop is enough here: `test_suites` runs on the other."""
    return "trio"


@pytest.fixture(scope="module")
def server() -> Iterator[Runtime]:
    """One server, reached in two ways."""
    with http_runtime() as running:
        yield running


def sides(server: Runtime, path: str = "") -> tuple[HttpSource, HttpSource]:
    """The server by TCP and by its Unix socket, where a path may be added."""
    return HttpSource(server.address + "/panes" * (path == "")), HttpSource(f"http://v5{path}", unix=server.socket)


async def test_fifty_predictions_are_compared(server: Runtime) -> None:
    """The same requests with the same seeds; all segments equal."""
    control, candidate = sides(server, "/")
    suite = Suite(requests=(PREDICT,), seeds=tuple(range(1, 51)), at_least=50, at_once=4)
    result = await run_suite(suite, control, candidate)
    assert (result.verdict, result.samples, result.alike) == (Verdict.PASSED, 50, 50)


async def test_a_refusal_is_an_answer_and_a_fault_is_none(server: Runtime) -> None:
    """410 on both sides is equal, and 410 beside 200 is not; 503 is a failed call."""
    control, candidate = sides(server, "/")
    gone = Suite(requests=(Request(name="old", path="/gone"),))
    assert (await run_suite(gone, control, candidate)).verdict is Verdict.PASSED
    mixed = await run_suite(gone, control, HttpSource(f"{server.address}/panes?"))
    assert mixed.mismatched == 1
    down = Suite(requests=(Request(name="down", path="/down"),))
    both = await run_suite(down, control, candidate)
    assert both.candidate.problems[0].candidate == "answers with status 503"
    assert both.verdict is Verdict.ERROR  # Control is down too: nothing is shown about the candidate.
    alone = await run_suite(down, HttpSource(f"{server.address}/panes?"), candidate)
    assert alone.verdict is Verdict.FAILED


async def test_a_listing_with_another_status_is_an_error(server: Runtime) -> None:
    """Whatever its body says."""
    control, _ = sides(server)
    same = HttpSource("http://v5/panes", unix=server.socket)
    assert (await check_parity(PANES, control, same)).verdict is Verdict.PASSED
    for path, status in (("/down", 503), ("/gone", 410)):
        result = await check_parity(PANES, control, HttpSource(server.address + path))
        assert result.verdict is Verdict.ERROR
        assert f"answers with status {status}" in result.reason

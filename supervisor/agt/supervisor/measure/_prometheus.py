"""Asking a Prometheus server what it knows of the routers, in place of scraping them. Never raises, as a scrape.

The routers' own sockets are still asked for their status, because route, kill and moves can't wait for a scrape
interval; but counts and soak are what the server has. Where it has nothing young enough, there is no data, and no data
never passes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import msgspec

from agt.supervisor.measure._groups import SLOW_DEFAULT_S
from agt.supervisor.measure._prometheus_answer import AnswerUnusable, RouterMeasured, read_vector, routers_measured
from agt.supervisor.measure._promql import router_query, series_query
from agt.supervisor.measure._scrape import RouterSeen, RouterStatus, ask_status, routed_only
from agt.supervisor.measure._tcp_http import post_form
from agt.supervisor.measure._unix_http import RequestFailed

QUERY: Final = "/api/v1/query"
TOKEN_MAX_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class PrometheusServer:
    """Where to ask, and for what."""

    url: str
    matchers: str = ""
    """Which series are ours, as PromQL writes it: `job="agt"`."""
    max_age_s: float = 60.0
    """What was scraped longer ago than this is no data."""
    timeout_s: float = 5.0
    token_file: Path | None = None
    """Holds a bearer token; read at each question, so that it may be replaced."""


async def ask_routers(
    server: PrometheusServer, *, now: float, slow_s: float = SLOW_DEFAULT_S
) -> dict[str, RouterMeasured]:
    """Ask for everything at once, by what each router calls itself.

    Raises:
        AnswerUnusable: when the server refuses, or answers what can't be used.
        RequestFailed: when it doesn't answer in time.
    """
    token = _token(server)
    answers: dict[str, bytes] = {}
    failed: list[RequestFailed] = []

    async def ask(query: str) -> None:
        form = {"query": query, "timeout": f"{server.timeout_s:g}s"}
        try:
            answer = await post_form(server.url, QUERY, form, token=token, timeout_s=server.timeout_s)
            answers[query] = answer.body
        except RequestFailed as error:
            failed.append(error)

    known, series = router_query(server.matchers), series_query(server.matchers)
    async with anyio.create_task_group() as group:
        group.start_soon(ask, known)
        group.start_soon(ask, series)
    if failed:
        raise failed[0]
    return routers_measured(read_vector(answers[known]), read_vector(answers[series]), now=now, slow_s=slow_s)


async def measure_all(
    server: PrometheusServer,
    sockets: dict[str, Path],
    *,
    at: float,
    timeout_s: float,
    slow_s: float = SLOW_DEFAULT_S,
) -> tuple[RouterSeen, ...]:
    """Ask every router for its status and the server for their counts, at the same time; in the order of `sockets`.

    A router without young counts has its status, no sample, and an `error` that says why.
    """
    seen: dict[str, RouterSeen] = {}
    measured: dict[str, RouterMeasured] = {}
    trouble: list[str] = []

    async def one(name: str, path: Path) -> None:
        seen[name] = await ask_status(path, name=name, timeout_s=timeout_s)

    async def counts() -> None:
        try:
            measured.update(await ask_routers(server, now=at, slow_s=slow_s))
        except (AnswerUnusable, RequestFailed, OSError) as error:
            says = error.says if isinstance(error, RequestFailed) else str(error)
            trouble.append(f"Prometheus at {server.url} {says}")

    async with anyio.create_task_group() as group:
        group.start_soon(counts)
        for name, path in sockets.items():
            group.start_soon(one, name, path)
    joined = [_joined(seen[name], measured, trouble, server) for name in sockets]
    return tuple(_of_one_age(joined, at=at))


def _joined(
    seen: RouterSeen, measured: dict[str, RouterMeasured], trouble: list[str], server: PrometheusServer
) -> RouterSeen:
    """Put a router's status and its counts together."""
    if seen.status is None:
        return seen
    if trouble:
        return msgspec.structs.replace(seen, error=trouble[0], status=_uncarried(seen))
    found = measured.get(seen.status.router)
    if found is None:
        why = f"Prometheus at {server.url} knows nothing of {seen.socket}"
        return msgspec.structs.replace(seen, error=why, status=_uncarried(seen))
    if found.age_s > server.max_age_s:
        why = f"Prometheus last scraped {seen.socket} {found.age_s:,.0f} s ago, more than {server.max_age_s:g} s"
        return msgspec.structs.replace(seen, error=why, age_s=found.age_s, status=_uncarried(seen))
    status = msgspec.structs.replace(seen.status, carried_s=found.carried_s)
    sample = routed_only(found.sample, status)
    return msgspec.structs.replace(seen, status=status, sample=sample, age_s=found.age_s)


def _of_one_age(routers: list[RouterSeen], *, at: float) -> list[RouterSeen]:
    """Date all samples like the oldest: windows are of all routers together, and none may reach beyond its counts."""
    oldest_s = max((one.age_s for one in routers if one.sample is not None), default=0.0)
    return [
        msgspec.structs.replace(one, sample=msgspec.structs.replace(one.sample, at=at - oldest_s))
        if one.sample is not None
        else one
        for one in routers
    ]


def _uncarried(seen: RouterSeen) -> RouterStatus:
    """Return the status without its soak: what nobody has measured isn't carried."""
    assert seen.status is not None, "there is a status to take it from"
    return msgspec.structs.replace(seen.status, carried_s={})


def _token(server: PrometheusServer) -> str:
    """Read the token.

    Raises:
        AnswerUnusable: when it is no single line of visible characters.
        OSError: when the file can't be read.
    """
    if server.token_file is None:
        return ""
    with server.token_file.open("rb") as file:
        token = file.read(TOKEN_MAX_BYTES).decode("utf-8", "replace").strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise AnswerUnusable(f"can't be asked: {server.token_file.name} holds no token")
    return token

"""Asking one router: its metrics, and its own account of route, moves and ledger."""

from pathlib import Path
from typing import Any

import anyio
import msgspec

from agt.router.modes import ModeStatus
from agt.supervisor.measure._exposition import ExpositionError, parse_exposition
from agt.supervisor.measure._groups import SLOW_DEFAULT_S
from agt.supervisor.measure._sample import RouterSample, read_sample
from agt.supervisor.measure._unix_http import RequestFailed, Response, request


class RouterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A router's `GET /status`, as far as the engine reads it; keys that a newer router adds are ignored."""

    router: str
    """Instance id, new at each start."""
    generation: int
    """Of the selector that it applies."""
    settled_generation: int = 0
    """The newest generation whose moves are all settled."""
    percentage: float = 0.0
    killed: bool = False
    runtimes: dict[str, dict[str, Any]] = {}
    """By runtime: devices, in_flight, queued, sessions, pinned."""
    ledger: dict[str, dict[str, int]] = {}
    moves: dict[str, Any] = {}
    carried_s: dict[str, float] = {}
    """Seconds that each generation was carried by this instance."""
    legacy_users: list[Any] = []
    legacy_code: tuple[str, ...] = ()
    """Lines of code there that used something deprecated."""
    switches: tuple[dict[str, Any], ...] = ()
    """Environment variables that are set there: variable, overrides, says."""
    problems: tuple[str, ...] = ()
    """What is wrong with selector or environment."""
    mode: ModeStatus = ModeStatus()
    """The network mode there, with its samples."""

    def carried(self, generation: int) -> float:
        """Return the seconds that this instance carried a generation."""
        return self.carried_s.get(str(generation), 0.0)


class RouterSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What one check learned from one router."""

    socket: str
    """The socket's name, as the plan writes it."""
    status: RouterStatus | None = None
    sample: RouterSample | None = None
    error: str = ""
    """Why there is nothing; empty when it answered."""
    age_s: float = 0.0
    """How old the sample is: 0 when it was asked of the router itself."""


async def scrape(socket: Path, *, name: str, at: float, timeout_s: float, slow_s: float = SLOW_DEFAULT_S) -> RouterSeen:
    """Ask one router for status and metrics, at the same time; never raises, `error` says what went wrong."""
    answers: dict[str, Response] = {}
    errors: list[str] = []

    async def ask(target: str) -> None:
        try:
            answers[target] = await request(socket, "GET", target, timeout_s=timeout_s)
        except RequestFailed as error:
            errors.append(str(error))

    async with anyio.create_task_group() as group:
        group.start_soon(ask, "/status")
        group.start_soon(ask, "/metrics")
    if errors:
        return RouterSeen(socket=name, error=errors[0])
    for target, answer in sorted(answers.items()):
        if not answer.ok:
            return RouterSeen(socket=name, error=f"{name} answers {answer.status} to {target}")
    try:
        status = msgspec.json.decode(answers["/status"].body, type=RouterStatus)
        page = parse_exposition(answers["/metrics"].body.decode())
        sample = routed_only(read_sample(page, router=status.router, at=at, slow_s=slow_s), status)
    except (msgspec.DecodeError, ExpositionError, UnicodeDecodeError, RecursionError) as error:
        return RouterSeen(socket=name, error=f"{name} answers what can't be read: {error}")
    return RouterSeen(socket=name, status=status, sample=sample)


async def ask_status(socket: Path, *, name: str, timeout_s: float) -> RouterSeen:
    """Ask one router for its status alone; never raises, `error` says what went wrong."""
    try:
        answer = await request(socket, "GET", "/status", timeout_s=timeout_s)
        if not answer.ok:
            return RouterSeen(socket=name, error=f"{name} answers {answer.status} to /status")
        return RouterSeen(socket=name, status=msgspec.json.decode(answer.body, type=RouterStatus))
    except RequestFailed as error:
        return RouterSeen(socket=name, error=str(error))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return RouterSeen(socket=name, error=f"{name} answers what can't be read: {error}")


def routed_only(sample: RouterSample, status: RouterStatus) -> RouterSample:
    """Take out of the gauges what the router didn't route: a mirror's messages use the same transport's metrics."""
    gauges = dict(sample.gauges)
    for name, runtime in status.runtimes.items():
        if name in gauges:
            most = float(runtime.get("in_flight", 0)) + float(runtime.get("queued", 0))
            own = gauges[name]
            older = {limit: min(count, most) for limit, count in own.older_than.items()}
            gauges[name] = msgspec.structs.replace(own, in_flight=min(own.in_flight, most), older_than=older)
    return msgspec.structs.replace(sample, gauges=gauges)


async def scrape_all(
    sockets: dict[str, Path], *, at: float, timeout_s: float, slow_s: float = SLOW_DEFAULT_S
) -> tuple[RouterSeen, ...]:
    """Ask every router at the same time; in the order of `sockets`."""
    seen: dict[str, RouterSeen] = {}

    async def one(name: str, path: Path) -> None:
        seen[name] = await scrape(path, name=name, at=at, timeout_s=timeout_s, slow_s=slow_s)

    async with anyio.create_task_group() as group:
        for name, path in sockets.items():
            group.start_soon(one, name, path)
    return tuple(seen[name] for name in sockets)

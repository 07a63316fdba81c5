"""Telling every router at once from a command: no event loop, no supervisor, and nobody waits for a hung one's turn."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from agt.supervisor._answers import answer_of
from agt.supervisor._request import NoAnswer, request
from agt.supervisor.view import RouterAnswer

SETTLE_POLL_S: Final = 0.05
"""Between two looks at whether the moves have settled."""
_Said = TypeVar("_Said")


class _Status(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a router's status as says whether it has settled."""

    moves: dict[str, float | None]


def tell_all(routers: Mapping[str, Path], route: str, *, timeout_s: float) -> tuple[RouterAnswer, ...]:
    """Send one order to every router at the same time; what doesn't confirm in time says why, and holds up nobody."""
    began = time.monotonic()

    def tell(name: str, path: Path) -> RouterAnswer:
        try:
            status, body = request(path, "POST", route, timeout_s=timeout_s)
        except NoAnswer as error:
            return RouterAnswer(router=name, why=error.why)
        return answer_of(name, status, body, ms=(time.monotonic() - began) * 1000)

    return _each(routers, tell)


def settle_all(routers: Mapping[str, Path], *, began: float, within_s: float) -> float | None:
    """Wait until no device of these routers drains; return the milliseconds since `began` (monotonic).

    None when that didn't happen in time, or a router doesn't say.
    """

    def settle(_: str, path: Path) -> float | None:
        while (left_s := began + within_s - time.monotonic()) > 0:
            try:
                body = request(path, "GET", "/status", timeout_s=left_s)[1]
                moves = msgspec.json.decode(body, type=_Status).moves
            except (NoAnswer, msgspec.DecodeError, UnicodeDecodeError):
                return None
            if not moves.get("moving"):
                return (time.monotonic() - began) * 1000
            time.sleep(SETTLE_POLL_S)
        return None

    times = _each(routers, settle)
    found = [one for one in times if one is not None]
    return max(found) if found and len(found) == len(times) else None


def _each(routers: Mapping[str, Path], job: Callable[[str, Path], _Said]) -> tuple[_Said, ...]:
    with ThreadPoolExecutor(max_workers=max(1, len(routers))) as threads:
        return tuple(threads.map(lambda item: job(*item), routers.items()))

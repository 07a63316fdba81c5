"""Routes for live sessions: a page of them, and their restart."""

from typing import Final

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agt.router._api._answers import SETTLE_WAIT_S, answer, body_of, error, too_large
from agt.router._errors import RestartRefused
from agt.router._restart import RestartOrder
from agt.router._router import Router
from agt.router._sessions import SESSIONS_PAGE_MAX

_ORDERS: Final = msgspec.json.Decoder(RestartOrder)
_TRUE: Final = ("1", "true")


def routes(router: Router) -> tuple[BaseRoute, ...]:
    """Return the routes about sessions."""
    sessions = _Sessions(router)
    return (Route("/sessions", sessions.page), Route("/sessions/restart", sessions.restart, methods=["POST"]))


class _Sessions:
    """One method a route."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def page(self, request: Request) -> Response:
        """Live sessions by device: `runtime`, `pinned`, `after`, `limit`."""
        query, runtimes = request.query_params, self._router.runtimes
        runtime, limit = query.get("runtime", ""), query.get("limit", str(SESSIONS_PAGE_MAX))
        if runtime not in ("", runtimes.control, runtimes.candidate):
            hint = f"there are {runtimes.control} and {runtimes.candidate}"
            return error(404, "unknown", f"no runtime {runtime!r}", hint)
        if not (limit.isascii() and limit.isdigit() and len(limit) < 10):
            return error(422, "invalid", "limit is not a number", f"at most {SESSIONS_PAGE_MAX} come at once")
        pinned = query.get("pinned", "") in _TRUE
        page = self._router.sessions(runtime=runtime, pinned=pinned, after=query.get("after", ""), limit=int(limit))
        return answer(page)

    async def restart(self, request: Request) -> Response:
        """Restart sessions between commands; `wait=settled` answers when none of them drains any more."""
        body = await body_of(request)
        if body is None:
            return too_large()
        try:
            restart = self._router.restart_sessions(_ORDERS.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
            return error(422, "invalid", f"no order: {wrong}", 'send {"sessions": ["NAME", ...]}; nothing was done')
        except RestartRefused as refusal:
            return error(409, "stale", str(refusal), "nothing was done")
        if request.query_params.get("wait") == "settled":
            with anyio.move_on_after(SETTLE_WAIT_S):
                await restart.settled()
        return answer(restart.receipt())

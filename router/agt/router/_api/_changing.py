"""Routes that change the route: what can't wait for the selector file to be seen."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agt.router._api._answers import body_of, error, receipt, too_large
from agt.router._errors import SelectorInvalid, SelectorKilled
from agt.router._router import Router
from agt.router._selector_text import parse_selector

REASON_MAX_CHARACTERS = 200
"""How much of a reason for a kill is kept."""


def routes(router: Router) -> tuple[BaseRoute, ...]:
    """Return the routes that move devices."""
    changing = _Changing(router)
    return (
        Route("/selector", changing.put_selector, methods=["POST"]),
        Route("/kill", changing.kill, methods=["POST"]),
    )


class _Changing:
    """One method a route."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def put_selector(self, request: Request) -> Response:
        """Apply a selector in memory at once; `wait=settled` answers when its moves are settled."""
        body = await body_of(request)
        if body is None:
            return too_large()
        try:
            batch = self._router.apply(parse_selector(body, origin="body", runtimes=self._router.runtimes))
        except SelectorInvalid as refusal:
            return error(422, "invalid", str(refusal), "nothing was changed")
        except SelectorKilled as refusal:
            return error(409, "refused", str(refusal), "put the selector file back to end the kill")
        return await receipt(request, batch)

    async def kill(self, request: Request) -> Response:
        """Send everything to control; `wait=settled` answers when it has settled."""
        reason = request.query_params.get("reason", "")[:REASON_MAX_CHARACTERS]
        return await receipt(request, self._router.kill(reason))

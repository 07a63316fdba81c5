"""The routes for live sessions: a page of the list, and an order to restart some."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agt.supervisor.actions import Refused
from agt.supervisor.control._backend import Backend
from agt.supervisor.control._requests import read_order
from agt.supervisor.sessions import PAGE_MAX, SessionOrder

ORDER_MAX_BYTES: Final = 512 * 1024
"""A thousand names of half a kilobyte."""
_TRUE: Final = ("1", "true")


def session_routes(backend: Backend) -> tuple[BaseRoute, ...]:
    """Return the routes."""

    async def page(request: Request) -> Response:
        query = request.query_params
        limit = query.get("limit", str(PAGE_MAX))
        if not (limit.isascii() and limit.isdigit() and len(limit) < 10):
            raise Refused("invalid", "limit is not a number", f"at most {PAGE_MAX} come at once")
        found = await backend.sessions(
            runtime=query.get("runtime", ""),
            pinned=query.get("pinned", "") in _TRUE,
            after=query.get("after", ""),
            limit=int(limit),
        )
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def restart(request: Request) -> Response:
        receipt = await backend.restart_sessions(await read_order(request, SessionOrder, most=ORDER_MAX_BYTES))
        return Response(msgspec.json.encode(receipt), media_type="application/json")

    return (Route("/v1/sessions", page), Route("/v1/sessions/restarts", restart, methods=["POST"]))

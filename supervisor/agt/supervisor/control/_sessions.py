"""The routes for live sessions: a page of the list, and an order to restart some."""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agt.supervisor.control._backend import Backend
from agt.supervisor.control._describe import FLAG, get, post, query
from agt.supervisor.control._requests import read_flag, read_number, read_order
from agt.supervisor.sessions import PAGE_MAX, SessionOrder

ORDER_MAX_BYTES: Final = 512 * 1024
"""A thousand names of half a kilobyte."""
LIMIT_MAX: Final = 10**9
"""A larger page than there is may be asked for."""
LIMIT: Final = {"type": "integer", "minimum": 0, "maximum": LIMIT_MAX}


def session_routes(backend: Backend) -> tuple[BaseRoute, ...]:
    """Return the routes."""

    async def page(request: Request) -> Response:
        asked = request.query_params
        found = await backend.sessions(
            runtime=asked.get("runtime", ""),
            pinned=read_flag(request, "pinned"),
            after=asked.get("after", ""),
            limit=read_number(asked.get("limit", str(PAGE_MAX)), "limit", LIMIT_MAX),
        )
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def restart(request: Request) -> Response:
        receipt = await backend.restart_sessions(await read_order(request, SessionOrder, most=ORDER_MAX_BYTES))
        return Response(msgspec.json.encode(receipt), media_type="application/json")

    return (Route("/v1/sessions", page), Route("/v1/sessions/restarts", restart, methods=["POST"]))


def describe_sessions() -> dict[str, Any]:
    """Return the paths of the OpenAPI document."""
    return {
        "/v1/sessions": get(
            "Live sessions by device.",
            "SessionList",
            query("runtime", "Only those on this runtime."),
            query("pinned", "Only the pinned.", FLAG),
            query("after", "Only those after this device, for the next page."),
            query("limit", f"At most so many; never more than {PAGE_MAX}.", LIMIT),
        ),
        "/v1/sessions/restarts": post(
            "Restart sessions between commands; waits for their drains.", "SessionReceipt", takes="SessionOrder"
        ),
    }

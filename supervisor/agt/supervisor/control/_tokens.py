"""The routes for tokens; the doors let only the owner at them."""

from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agt.supervisor.access import bind_name
from agt.supervisor.control._describe import delete, get, in_path, post, query
from agt.supervisor.control._requests import caller_of, read_order
from agt.supervisor.tokens import TokenMade, TokenOrder, TokenPage, TokenRevoked


class Tokens(Protocol):
    """The tokens as the control API sees them; every method may raise `Refused`."""

    async def tokens(self) -> TokenPage:
        """Return all tokens, by name."""
        ...

    async def create_token(self, order: TokenOrder) -> TokenMade:
        """Make one."""
        ...

    async def revoke_token(self, name: str, *, by: str) -> TokenRevoked:
        """Let one count no longer."""
        ...


def token_routes(tokens: Tokens) -> tuple[BaseRoute, ...]:
    """Return the routes."""

    async def page(request: Request) -> Response:
        if request.method == "POST":
            return _json(await tokens.create_token(await read_order(request, TokenOrder)))
        return _json(await tokens.tokens())

    async def revoke(request: Request) -> Response:
        by = bind_name(request.query_params.get("by", ""), caller_of(request))
        return _json(await tokens.revoke_token(request.path_params["name"], by=by))

    return (
        Route("/v1/tokens", page, methods=["GET", "POST"]),
        Route("/v1/tokens/{name}", revoke, methods=["DELETE"]),
    )


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json", headers={"cache-control": "no-store"})


def describe_tokens() -> dict[str, Any]:
    """Return the paths of the OpenAPI document."""
    return {
        "/v1/tokens": get("All tokens, without what could be used; at the Unix socket only.", "TokenPage")
        | post("Make a token; the only time that it is shown.", "TokenMade", takes="TokenOrder"),
        "/v1/tokens/{name}": delete(
            "Let a token count no longer.",
            "TokenRevoked",
            in_path("name", "The token's name."),
            query("by", "Who asks; recorded."),
        ),
    }


TOKEN_TYPES: Final = (TokenPage, TokenOrder, TokenMade, TokenRevoked)
"""The bodies, for the OpenAPI document."""

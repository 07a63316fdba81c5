"""Routes for the shadow: what its comparisons say, and to begin them anew."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agt.router._api._answers import answer
from agt.router._router import Router


def routes(router: Router) -> tuple[BaseRoute, ...]:
    """Return the routes about mirrored messages."""

    async def show(_: Request) -> Response:
        return answer(router.shadow_report())

    async def restart(_: Request) -> Response:
        router.restart_shadow()
        return answer(router.shadow_report())

    return (Route("/shadow", show), Route("/shadow/restart", restart, methods=["POST"]))

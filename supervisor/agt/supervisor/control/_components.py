"""The routes for single components: list, why, and orders."""

from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agt.supervisor.actions import Refused
from agt.supervisor.care import VERBS, ComponentList, ComponentOrder, ComponentReceipt, Verb, Why
from agt.supervisor.control._describe import get, in_path, post
from agt.supervisor.control._requests import read_order


class Care(Protocol):
    """The components as the control API sees them; every method may raise `Refused`."""

    async def components(self) -> ComponentList:
        """Return all, in start order."""
        ...

    async def why(self, name: str) -> Why:
        """Say why one is as it is."""
        ...

    async def order(self, name: str, verb: Verb, order: ComponentOrder) -> ComponentReceipt:
        """Do what is asked of one."""
        ...


def component_routes(care: Care) -> tuple[BaseRoute, ...]:
    """Return the routes."""

    async def components(_request: Request) -> Response:
        return _json(await care.components())

    async def why(request: Request) -> Response:
        return _json(await care.why(request.path_params["name"]))

    async def order(request: Request) -> Response:
        asked = str(request.path_params["verb"])
        verb: Verb | None = next((one for one in VERBS if one == asked), None)
        if verb is None:
            raise Refused("unknown", "there is no such order", f"there are: {', '.join(VERBS)}")
        return _json(await care.order(request.path_params["name"], verb, await read_order(request, ComponentOrder)))

    return (
        Route("/v1/components", components),
        Route("/v1/components/{name}/why", why),
        Route("/v1/components/{name}/{verb}", order, methods=["POST"]),
    )


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def describe_components() -> dict[str, Any]:
    """Return the paths of the OpenAPI document."""
    name = in_path("name", "The component's name.")
    verb = in_path("verb", "What is to be done.", {"type": "string", "enum": list(VERBS)})
    return {
        "/v1/components": get("All components, in start order.", "ComponentList"),
        "/v1/components/{name}/why": get("Why a component is as it is, and what it waits for.", "Why", name),
        "/v1/components/{name}/{verb}": post(
            f"An order to one component: {', '.join(VERBS)}.", "ComponentReceipt", name, verb, takes="ComponentOrder"
        ),
    }


COMPONENT_TYPES: Final = (ComponentList, ComponentOrder, ComponentReceipt, Why)
"""The bodies, for the OpenAPI document."""

"""The routes of the alert ledger and its sinks."""

from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agt.supervisor.books import AlertOrder, AlertPrune, AlertsPruned, SinkPage
from agt.supervisor.control._describe import get, in_path, post
from agt.supervisor.control._requests import read_number, read_order
from agt.supervisor.view import AlertView

NUMBER_MAX: Final = 10**9


class Alerts(Protocol):
    """The alert ledger as the control API sees it; every method may raise `Refused`."""

    async def acknowledge_alert(self, number: int, order: AlertOrder) -> AlertView:
        """Resolve one."""
        ...

    async def prune_alerts(self, order: AlertPrune) -> AlertsPruned:
        """Forget old resolved ones."""
        ...

    async def sinks(self) -> SinkPage:
        """Say what became of alerts at the sinks."""
        ...

    async def try_sinks(self, order: AlertOrder) -> SinkPage:
        """Send each sink a trial."""
        ...


def alert_routes(alerts: Alerts) -> tuple[BaseRoute, ...]:
    """Return the routes."""

    async def acknowledge(request: Request) -> Response:
        number = read_number(request.path_params["number"], "the alert's number", NUMBER_MAX)
        return _json(await alerts.acknowledge_alert(number, await read_order(request, AlertOrder)))

    async def prune(request: Request) -> Response:
        return _json(await alerts.prune_alerts(await read_order(request, AlertPrune)))

    async def sinks(_request: Request) -> Response:
        return _json(await alerts.sinks())

    async def test(request: Request) -> Response:
        return _json(await alerts.try_sinks(await read_order(request, AlertOrder)))

    return (
        Route("/v1/alerts/prune", prune, methods=["POST"]),
        Route("/v1/alerts/{number}/ack", acknowledge, methods=["POST"]),
        Route("/v1/sinks", sinks),
        Route("/v1/sinks/tests", test, methods=["POST"]),
    )


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def describe_alerts() -> dict[str, Any]:
    """Return the paths of the OpenAPI document."""
    number = {"type": "integer", "minimum": 0, "maximum": NUMBER_MAX}
    return {
        "/v1/alerts/prune": post("Forget alerts that were resolved long ago.", "AlertsPruned", takes="AlertPrune"),
        "/v1/alerts/{number}/ack": post(
            "Acknowledge an alert: it is resolved.",
            "AlertView",
            in_path("number", "The alert's number.", number),
            takes="AlertOrder",
        ),
        "/v1/sinks": get("What became of alerts at each sink.", "SinkPage"),
        "/v1/sinks/tests": post("Send a trial alert to every sink, one try each.", "SinkPage", takes="AlertOrder"),
    }


ALERT_TYPES: Final = (AlertOrder, AlertPrune, AlertsPruned, SinkPage)
"""The bodies, for the OpenAPI document."""

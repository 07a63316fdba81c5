"""Routes that only look: status, devices, one device's reasons, and what a change would do."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from agt.router._api._answers import answer, body_of, error, too_large
from agt.router._errors import SelectorInvalid
from agt.router._router import Router
from agt.router._selector import Selector
from agt.router._selector_text import parse_selector


def routes(router: Router) -> tuple[BaseRoute, ...]:
    """Return the routes that change nothing."""
    looking = _Looking(router)
    return (
        Route("/ready", looking.ready),
        Route("/status", looking.status),
        Route("/mode", looking.mode),
        Route("/devices", looking.devices),
        Route("/explain", looking.explain),
        Route("/order", looking.order),
        Route("/preview", looking.preview),
        Route("/preview", looking.preview_selector, methods=["POST"]),
    )


class _Looking:
    """One method a route."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def ready(self, _: Request) -> Response:
        """Whether messages can be routed: always, once this answers; says with what."""
        return answer({"ready": True, "router": self._router.status().router})

    async def status(self, _: Request) -> Response:
        """Everything at one instant."""
        return answer(self._router.status())

    async def mode(self, _: Request) -> Response:
        """The network mode, with its samples."""
        return answer(self._router.status().mode)

    async def devices(self, _: Request) -> Response:
        """A line for each device."""
        return answer(self._router.devices())

    async def explain(self, request: Request) -> Response:
        """Why a device is where it is."""
        device = request.query_params.get("device", "")
        if not device:
            return error(422, "invalid", "device is missing", "ask /explain?device=NAME")
        query = request.query_params
        return answer(self._router.explain(device, component=query.get("component"), session=query.get("session")))

    async def order(self, request: Request) -> Response:
        """The first devices that a share takes."""
        count = request.query_params.get("count", "")
        if not (count.isascii() and count.isdigit() and len(count) < 10):
            return error(422, "invalid", "count is not a number", "ask /order?count=7")
        return answer(self._router.in_order(int(count)))

    async def preview(self, request: Request) -> Response:
        """What a percentage would change."""
        try:
            percentage = float(request.query_params.get("percentage", ""))
        except ValueError:
            return error(422, "invalid", "percentage is not a number", "ask /preview?percentage=25")
        selector = self._at(percentage)
        if selector is None:
            return error(409, "refused", "no selector is applied", "put one in place first")
        try:
            return answer(self._router.preview(selector))
        except SelectorInvalid as refusal:
            return error(422, "invalid", str(refusal), "percentages go from 0 to 100 in steps of 0.01")

    async def preview_selector(self, request: Request) -> Response:
        """What a whole selector would change."""
        body = await body_of(request)
        if body is None:
            return too_large()
        try:
            selector = parse_selector(body, origin="body", runtimes=self._router.runtimes)
            return answer(self._router.preview(selector))
        except SelectorInvalid as refusal:
            return error(422, "invalid", str(refusal), "nothing was changed")

    def _at(self, percentage: float) -> Selector | None:
        """Return the applied selector with another percentage."""
        selector = self._router.selector
        if selector is None:
            return None
        return selector.with_route(percentage=percentage, up_to="", default=selector.runtimes.control, enabled=True)

"""The route that Prometheus scrapes."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route


def exposition(collectors: Iterable[Collector]) -> tuple[BaseRoute, ...]:
    """Return the route that answers with all of these collectors' metrics, in a registry of its own."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)

    async def metrics(_: Request) -> Response:
        """Prometheus' text format."""
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return (Route("/metrics", metrics),)

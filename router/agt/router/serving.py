"""A router's HTTP API on its own Unix socket; needs `pip install agt-migrate[router]`.

The supervisor reads metrics and status here, and sends what can't wait for a file: a selector for going back, and
the kill. Only processes of our own user get an answer: the socket is 0600 and each connection's peer is asked for
its uid.
"""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from agt.router._api import _changing, _looking, _sessions, _shadow
from agt.router._api._exposition import exposition
from agt.router._api._server import serve
from agt.router._api._socket import open_socket
from agt.router._metrics import RouterCollector
from agt.router._router import Router

__all__ = ("create_app", "open_socket", "serve")

GROUPS: Final[tuple[Callable[[Router], Iterable[BaseRoute]], ...]] = (
    _looking.routes,
    _changing.routes,
    _sessions.routes,
    _shadow.routes,
)
"""The routes in groups, each of a module of its own."""


def create_app(router: Router, collectors: Iterable[Collector] = ()) -> Starlette:
    """Make the router's HTTP application.

    Args:
        router: What it serves.
        collectors: Further metrics for `/metrics`, the transports' say.
    """
    grouped = [route for routes in GROUPS for route in routes(router)]
    return Starlette(routes=[*exposition((RouterCollector(router), *collectors)), *grouped])

"""The routes: bodies in and out are the structs of `view` and `actions`, nothing is decided here.

Going back (`rollback`, `hold`, `kill-switch-on`) is passed straight on: no version, no key, no memory. Whether another
action is stale only the backend can say.
"""

from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agt.supervisor.actions import Refused
from agt.supervisor.control._backend import Backend
from agt.supervisor.control._books import Books, book_routes
from agt.supervisor.control._components import Care, component_routes
from agt.supervisor.control._errors import error_response, limited_response, refusal_response
from agt.supervisor.control._hub import Hub, TooManySubscribers
from agt.supervisor.control._idempotency import KeyConflict, Receipts
from agt.supervisor.control._metrics import METRICS_TYPE, render_metrics
from agt.supervisor.control._openapi import openapi_document
from agt.supervisor.control._requests import GOING_BACK, BodyTooSlow, TooMany, check_complete, read_action, spend
from agt.supervisor.control._sessions import session_routes
from agt.supervisor.control._stream import EventStream
from agt.supervisor.control._tokens import Tokens, token_routes

_JSON: Final = "application/json"


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type=_JSON)


class _Routes:
    """The handlers; one instance a server."""

    def __init__(self, backend: Backend, hub: Hub, receipts: Receipts) -> None:
        self._backend, self._hub, self._receipts = backend, hub, receipts

    async def view(self, _request: Request) -> Response:
        return _json(self._backend.view())

    async def alerts(self, _request: Request) -> Response:
        return _json({"alerts": self._backend.view().alerts})

    async def actions(self, request: Request) -> Response:
        action = await read_action(request)
        check_complete(action)
        spend(request, action, self._backend.view())
        if action.key and action.action not in GOING_BACK:
            receipt = await self._receipts.once(action, self._backend.act)
        else:
            receipt = await self._backend.act(action)
        self._hub.publish(self._backend.view())
        return _json(receipt)

    async def previews(self, request: Request) -> Response:
        return _json(await self._backend.preview(await read_action(request)))

    async def health(self, _request: Request) -> Response:
        if self._hub.closed:
            return error_response("unavailable", "the supervisor is stopping")
        view = self._backend.view()
        return _json({"status": "ok", "version": view.version, "rollout": view.status})

    async def metrics(self, _request: Request) -> Response:
        return Response(render_metrics(self._backend.view(), self._hub.subscribers), media_type=METRICS_TYPE)

    async def openapi(self, _request: Request) -> Response:
        return _json(openapi_document())


class _Stream:
    """GET /v1/stream, as an ASGI app: the subscription must outlive the handler, and end with the connection."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            subscription = self._hub.subscribe()
        except TooManySubscribers as error:
            await error_response("unavailable", str(error), "close another screen")(scope, receive, send)
            return
        await EventStream(subscription)(scope, receive, send)


async def _on_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal_response(error)


async def _on_key_conflict(_request: Request, error: Exception) -> Response:
    return error_response("invalid", str(error), "take a new key for a new request")


async def _on_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return error_response("unknown", "there is no such route", "GET /v1/openapi.json lists them")
    answer = error_response("invalid", error.detail, status=error.status_code)
    answer.headers.update(error.headers or {})  # 405 names what is allowed.
    return answer


async def _on_slow(_request: Request, error: Exception) -> Response:
    return error_response("slow", str(error), "send it in one go")


async def _on_too_many(_request: Request, error: Exception) -> Response:
    assert isinstance(error, TooMany)
    return limited_response(error.wait_s)


async def _on_gone(_request: Request, _error: Exception) -> Response:
    return error_response("slow", "the caller has gone")  # Nobody reads it; it is no fault of ours.


async def _on_bug(_request: Request, error: Exception) -> Response:
    return error_response("internal", f"the supervisor failed at this request: {type(error).__name__}", "see its log")


def create_app(
    backend: Backend,
    hub: Hub,
    *,
    receipts: Receipts | None = None,
    books: Books | None = None,
    tokens: Tokens | None = None,
    care: Care | None = None,
) -> Starlette:
    """Return the control API over a backend; `hub` feeds its streams and ends them when closed.

    Without `books` there are no routes for audit, incidents and snapshots, without `tokens` none for tokens,
    without `care` none for single components.
    """
    routes = _Routes(backend, hub, receipts or Receipts())
    return Starlette(
        routes=[
            Route("/v1/view", routes.view),
            Route("/v1/stream", _Stream(hub), methods=["GET"]),
            Route("/v1/actions", routes.actions, methods=["POST"]),
            Route("/v1/previews", routes.previews, methods=["POST"]),
            Route("/v1/alerts", routes.alerts),
            *session_routes(backend),
            *(book_routes(books) if books is not None else ()),
            *(token_routes(tokens) if tokens is not None else ()),
            *(component_routes(care) if care is not None else ()),
            Route("/v1/openapi.json", routes.openapi),
            Route("/healthz", routes.health),
            Route("/metrics", routes.metrics),
        ],
        exception_handlers={
            Refused: _on_refused,
            KeyConflict: _on_key_conflict,
            BodyTooSlow: _on_slow,
            TooMany: _on_too_many,
            ClientDisconnect: _on_gone,
            HTTPException: _on_http,
            Exception: _on_bug,
        },
    )

"""The API's description, made from the structs that it really speaks, so that the two can't drift apart."""

from functools import cache
from typing import Any

import msgspec

from agt.supervisor.actions import Action
from agt.supervisor.control._books import BOOK_TYPES, describe_books
from agt.supervisor.control._errors import ErrorBody
from agt.supervisor.sessions import SessionList, SessionOrder, SessionReceipt
from agt.supervisor.view import AlertView, Preview, Receipt, View


class AlertList(msgspec.Struct, frozen=True):
    """What GET /v1/alerts answers."""

    alerts: tuple[AlertView, ...]


class Health(msgspec.Struct, frozen=True):
    """What GET /healthz answers while the supervisor serves."""

    status: str
    version: int
    rollout: str


_TYPES = (
    View,
    Action,
    Receipt,
    Preview,
    AlertList,
    Health,
    ErrorBody,
    SessionList,
    SessionOrder,
    SessionReceipt,
    *BOOK_TYPES,
)


def _content(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"schema": schema}}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _answer(says: str, name: str) -> dict[str, Any]:
    return {"description": says, "content": _content("application/json", _reference(name))}


def _get(summary: str, name: str) -> dict[str, Any]:
    return {"get": {"summary": summary, "responses": {"200": _answer("As asked.", name)}}}


def _get_text(summary: str, kind: str) -> dict[str, Any]:
    answer = {"description": "As asked.", "content": _content(kind, {"type": "string"})}
    return {"get": {"summary": summary, "responses": {"200": answer}}}


def _post(summary: str, name: str, *, takes: str = "Action") -> dict[str, Any]:
    errors = {
        "404": "What the action names is unknown.",
        "409": "Stale or refused; nothing was changed.",
        "422": f"The body is not a complete {takes}.",
        "503": "The supervisor can't do it now.",
    }
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": _content("application/json", _reference(takes))},
            "responses": {"200": _answer("Done.", name)}
            | {status: _answer(says, "ErrorBody") for status, says in errors.items()},
        }
    }


@cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the control API."""
    _, components = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {"title": "agt control API", "version": "1"},
        "paths": {
            "/v1/view": _get("The present picture.", "View"),
            "/v1/stream": _get_text(
                "Event `snapshot`: a View; then event `change`: version, time and the sections that changed.",
                "text/event-stream",
            ),
            "/v1/actions": _post("Do something.", "Receipt"),
            "/v1/previews": _post("Say what it would do, and change nothing.", "Preview"),
            "/v1/alerts": _get("The alert ledger, newest first.", "AlertList"),
            "/v1/sessions": _get("Live sessions by device: `runtime`, `pinned`, `after`, `limit`.", "SessionList"),
            "/v1/sessions/restarts": _post(
                "Restart sessions between commands; waits for their drains.", "SessionReceipt", takes="SessionOrder"
            ),
            **describe_books(_get, _post),
            "/v1/openapi.json": _get_text("This document.", "application/json"),
            "/healthz": _get("Whether the supervisor serves.", "Health"),
            "/metrics": _get_text("Prometheus metrics.", "text/plain"),
        },
        "components": {"schemas": components},
    }

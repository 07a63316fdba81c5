"""The API's description, made from the structs that it really speaks, so that the two can't drift apart."""

from functools import cache
from typing import Any, Final

import msgspec

from agt.supervisor.actions import Action
from agt.supervisor.control._books import BOOK_TYPES, describe_books
from agt.supervisor.control._components import COMPONENT_TYPES, describe_components
from agt.supervisor.control._describe import get, get_text, post
from agt.supervisor.control._errors import ErrorBody
from agt.supervisor.control._sessions import describe_sessions
from agt.supervisor.control._tokens import TOKEN_TYPES, describe_tokens
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
    *TOKEN_TYPES,
    *COMPONENT_TYPES,
)


SECURITY: Final = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "`agt token create`. Needed over TCP; at the Unix socket our own user is an operator without.",
    }
}


@cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the control API."""
    _, components = msgspec.json.schema_components(_TYPES, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "agt control API",
            "version": "1",
            "summary": "A supervisor's rollout, processes and books.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:8642", "description": "agt up --http; or the run directory's socket."}],
        "security": [{"token": []}],
        "paths": {
            "/v1/view": get("The present picture.", "View"),
            "/v1/stream": get_text(
                "Event `snapshot`: a View; then event `change`: version, time and the sections that changed.",
                "text/event-stream",
            ),
            "/v1/actions": post("Do something.", "Receipt"),
            "/v1/previews": post("Say what it would do, and change nothing.", "Preview"),
            "/v1/alerts": get("The alert ledger, newest first.", "AlertList"),
            **describe_sessions(),
            **describe_books(),
            **describe_components(),
            **describe_tokens(),
            "/v1/openapi.json": get_text("This document.", "application/json"),
            "/healthz": get("Whether the supervisor serves.", "Health"),
            "/metrics": get_text("Prometheus metrics.", "text/plain"),
        },
        "components": {"schemas": components, "securitySchemes": SECURITY},
    }

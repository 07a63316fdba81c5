"""How one operation stands in the OpenAPI document: its parameters, its body, and every answer that it can give.

Doors answer before any route does, so their errors (401, 403, 421, 429) belong to every operation.
"""

from collections.abc import Iterable
from typing import Any, Final

_DOORS: Final = {
    "401": "Over TCP: no valid token.",
    "403": "Over TCP: the token's role may not do this, or another page sent it.",
    "421": "Over TCP: the Host header names another host.",
    "429": "Too many requests; `Retry-After` says when to come again. Going back is not limited.",
    "500": "A bug of the supervisor.",
    "503": "The supervisor can't do it now, or is stopping.",
}
_PARAMETERS: Final = {"404": "What is named is unknown.", "422": "A parameter is not what it should be."}
_CHANGES: Final = {
    "404": "What is named is unknown.",
    "409": "Stale or refused; nothing was changed.",
}
_BODY: Final = {
    "408": "Over TCP: the body didn't come in time.",
    "413": "The body is too large.",
}
FLAG: Final = {"type": "string", "enum": ["0", "1", "false", "true"]}
TEXT: Final = {"type": "string"}


def query(name: str, says: str, schema: dict[str, Any] = TEXT) -> dict[str, Any]:
    """Return a query parameter."""
    return {"name": name, "in": "query", "description": says, "schema": schema}


def in_path(name: str, says: str, schema: dict[str, Any] = TEXT) -> dict[str, Any]:
    """Return a parameter in the path."""
    return {"name": name, "in": "path", "required": True, "description": says, "schema": schema}


def get(summary: str, name: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    """Return an operation that reads."""
    return {"get": _operation(summary, _answer("As asked.", name), parameters)}


def get_text(summary: str, kind: str) -> dict[str, Any]:
    """Return an operation that answers a text of some media type."""
    schema = {} if kind == "application/json" else {"type": "string"}
    return {"get": _operation(summary, {"description": "As asked.", "content": _content(kind, schema)}, ())}


def delete(summary: str, name: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    """Return an operation that ends something."""
    return {"delete": _operation(summary, _answer("Done.", name), parameters, _CHANGES)}


def post(summary: str, name: str, *parameters: dict[str, Any], takes: str = "Action") -> dict[str, Any]:
    """Return an operation that takes a body."""
    body = {"422": f"The body is not a complete {takes}."}
    operation = _operation(summary, _answer("Done.", name), parameters, _CHANGES | _BODY | body)
    request = {"required": True, "content": _content("application/json", _reference(takes))}
    return {"post": operation | {"requestBody": request}}


def _operation(
    summary: str, answer: dict[str, Any], parameters: Iterable[dict[str, Any]], errors: dict[str, str] | None = None
) -> dict[str, Any]:
    given = list(parameters)
    told = _DOORS | (_PARAMETERS if given else {}) | (errors or {})
    responses = {"200": answer} | {status: _error(status, told[status]) for status in sorted(told)}
    return {"summary": summary} | ({"parameters": given} if given else {}) | {"responses": responses}


def _error(status: str, says: str) -> dict[str, Any]:
    answer = _answer(says, "ErrorBody")
    if status == "429":
        seconds = {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}}
        answer["headers"] = {"Retry-After": seconds}
    return answer


def _answer(says: str, name: str) -> dict[str, Any]:
    return {"description": says, "content": _content("application/json", _reference(name))}


def _content(kind: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {kind: {"schema": schema}}


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}

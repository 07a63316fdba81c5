"""How the control API says no: one body for every error, and which status each kind has."""

import math
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.responses import Response

from agt.supervisor.actions import Refused

_STATUS: Final = {
    "stale": HTTPStatus.CONFLICT,
    "refused": HTTPStatus.CONFLICT,
    "unknown": HTTPStatus.NOT_FOUND,
    "invalid": HTTPStatus.UNPROCESSABLE_ENTITY,
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "slow": HTTPStatus.REQUEST_TIMEOUT,
    "limited": HTTPStatus.TOO_MANY_REQUESTS,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
}


class ErrorFacts(msgspec.Struct, frozen=True):
    """What went wrong, for programs (`code`) and for people."""

    code: str
    message: str
    hint: str = ""
    """What to do next; empty when there is nothing to say."""


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of every answer that isn't a success."""

    error: ErrorFacts


def error_response(code: str, message: str, hint: str = "", *, status: int | None = None) -> Response:
    """Answer with an error; the status follows from the code unless given."""
    body = msgspec.json.encode(ErrorBody(ErrorFacts(code, message, hint)))
    return Response(body, status_code=status or _STATUS[code], media_type="application/json")


def limited_response(wait_s: float) -> Response:
    """Answer that it is too much, and when to come again."""
    wait = math.ceil(wait_s)
    answer = error_response("limited", "too many requests", f"come again in {wait} s; going back is not limited")
    answer.headers["retry-after"] = str(wait)
    return answer


def refusal_response(refused: Refused) -> Response:
    """Answer with a backend's refusal."""
    return error_response(refused.code, refused.message, refused.hint)

"""What every route reads and answers in the same way: JSON, one shape of error, the body of a selector, a receipt."""

from typing import Final

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from agt.router._batch import MoveBatch
from agt.router._selector_text import SELECTOR_MAX_BYTES

SETTLE_WAIT_S: Final = 6.0
"""How long a request with `wait=settled` is kept; the answer then says what is still moving."""


def answer(value: object, status: int = 200) -> Response:
    """Answer with a value as JSON."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def error(status: int, code: str, message: str, hint: str) -> Response:
    """Answer with what was wrong and what to do about it."""
    return answer({"error": {"code": code, "message": message, "hint": hint}}, status)


async def body_of(request: Request) -> bytes | None:
    """Read the body as far as a selector may go; None when it goes further."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > SELECTOR_MAX_BYTES:
            return None
    return bytes(data)


def too_large() -> Response:
    """Refuse a body that goes further than a selector may."""
    return error(422, "invalid", f"body is larger than {SELECTOR_MAX_BYTES} bytes", "send the selector alone")


async def receipt(request: Request, batch: MoveBatch) -> Response:
    """Answer with what a change of route did so far, or with `wait=settled` once all of it is settled."""
    if request.query_params.get("wait") == "settled":
        with anyio.move_on_after(SETTLE_WAIT_S):
            await batch.settled()
    return answer(batch.receipt())

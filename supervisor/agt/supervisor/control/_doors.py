"""What stands before every request: who asks, whether they may, and whether it is too much.

Theory of operation. The Unix socket's door lets everybody in as the owner, because the kernel has compared the uid. The
TCP door checks in the order of cost, and everything before the body is read: Host and Origin, the declared length, the
token, the role, the budget. A body then has to come within a deadline.

Going back is never limited. Whether an order goes back only its body says, so for `POST /v1/actions` the budget is
spent after the body has been read (64 KiB at most, of an authenticated operator); see `_requests.spend`.
"""

import time
from collections.abc import Callable
from typing import Final

import anyio
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agt.supervisor.access import LOCAL, Budgets, Caller, Failures, Misdirected, OriginCheck, TokenFile, may_call
from agt.supervisor.control._errors import error_response, limited_response
from agt.supervisor.control._requests import BUDGET, CALLER, BodyTooSlow

LOCAL_PER_S: Final = 500.0
LOCAL_BURST: Final = 1000.0
"""Of the Unix socket, all processes of its owner together: it stops a loop gone wild, and nothing else."""
TOKEN_PER_S: Final = 20.0
TOKEN_BURST: Final = 40.0
BODY_WITHIN_S: Final = 10.0
LENGTH_MAX_BYTES: Final = 512 << 10
"""The largest body that any route takes."""
TCP_STREAMS_MAX: Final = 32
"""A quarter of all streams, so that the screens at the Unix socket always find a place."""

_ACTIONS: Final = "/v1/actions"
_STREAM: Final = "/v1/stream"
_BEARER: Final = b"bearer "


class UnixDoor:
    """The owner's door."""

    def __init__(self, app: ASGIApp, *, per_s: float = LOCAL_PER_S, burst: float = LOCAL_BURST) -> None:
        self._app, self._budgets = app, Budgets(per_s=per_s, burst=burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, if it isn't too many."""
        scope[CALLER] = LOCAL
        scope[BUDGET] = lambda: self._budgets.take("", now=time.monotonic())
        if not _spends_later(scope) and (wait_s := scope[BUDGET]()):
            await limited_response(wait_s)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class TcpDoor:
    """The door for those who show a token."""

    def __init__(
        self,
        app: ASGIApp,
        tokens: TokenFile,
        origins: OriginCheck,
        *,
        on_failures: Callable[[str, int], None] = lambda _peer, _count: None,
        body_within_s: float = BODY_WITHIN_S,
    ) -> None:
        """Put a door before an app.

        Args:
            app: The control API.
            tokens: Whose tokens count.
            origins: Which Host and Origin are ours.
            on_failures: Told of failed authentication now and then: the last peer, and how many since.
            body_within_s: How long a body may take.
        """
        self._app, self._tokens, self._origins = app, tokens, origins
        self._on_failures, self._body_within_s = on_failures, body_within_s
        self._budgets = Budgets(per_s=TOKEN_PER_S, burst=TOKEN_BURST)
        self.failures = Failures()
        self._streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in that may come in."""
        assert scope["type"] == "http", "neither lifespan nor websockets are served"
        found = self._admit(scope)
        if isinstance(found, Response):
            await found(scope, receive, send)
            return
        scope[CALLER] = found
        scope[BUDGET] = lambda: self._budgets.take(found.token_id, now=time.monotonic())
        if not _spends_later(scope) and (wait_s := scope[BUDGET]()):
            await limited_response(wait_s)(scope, receive, send)
        elif scope["path"] == _STREAM:
            await self._stream(found, scope, receive, send)
        else:
            await self._app(scope, _within(receive, self._body_within_s), send)

    def _admit(self, scope: Scope) -> Caller | Response:
        try:
            self._origins.check(scope["headers"])
        except Misdirected as error:
            return error_response("forbidden", error.why, status=error.status)
        if _length(scope) > LENGTH_MAX_BYTES:
            return error_response("invalid", f"the body is larger than {LENGTH_MAX_BYTES} bytes", status=413)
        caller = self._caller(scope)
        if caller is None:
            return self._refuse(scope)
        if not may_call(caller, scope["method"], scope["path"]):
            hint = "ask at the Unix socket" if caller.role == "operator" else "it takes an operator's token"
            return error_response("forbidden", f"a token with the role {caller.role} may not do this", hint)
        return caller

    def _caller(self, scope: Scope) -> Caller | None:
        shown = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(shown) != 1 or shown[0][: len(_BEARER)].lower() != _BEARER:
            return None
        record = self._tokens.match(shown[0][len(_BEARER) :].strip().decode("latin-1"))
        return None if record is None else Caller(name=record.name, role=record.role, token_id=record.id)

    def _refuse(self, scope: Scope) -> Response:
        peer = (scope.get("client") or ("unknown", 0))[0]
        wait_s, untold = self.failures.add(now=time.monotonic())
        if untold:
            self._on_failures(peer, untold)
        if wait_s:
            return limited_response(wait_s)
        answer = error_response(
            "unauthenticated", "this needs a token", "Authorization: Bearer TOKEN; agt token create"
        )
        answer.headers["www-authenticate"] = "Bearer"
        return answer

    async def _stream(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a stream for as long as its token counts."""
        if self._streams >= TCP_STREAMS_MAX:
            full = error_response("unavailable", f"{TCP_STREAMS_MAX} streams are open over TCP, which is the limit")
            await full(scope, receive, send)
            return
        self._streams += 1
        try:
            with anyio.CancelScope() as ended:

                async def checked(message: Message) -> None:
                    if self._tokens.holds(caller.token_id):
                        await send(message)
                    else:
                        ended.cancel()

                await self._app(scope, receive, checked)
            if ended.cancelled_caught:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._streams -= 1


def _spends_later(scope: Scope) -> bool:
    return (scope["method"], scope["path"]) == ("POST", _ACTIONS)


def _length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:12])
    return 0


def _within(receive: Receive, seconds: float) -> Receive:
    """Return a `receive` whose body ends in time, or raises."""
    deadline = anyio.current_time() + seconds
    whole = False

    async def timed() -> Message:
        nonlocal whole
        if whole:
            return await receive()
        with anyio.CancelScope(deadline=deadline):
            message = await receive()
            whole = not message.get("more_body", False)
            return message
        raise BodyTooSlow(seconds)

    return timed

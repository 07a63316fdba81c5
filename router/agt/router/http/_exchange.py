"""One request and its answer between a caller and a service, byte by byte, with nothing piled up in between.

Two things go on at once. The request's body goes up while the answer may already come down (a service may refuse an
upload in the middle of it), and the caller may hang up at any time, which ends the exchange at the service too. So one
task reads the caller and this one reads the service; whatever ends the exchange early names its reason and cuts the
service's connection, on which both then notice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import h11

from agt.router.http._connection import Connection
from agt.router.http._errors import Broken, CallerGone, Refused, TooSlow, UpstreamFailure

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Tap(Protocol):
    """Gets a copy of what passes, to mirror and compare it."""

    def request_body(self, data: bytes) -> None:
        """Take a piece of the request."""
        ...

    def answer_body(self, data: bytes) -> None:
        """Take a piece of the answer."""
        ...


class Patience:
    """How long the steps of one exchange may take, in seconds."""

    __slots__ = ("answer_s", "body_max", "idle_s")

    def __init__(self, *, answer_s: float, idle_s: float, body_max: int = 0) -> None:
        self.answer_s, self.idle_s, self.body_max = answer_s, idle_s, body_max


_SENDING: Final = "sending"
_WAITING: Final = "waiting"
_STREAMING: Final = "streaming"


class Exchange:
    """Carries one request over one connection.

    Args:
        connection: To the service, for this exchange alone.
        receive: What the caller says next (ASGI).
        patience: How long it may take.
        cut: Ends the caller's connection: else one that reads nothing would hold everything up for ever.
        tap: Gets copies, if anybody wants them.
    """

    def __init__(
        self,
        connection: Connection,
        receive: Receive,
        patience: Patience,
        *,
        cut: Callable[[], None],
        tap: Tap | None = None,
    ) -> None:
        self._connection, self._receive, self._patience, self._tap = connection, receive, patience, tap
        self._cut = cut
        self._loop = asyncio.get_running_loop()
        self._phase = _SENDING
        self._progress_at = self._loop.time()
        self._on_caller = False
        self._failure: Exception | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._caller: asyncio.Task[None] | None = None
        self.body_begun = False
        """Whether the caller was asked for its body: it can't be asked a second time."""
        self.ended = False
        """Whether the whole answer has been handed on."""

    async def head(self, request: h11.Request, *, body: bool) -> h11.Response:
        """Send the request and return the head of its answer.

        Raises:
            UpstreamFailure: when there is none.
            CallerGone: when the caller left first.
            Refused: when the request is larger than it may be.
        """
        try:
            if body:
                self._connection.send(request)
            else:
                self._connection.send(request, h11.EndOfMessage())
                self._phase = _WAITING
            self._watch()
            self._caller = self._loop.create_task(self._read_caller(body=body))
            while True:
                event = await self._connection.next_event()
                if isinstance(event, h11.Response):
                    self._step(_STREAMING)
                    return event
                if not isinstance(event, h11.InformationalResponse):
                    raise Broken("the service ended the connection without an answer")
        except UpstreamFailure as error:
            raise self._failure or error from error

    async def stream(self, send: Send) -> None:
        """Hand the body of the answer on, up to its end.

        Raises:
            UpstreamFailure: when it breaks off.
            CallerGone: when the caller left first.
        """
        try:
            event = await self._next_event()
            while True:
                data = b""
                if isinstance(event, h11.Data):
                    data = bytes(event.data)
                    event = self._connection.event_at_hand()
                self.ended = isinstance(event, h11.EndOfMessage)
                if data and self._tap is not None:
                    self._tap.answer_body(data)
                if data or self.ended:
                    await self._hand_on(send, data, more=not self.ended)
                if self.ended:
                    return
                if event is h11.NEED_DATA:
                    event = await self._next_event()
                elif not isinstance(event, h11.Data):
                    raise Broken("the service broke its answer off")
        except UpstreamFailure as error:
            raise self._failure or error from error

    def close(self) -> None:
        """Stop reading the caller, and the clock; the connection is its owner's to give back."""
        if self._timer is not None:
            self._timer.cancel()
        if self._caller is not None:
            self._caller.cancel()

    async def _next_event(self) -> Any:
        event = await self._connection.next_event()
        if self._failure is not None:
            # Where the end of the connection is the end of the answer, our cutting it looks like that.
            raise self._failure
        return event

    async def _hand_on(self, send: Send, data: bytes, *, more: bool) -> None:
        self._on_caller = True
        await send({"type": "http.response.body", "body": data, "more_body": more})
        self._on_caller = False
        self._progress_at = self._loop.time()
        if self._failure is not None:
            raise self._failure

    async def _read_caller(self, *, body: bool) -> None:
        """Send the request's body on, then wait for the caller to leave."""
        try:
            if body:
                await self._send_body()
            else:
                await self._receive()  # The empty body that every request has.
            while (await self._receive())["type"] != "http.disconnect":
                pass  # A server may repeat itself; only the end matters here.
            if not self.ended:
                self._fail(CallerGone("the caller hung up"))
        except Broken:
            return  # The service reads no more; what it answers is the other side's to say.
        except (CallerGone, Refused) as error:
            self._fail(error)

    async def _send_body(self) -> None:
        self.body_begun, taken = True, 0
        while True:
            self._on_caller = True
            message = await self._receive()
            self._on_caller = False
            if message["type"] == "http.disconnect":
                raise CallerGone("the caller hung up in the middle of its request")
            data: bytes = message.get("body", b"")
            taken += len(data)
            if 0 < self._patience.body_max < taken:
                raise too_large(self._patience.body_max)
            if data:
                self._progress_at = self._loop.time()
                if self._tap is not None:
                    self._tap.request_body(data)
                self._connection.send(h11.Data(data=data))
                await self._connection.drain()
                self._progress_at = self._loop.time()
            if not message.get("more_body", False):
                self._connection.send(h11.EndOfMessage())
                self._step(_WAITING)
                return

    def _step(self, phase: str) -> None:
        if self._phase == _STREAMING:
            return  # The answer came before the request had ended.
        self._phase, self._progress_at = phase, self._loop.time()
        if phase == _STREAMING or self._allowed_s() < self._patience.idle_s:
            self._watch()

    def _allowed_s(self) -> float:
        return self._patience.answer_s if self._phase == _WAITING else self._patience.idle_s

    def _watch(self) -> None:
        """Look again when the present step would have taken too long; one timer, however much flows."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._progress_at + self._allowed_s(), self._look)

    def _look(self) -> None:
        self._timer = None
        late_at = self._progress_at + self._allowed_s()
        if self._loop.time() < late_at:
            self._timer = self._loop.call_at(late_at, self._look)
        elif self._on_caller and self._phase != _WAITING:
            self._fail(CallerGone(f"the caller was silent for {self._patience.idle_s:g} s"))
        else:
            self._fail(TooSlow(f"{_LATE[self._phase]} within {self._allowed_s():g} s"))

    def _fail(self, error: Exception) -> None:
        """End the exchange for a reason; the first one counts."""
        if self._failure is None:
            self._failure = error
            self._connection.abort()
            if isinstance(error, CallerGone):
                self._cut()


_LATE: Final = {
    _SENDING: "the service took no more of the request",
    _WAITING: "the service gave no answer",
    _STREAMING: "the service's answer did not go on",
}


def too_large(limit: int) -> Refused:
    """Return the refusal of a body that is larger than it may be."""
    return Refused(
        413, "too_large", f"the request is larger than {limit} bytes", "send less; limits.body_max_bytes is the limit"
    )

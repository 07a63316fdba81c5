"""The stream of state as server-sent events: `snapshot` once, then `change`, and a comment when nothing happens.

Bursts are folded by the subscription; here each reader is also held to `MAX_EVENTS_A_SECOND`, and one that takes no
bytes for `STALL_S` loses its connection (it may come again and gets a snapshot).
"""

from typing import Final

import anyio
import msgspec
from starlette.types import Receive, Scope, Send

from agt.supervisor.control._hub import Change, Snapshot, Subscription

HEARTBEAT_S: Final = 5.0
STALL_S: Final = 30.0
MAX_EVENTS_A_SECOND: Final = 20

_HEADERS: Final = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
_HEARTBEAT: Final = b": nothing new\n\n"


def encode_event(event: Snapshot | Change) -> bytes:
    """Return one event as it stands on the stream."""
    if isinstance(event, Snapshot):
        return b"event: snapshot\ndata: " + msgspec.json.encode(event.view) + b"\n\n"
    return b"event: change\ndata: " + msgspec.json.encode(event.sections) + b"\n\n"


class EventStream:
    """An ASGI response that writes one subscription until it ends, the reader leaves or the reader stalls."""

    def __init__(
        self, subscription: Subscription, *, heartbeat_s: float = HEARTBEAT_S, stall_s: float = STALL_S
    ) -> None:
        self._subscription = subscription
        self._heartbeat_s, self._stall_s = heartbeat_s, stall_s

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the reader; Starlette calls this."""
        with self._subscription:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch_reader, receive, tasks.cancel_scope)
                await self._write_all(send)
                tasks.cancel_scope.cancel()

    async def _watch_reader(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async def _write_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        while True:
            chunk = await self._next_chunk()
            if not await self._write(send, chunk):
                return
            if not chunk:
                return
            if chunk is not _HEARTBEAT:
                await anyio.sleep(1 / MAX_EVENTS_A_SECOND)

    async def _next_chunk(self) -> bytes:
        with anyio.move_on_after(self._heartbeat_s):
            try:
                return encode_event(await anext(self._subscription))
            except StopAsyncIteration:
                return b""
        return _HEARTBEAT

    async def _write(self, send: Send, chunk: bytes) -> bool:
        with anyio.move_on_after(self._stall_s) as scope:
            await send({"type": "http.response.body", "body": chunk, "more_body": bool(chunk)})
        return not scope.cancelled_caught

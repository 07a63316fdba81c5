"""The legacy way of sending, kept as it is today: write, wait for the socket a little, hope.

Nothing is acknowledged, sent again, recognised or queued. Two forms: over a connection of its own, and over the
session of a device that moves in place, where the wire's observer can at least see the replies.
"""

from types import TracebackType
from typing import Literal, Self

import anyio
from anyio.abc import ByteStream, TaskGroup

from agt.transport._connections import Connection
from agt.transport._delivery import Delivery
from agt.transport._deprecated import deprecated
from agt.transport._errors import ConnectionUnavailable, UsageError
from agt.transport._metrics import TransportMetrics
from agt.transport._outcome import Outcome
from agt.transport._session import Session

LegacyWire = Literal["lines", "cync", "raw"]
DRAIN_TIMEOUT_S = 2.0
"""How long a write may wait for the socket, in seconds; the legacy controllers' own figure."""

_LINE_END = b"\n"


@deprecated("Use ReliableTransport instead")
class LegacyTransport:
    """Fire and forget over a legacy wire. It warns, and `legacy_uses` names the lines of code that make one."""

    def __init__(
        self,
        connection: Connection | None = None,
        wire: LegacyWire = "lines",
        *,
        session: Session | None = None,
        metrics: TransportMetrics | None = None,
        drain_timeout_s: float = DRAIN_TIMEOUT_S,
    ) -> None:
        """Send over a connection of our own, or over a session that somebody else carries.

        Args:
            connection: where to dial, at the first message and again after a failure.
            wire: how a message stands on it: `lines` ends it with a newline, `cync` and `raw` send it as it is.
            session: the session to share instead; its link knows the wire, and counts in its `written_metrics`.
            metrics: where messages count; a private one when not given.
            drain_timeout_s: how long a write may wait for the socket.

        Raises:
            UsageError: unless exactly one of `connection` and `session` is given.
        """
        if (connection is None) == (session is None):
            raise UsageError("give a LegacyTransport either a connection to dial or a session to share")
        self._connection, self._session = connection, session
        self._end = _LINE_END if wire == "lines" else b""
        self._drain_timeout_s = drain_timeout_s
        self._stream: ByteStream | None = None
        self._turn = anyio.Lock()
        self._tasks: TaskGroup | None = None
        own = metrics if metrics is not None else TransportMetrics("control")
        self.metrics = session.written_metrics if session is not None else own

    async def __aenter__(self) -> Self:
        """Get ready; dialling waits for the first message."""
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None, "left only after it was entered"
        await self._hang_up()
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, trace)

    async def send(self, data: bytes) -> Delivery:
        """Write a message and hope; the handle is settled and never says `delivered`.

        `written` is all that can be known. `not_delivered`: there was no connection. `indeterminate`: the socket
        took longer than the drain timeout, and so the connection was given up.

        Raises:
            UsageError: when the session's wire has no legacy way, or outside of `async with`.
        """
        if self._session is not None:
            delivery = self._session.write_nowait(data)
            with anyio.move_on_after(self._drain_timeout_s):
                await self._session.flush()
            return delivery
        async with self._turn:
            outcome, reason = await self._write(data + self._end)
        self.metrics.accepted += 1
        self.metrics.outcomes[outcome] += 1
        delivery = Delivery()
        delivery.settle(outcome, reason=reason)
        return delivery

    async def _write(self, data: bytes) -> tuple[Outcome, str]:
        try:
            stream = self._stream or await self._dial()
        except ConnectionUnavailable as error:
            return Outcome.NOT_DELIVERED, str(error)
        try:
            with anyio.fail_after(self._drain_timeout_s):
                await stream.send(data)
        except TimeoutError:
            await self._hang_up()  # A part may have gone out: what follows it would be read as its rest.
            return Outcome.INDETERMINATE, f"the socket took longer than {self._drain_timeout_s:g} s"
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            await self._hang_up()
            return Outcome.NOT_DELIVERED, "the connection was gone"
        return Outcome.WRITTEN, ""

    async def _dial(self) -> ByteStream:
        if self._tasks is None or self._connection is None:
            raise UsageError("use `async with LegacyTransport(...)` before sending")
        self._stream = await self._connection.connect()
        self._tasks.start_soon(self._read_and_forget, self._stream)
        return self._stream

    async def _read_and_forget(self, stream: ByteStream) -> None:
        """Keep the peer's socket from filling up with replies that nobody asked for."""
        try:
            while True:
                await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            if self._stream is stream:
                await self._hang_up()

    async def _hang_up(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await anyio.aclose_forcefully(stream)

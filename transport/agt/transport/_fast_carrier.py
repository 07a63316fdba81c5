"""One connection under one session on asyncio: the loop's own callbacks, and neither task nor event between them.

What arrives is handed to the link where the loop has put it, and the answer leaves at the end of the same turn, with
whatever the application has sent meanwhile. What is sent at other times leaves together once a turn of the loop; only a
message that comes alone, with nothing in flight, leaves at once, because nothing would follow it. While the socket
takes no more, the link is asked for nothing; while the application is behind, the socket is read no further.

Callbacks of the application run inside of these, and may send, refuse, disconnect, or put a newer connection in this
one's place; so each step looks whether it is still `current`.
"""

import asyncio
import socket
from collections.abc import Callable

import anyio

from agt.transport._carrying import CLOSED_BY_PEER, FAREWELL_S, SUPERSEDED, Carried, Speaks, socket_of
from agt.transport._errors import PeerViolation
from agt.transport._events import Dropped
from agt.transport._fast_stream import FastStream, receive_buffer


class FastCarrier(asyncio.BufferedProtocol):
    """Moves the bytes of one asyncio connection until it ends; the same face as `Carrier`."""

    __slots__ = (
        "_acknowledges",
        "_behind",
        "_ended",
        "_idle",
        "_link",
        "_loop",
        "_now",
        "_rush",
        "_session",
        "_single",
        "_stream",
        "_transport",
        "_turn_bytes",
        "_view",
        "_writable",
        "current",
        "dirty",
        "dropped",
    )

    def __init__(self, session: Carried, link: Speaks, stream: FastStream, clock: Callable[[], float]) -> None:
        self._session = session
        self._link = link
        self._stream = stream
        self._now = clock
        self._loop = asyncio.get_running_loop()
        self._transport = stream.transport
        self._view = receive_buffer()
        self._turn_bytes = link.traits.turn_bytes
        self._ended: asyncio.Future[None] | None = None
        self._idle: anyio.Event | None = None
        self._writable = True
        self._behind = False
        self._rush = True
        self._acknowledges = link.traits.acknowledges
        self._single = self._acknowledges
        self.dirty = True
        """Whether it is going to look anyway what there is to write, so that nobody needs to wake it."""
        self.current = True
        """False once a newer connection carries the link, or this one has ended."""
        self.dropped: Dropped | None = None
        """Why the connection ends; None while it lasts."""

    # The session's side

    @property
    def raw_socket(self) -> socket.socket | None:
        """The socket that carries it; None when it has gone."""
        return socket_of(self._stream)

    async def run(self) -> Dropped:
        """Carry until the connection ends, close it, and say why it ended."""
        self._ended = self._loop.create_future()
        try:
            if self.current:
                self._stream.hand_over(self)
                self._flush()
                await self._ended
        finally:
            self._stop()
            self._transport.abort()
        assert self.dropped is not None, "a carrier ends for a reason"
        return self.dropped

    def wake(self) -> None:
        """Write what there is, at once or at the end of this turn of the loop; cheap, from synchronous code."""
        if self.dirty or not self.current:
            return
        if self._rush and self._single:
            self._rush = False  # Until something has come: what else is said in this turn can leave together.
            self._flush()
        else:
            self.dirty = True
            self._loop.call_soon(self._flush_together)

    def end(self, dropped: Dropped) -> None:
        """End the connection once the link's last words are flushed, or soon."""
        if self.dropped is None:
            self.dropped = dropped
            self._loop.call_later(FAREWELL_S, self._stop)
            self.wake()

    def supersede(self) -> None:
        """End at once and leave the link alone: a newer connection has it."""
        self.dropped = self.dropped or SUPERSEDED
        self._stop()
        self._transport.abort()

    def more_room(self) -> None:
        """Read on: the application has caught up."""
        if self._behind:
            self._behind = False
            if self.current:
                self._transport.resume_reading()

    async def flushed(self) -> None:
        """Wait until everything that the link wants written was handed to the socket, or the connection ended."""
        while self.current and (self.dirty or not self._writable):
            if self._idle is None:
                self._idle = anyio.Event()
            await self._idle.wait()

    # The loop's side

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's wish; ours is shared by all
        """Lend the thread's buffer."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Hand over what has come, and answer it."""
        if self.dropped is not None:
            return  # Last words are being written; what the peer says now is for nobody.
        self._rush = self.dirty = True
        try:
            try:
                self._link.receive_data(bytes(self._view[:nbytes]), now=self._now())
            except PeerViolation as violation:
                self.end(Dropped(str(violation), "peer", final=False))
            self._session.react()
            self._flush()
        except Exception as error:  # noqa: BLE001 - a callback of the application raised: `run` raises it there
            self._fail(error)
        if self._session.behind and self.current:
            self._behind = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """Let the transport close: half a connection is none."""

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - whatever it was, the link resumes
        """Note that it is over."""
        self.dropped = self.dropped or CLOSED_BY_PEER
        self._stop()

    def pause_writing(self) -> None:
        """Ask the link for nothing while some of it is still here."""
        self._writable = False

    def resume_writing(self) -> None:
        """Write on."""
        self._writable = True
        self._flush_together()

    # Within

    def _flush_together(self) -> None:
        self._single = self._acknowledges and self._link.queued <= 1
        try:
            self._flush()
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def _flush(self) -> None:
        """Write until the link has nothing more or the socket is full; may come back here from a callback."""
        while self.current and self._writable:
            self.dirty = False
            data = self._link.data_to_send(now=self._now())
            if data:
                self._transport.write(data)
            self._session.flushing()
            if len(data) < self._turn_bytes:
                break
        if self._writable and not self.dirty:
            if self._idle is not None:
                self._idle.set()
                self._idle = None
            if self.dropped is not None:
                self._transport.close()

    def _fail(self, error: Exception) -> None:
        self.dropped = self.dropped or Dropped(f"a callback failed: {error}", "us", final=False)
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)
        self._stop()

    def _stop(self) -> None:
        self.current = False
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)
        if self._idle is not None:
            self._idle.set()
            self._idle = None

"""A connection on asyncio as a byte stream, without what asyncio's usual receive costs.

asyncio asks for 256 KiB of fresh memory for each receive; a `BufferedProtocol` lends it one buffer instead, and all
connections of a thread share that one, because whatever a loop has put into it is taken out before anybody else runs.
So an idle connection holds no buffer at all.

A `FastStream` reads only while somebody waits in `receive`, and no more than was asked for: whoever has not said who
they are can fill nothing. Once the peer is known, a session's `FastCarrier` takes the transport over (`hand_over`) and
the stream is only a name for it.
"""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import anyio
from anyio.abc import SocketStream

BUFFER_SIZE = 1 << 18
"""Bytes that one receive may bring."""

HAPPY_EYEBALLS_S = 0.25
"""How long one address may take before the next is tried beside it (RFC 8305)."""

_of_thread = threading.local()


def receive_buffer() -> memoryview:
    """Return this thread's buffer; valid until the loop goes on."""
    view: memoryview | None = getattr(_of_thread, "view", None)
    if view is None:
        view = _of_thread.view = memoryview(bytearray(BUFFER_SIZE))
    return view


def on_asyncio() -> bool:
    """Whether an asyncio event loop (uvloop too) is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class FastStream(asyncio.BufferedProtocol, SocketStream):
    """One connection of an asyncio event loop; an anyio socket stream until it is handed over."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self._asked = 1
        self._data = b""
        self._ended = self._lost = self._closed = self._full = self._handed = False
        self._error: Exception | None = None

    @property
    def _raw_socket(self) -> socket.socket:
        return cast("socket.socket", self.transport.get_extra_info("socket"))

    @property
    def transport(self) -> asyncio.Transport:
        """The transport underneath."""
        assert self._transport is not None, "used once it is connected"
        return self._transport

    def hand_over(self, protocol: asyncio.BufferedProtocol) -> asyncio.Transport:
        """Let another protocol have the connection from here on, reading at once; this stream must not be used again.

        A connection that has ended meanwhile tells so in `connection_lost`, as always.
        """
        transport = self.transport
        self._handed = True
        transport.set_protocol(protocol)
        self._hand_on(protocol)
        if self._lost:
            asyncio.get_running_loop().call_soon(protocol.connection_lost, self._error)
        elif self._closed or self._ended:
            transport.abort()
        else:
            transport.resume_reading()
        return transport

    def _hand_on(self, protocol: asyncio.BufferedProtocol) -> None:
        """Give the other protocol what has been read already: a loop may read before it can be told not to."""
        data, self._data = self._data, b""
        while data and not self.transport.is_closing():
            room = memoryview(protocol.get_buffer(len(data)))
            count = min(len(room), len(data))
            room[:count] = data[:count]
            protocol.buffer_updated(count)
            data = data[count:]

    # anyio's side

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Return some bytes, at most `max_bytes`, waiting for the first."""
        if self._reader is not None:
            raise anyio.BusyResourceError("reading from")
        if not self._ended and not self._closed:
            self._asked = max_bytes
            with self._waiting("_reader") as arrived:
                self.transport.resume_reading()
                await arrived
        data, self._data = self._data, b""
        if data:
            return data
        if self._closed:
            raise anyio.ClosedResourceError
        if self._error is not None:
            raise anyio.BrokenResourceError from self._error
        raise anyio.EndOfStream

    async def send(self, item: bytes) -> None:
        """Write bytes, and wait while the socket takes no more."""
        if self._writer is not None:
            raise anyio.BusyResourceError("writing to")
        if self._closed:
            raise anyio.ClosedResourceError
        if not self.transport.is_closing():
            self.transport.write(item)
            if not self._full:
                await anyio.lowlevel.checkpoint()
                return
            with self._waiting("_writer") as room:
                await room
        if self.transport.is_closing():
            raise anyio.BrokenResourceError from self._error

    async def send_eof(self) -> None:
        """Say that no more bytes will be written."""
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Close, once what was written has left; at once when cancelled."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        self.transport.close()
        try:
            await anyio.lowlevel.checkpoint()
        finally:
            self.transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Read nothing until somebody asks."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass.
        self._transport.set_write_buffer_limits(high=0)  # Paused means: some of it is still here.
        self._transport.pause_reading()
        # CPython up to 3.11.3 begins to read after this call, whatever was said in it.
        asyncio.get_running_loop().call_soon(self._keep_still)

    def _keep_still(self) -> None:
        if self._reader is None and not (self._handed or self._closed or self.transport.is_closing()):
            self.transport.resume_reading()
            self.transport.pause_reading()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the loop's wish; ours is the asker's
        """Lend as much of the buffer as was asked for."""
        return receive_buffer()[: self._asked]

    def buffer_updated(self, nbytes: int) -> None:
        """Take the bytes out and read no further."""
        self._data += receive_buffer()[:nbytes]
        self.transport.pause_reading()
        self._wake_one(self._reader)

    def eof_received(self) -> bool:
        """Keep our half open, where the transport can."""
        self._ended = True
        self._wake_one(self._reader)
        return self.transport.get_extra_info("sslcontext") is None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake whoever waits."""
        self._ended = self._lost = True
        self._error = exc
        self._wake()

    def pause_writing(self) -> None:
        """Note that some of it is still here."""
        self._full = True

    def resume_writing(self) -> None:
        """Note that all of it has left."""
        self._full = False
        self._wake_one(self._writer)

    @contextmanager
    def _waiting(self, name: str) -> Iterator["asyncio.Future[None]"]:
        future = asyncio.get_running_loop().create_future()
        setattr(self, name, future)
        try:
            yield future
        finally:
            setattr(self, name, None)

    def _wake(self) -> None:
        self._wake_one(self._reader)
        self._wake_one(self._writer)

    @staticmethod
    def _wake_one(waiting: "asyncio.Future[None] | None") -> None:
        if waiting is not None and not waiting.done():
            waiting.set_result(None)


async def fast_connect(host: str, port: int) -> FastStream:
    """Dial a TCP address, all its families in turn."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, asyncio.BaseEventLoop) and not _is_number(host):
        _, stream = await loop.create_connection(FastStream, host, port, happy_eyeballs_delay=HAPPY_EYEBALLS_S)
    else:  # One address; a race of one would leave its socket open when it is cancelled. uvloop has no race.
        _, stream = await loop.create_connection(FastStream, host, port)
    return stream


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def fast_stream(connected: socket.socket) -> FastStream:
    """Make a stream of a connected non-blocking socket, TCP or Unix."""
    loop = asyncio.get_running_loop()
    if connected.family == socket.AF_UNIX:
        _, stream = await loop.create_unix_connection(FastStream, sock=connected)
    else:
        _, stream = await loop.create_connection(FastStream, sock=connected)
    return stream

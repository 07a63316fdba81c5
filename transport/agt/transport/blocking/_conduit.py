"""One socket under a session: writes what it can at once, keeps the rest, and reads what is there.

Not for several threads at once; its session's lock is held around every call. What can't be written now is bounded:
the session asks for more only when nothing is left (`free`).
"""

import socket
from collections.abc import Callable
from typing import Final, Protocol

from agt.transport.blocking._io_thread import IOThread
from agt.transport.blocking._poller import READ, WRITE

READ_SIZE: Final = 65536
"""Most bytes taken from the socket at once."""


class Layer(Protocol):
    """What may stand between link and socket: TLS, say."""

    @property
    def established(self) -> bool:
        """Whether bytes of ours may go through."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the peer has said that nothing follows."""
        ...

    def receive_data(self, data: bytes) -> bytes:
        """Take what came from the socket and return what it holds, if anything yet."""
        ...

    def send_data(self, data: bytes) -> None:
        """Take what is to be written."""
        ...

    def data_to_send(self) -> bytes:
        """Return, once, what should go to the socket."""
        ...


class Conduit:
    """A connected socket that never waits."""

    __slots__ = ("_events", "_io", "_layer", "_rest", "_socket", "borrowed", "closed", "reading")

    def __init__(self, sock: socket.socket, io: IOThread, layer: Layer | None = None) -> None:
        """Take a connected socket over; `open` begins to look at it."""
        sock.settimeout(0)
        self._socket = sock
        self._io = io
        self._layer = layer
        self._rest = memoryview(b"")
        self.reading = True
        """Whether the application keeps up, so that reading goes on."""
        self._events = 0
        self.borrowed = False
        """Whether a waiting thread looks for data instead of the I/O thread."""
        self.closed = False

    @property
    def free(self) -> bool:
        """Whether everything given to `send` has gone to the system, and more can go."""
        return not self._rest and not self.closed and (self._layer is None or self._layer.established)

    @property
    def drained(self) -> bool:
        """Whether everything given to `send` has gone to the system, or never will."""
        return self.closed or not self._rest

    def fileno(self) -> int:
        """The socket's number, for those who wait on it."""
        return self._socket.fileno()

    def open(self, ready: Callable[[int], None]) -> None:
        """Begin to look at the socket; `ready` is called in the I/O thread with what it is ready for.

        Again for a socket that is looked at already: another one is called from now on.

        Raises:
            OSError: when the connection is gone.
        """
        if self._events:
            self._io.hear(self._socket, ready)
            return
        self._events = READ
        self._io.watch(self._socket, READ, ready)
        if self._layer is not None:
            self._push(self._layer.data_to_send())

    def send(self, data: bytes) -> None:
        """Write bytes, as far as they go now; only when `free`.

        Raises:
            OSError: when the connection is gone.
        """
        if self._layer is not None:
            self._layer.send_data(data)
            data = self._layer.data_to_send()
        self._push(data)

    def push(self) -> None:
        """Write more of what was left.

        Raises:
            OSError: when the connection is gone.
        """
        self._push(self._rest)
        if not self._rest and self._layer is not None:
            self._push(self._layer.data_to_send())

    def receive(self, size: int = READ_SIZE) -> bytes | None:
        """Return what has come; None when nothing has, empty when what has come means nothing yet.

        Raises:
            OSError: when the connection is gone.
            EOFError: when the peer has closed it.
            TransportError: when the bytes make no sense on this layer.
        """
        try:
            data = self._socket.recv(size)
        except (BlockingIOError, InterruptedError):
            return None
        if not data:
            raise EOFError("the connection was closed")
        if self._layer is None:
            return data
        try:
            data = self._layer.receive_data(data)
        finally:  # A handshake wants an answer, also the one that says why it failed.
            if not self._rest:
                self._push(self._layer.data_to_send())
        if self._layer.ended and not data:
            raise EOFError("the connection was closed")
        return data

    def look(self, *, reading: bool) -> None:
        """Read on, or stop reading while the application is too far behind."""
        self.reading = reading
        self._look()

    def borrow(self, *, borrowed: bool) -> None:
        """Have the I/O thread look away while another thread looks for data, or look again."""
        self.borrowed = borrowed
        if self.closed:
            self.close()
        else:
            self._look()

    def close(self) -> None:
        """Close the socket; one that a thread waits on is closed when that has left."""
        self.closed = True
        if not self.borrowed:
            self._io.forget(self._socket)
            self._socket.close()

    def _push(self, data: bytes | memoryview) -> None:
        if not data:
            return
        try:
            sent = self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        if sent == len(data) and not self._rest:
            return
        self._rest = memoryview(data)[sent:]
        self._look()

    def _look(self) -> None:
        events = (READ if self.reading and not self.borrowed else 0) | (WRITE if self._rest else 0)
        if events != self._events and not self.closed:
            self._events = events
            self._io.change(self._socket, events)

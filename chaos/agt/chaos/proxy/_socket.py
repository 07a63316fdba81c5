"""Raw sockets for the proxy: it has to reset, half-close and see resets, which stream classes smooth over."""

import contextlib
import socket
import struct
from pathlib import Path

import anyio

CHUNK = 1 << 16
BACKLOG = 1024
"""Connections that may wait to be accepted."""

Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""


class RawSocket:
    """A connected non-blocking socket; portable over anyio's backends."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)  # noqa: FBT003  # The standard library's own signature.
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock

    async def receive(self) -> bytes:
        """Return what has come, empty at the end.

        Raises:
            OSError: when the peer reset the connection.
        """
        while True:
            await anyio.wait_readable(self._sock)
            try:
                return self._sock.recv(CHUNK)
            except BlockingIOError:
                continue

    async def send(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: when the peer is gone.
        """
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(self._sock)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        with contextlib.suppress(OSError):  # Gone already; whoever reads will notice.
            self._sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close so that the peer sees a reset where the transport has one."""
        with contextlib.suppress(OSError):  # Gone already.
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close; nobody may be waiting on it."""
        anyio.notify_closing(self._sock)
        self._sock.close()


async def dial(address: Address) -> RawSocket:
    """Connect to an address.

    Raises:
        OSError: when nobody answers there.
    """
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003  # The standard library's own signature.
        try:
            sock.connect(address)
        except BlockingIOError:
            await anyio.wait_writable(sock)
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise OSError(code, f"cannot connect to {address}") from None
    except BaseException:
        sock.close()
        raise
    return RawSocket(sock)


def listen_on(address: Address) -> socket.socket:
    """Open a listening socket; port 0 takes a free one.

    Raises:
        OSError: when the address is taken or not ours.
    """
    sock = _bound(address)
    try:
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def deafened(listener: socket.socket) -> socket.socket:
    """Close a listening socket and return one in its place that keeps the address and listens to nobody.

    Who dials is refused by the system, until `listen` is called.
    """
    address: Address = listener.getsockname()
    anyio.notify_closing(listener)
    listener.close()
    if isinstance(address, str):
        Path(address).unlink(missing_ok=True)
    return _bound(address)


def _bound(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET, socket.SOCK_STREAM)
    try:
        if not isinstance(address, str):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)  # noqa: FBT003  # The standard library's own signature.
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock

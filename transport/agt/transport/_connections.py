"""Where a peer is, and one way to get there: TCP or a Unix socket.

What the world does wrong (refused, unreachable, timed out, no such socket) becomes one error that names the
address, so that a log line or a shell user needs nothing else.
"""

import os
import socket
import stat
from typing import Protocol

import anyio
import msgspec
from anyio.abc import ByteStream, SocketAttribute, SocketStream

from agt.transport._errors import ConnectionUnavailable
from agt.transport._fast_stream import fast_connect, fast_stream, on_asyncio
from agt.transport._peer import is_our_user

UNIX_PATH_MAX = 107
"""Bytes that the kernel has room for in the path of a Unix socket."""
BACKLOG = 4096
"""Connections that may wait to be accepted; the kernel lowers it to its own limit."""


class Connection(Protocol):
    """Somewhere to dial."""

    @property
    def address(self) -> str:
        """The place in words, for messages."""
        ...

    async def connect(self, *, timeout_s: float = 5.0) -> ByteStream:
        """Dial and return the connection.

        Raises:
            ConnectionUnavailable: when there is none within the timeout.
        """
        ...


class TCPConnection(msgspec.Struct, frozen=True):
    """A TCP address to dial; small packets leave at once (TCP_NODELAY)."""

    host: str
    port: int

    @property
    def address(self) -> str:
        """The place in words: `host:port`."""
        return f"{self.host}:{self.port}"

    async def connect(self, *, timeout_s: float = 5.0) -> ByteStream:
        """Dial and return the connection.

        Raises:
            ConnectionUnavailable: when there is none within the timeout.
        """
        try:
            with anyio.fail_after(timeout_s):
                stream = await (fast_connect if on_asyncio() else anyio.connect_tcp)(self.host, self.port)
        except TimeoutError as error:
            raise ConnectionUnavailable(self.address, f"no answer within {timeout_s:g} s") from error
        except OSError as error:
            raise ConnectionUnavailable(self.address, _why(error)) from error
        raw_socket = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - a socket, not a database query
        raw_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream


class UnixConnection(msgspec.Struct, frozen=True):
    """A Unix socket to dial."""

    path: str

    @property
    def address(self) -> str:
        """The place in words: the socket's path."""
        return self.path

    async def connect(self, *, timeout_s: float = 5.0) -> ByteStream:
        """Dial and return the connection.

        Raises:
            ConnectionUnavailable: when nobody listens, or another user does, too many wait to be accepted, or the path
                can't be one.
        """
        check_unix_path(self.path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(0)
        try:
            sock.connect(self.path)  # Never waits: on a Unix socket the kernel answers at once.
            if not is_our_user(sock):  # Otherwise anybody could have put a socket of their own there.
                sock.close()
                raise ConnectionUnavailable(self.path, "another user listens there; is it the right path?")
            with anyio.fail_after(timeout_s):
                return await stream_of(sock)
        except TimeoutError as error:
            sock.close()
            raise ConnectionUnavailable(self.path, f"no answer within {timeout_s:g} s") from error
        except OSError as error:
            sock.close()
            raise ConnectionUnavailable(self.path, _why(error)) from error


async def stream_of(connected: socket.socket) -> SocketStream:
    """Make a stream of a connected non-blocking socket, TCP or Unix: the fast kind on asyncio, anyio's elsewhere."""
    if on_asyncio():
        return await fast_stream(connected)
    return await SocketStream.from_socket(connected)


async def listen_tcp(host: str, port: int) -> socket.socket:
    """Listen on one TCP address; port 0 lets the system choose.

    Raises:
        ConnectionUnavailable: when the address is in use, not ours or unknown.
    """
    address = f"{host}:{port}"
    try:
        family, _, _, _, sockaddr = (
            await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        )[0]
    except OSError as error:
        raise ConnectionUnavailable(address, _why(error)) from error
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(sockaddr)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConnectionUnavailable(address, _why(error)) from error
    sock.settimeout(0)
    return sock


def listen_unix(path: str) -> socket.socket:
    """Listen on a Unix socket that only our own user can use (0600); a dead one in its place is removed.

    Raises:
        ConnectionUnavailable: when somebody listens there already, or the path can't be one.
    """
    check_unix_path(path)
    _remove_dead_socket(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        # Nobody can connect before listen(), so there is no moment at which the wider mode could be used.
        os.chmod(path, 0o600)  # noqa: PTH101 - one system call, beside the socket calls it belongs to
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConnectionUnavailable(path, _why(error)) from error
    sock.settimeout(0)
    return sock


def check_unix_path(path: str) -> None:
    """Refuse a path that the kernel has no room for.

    Raises:
        ConnectionUnavailable: naming the length and the limit.
    """
    size = len(os.fsencode(path))
    if size > UNIX_PATH_MAX:
        raise ConnectionUnavailable(
            path, f"the path has {size} bytes and a Unix socket's may have {UNIX_PATH_MAX}; choose a shorter directory"
        )


def _remove_dead_socket(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ConnectionUnavailable(path, "there is a file there that is no socket; move it away")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - one system call, beside the socket calls it belongs to
            return
        except OSError as error:
            raise ConnectionUnavailable(path, _why(error)) from error
    raise ConnectionUnavailable(path, "another process listens there; stop it, or choose another path")


def _why(error: OSError) -> str:
    """Say what went wrong in the system's own words; anyio wraps them once or twice."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return f"{cause.strerror}".lower()
        if isinstance(cause, OSError) and cause.errno is not None:
            return os.strerror(cause.errno).lower()
        cause = cause.exceptions[0] if isinstance(cause, ExceptionGroup) else cause.__cause__
    return str(error) or type(error).__name__

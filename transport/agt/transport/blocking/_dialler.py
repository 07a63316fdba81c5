"""Dials without waiting: every address of a name in turn, within one timeout.

Names are looked up in a short-lived thread of its own, since the system's resolver can only wait, and meanwhile
deadlines must pass; addresses given as numbers and Unix paths need none. Belongs to the I/O thread.
"""

import errno
import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from agt.transport._connections import Connection, check_unix_path
from agt.transport._errors import ConnectionUnavailable
from agt.transport.blocking._engine import clock
from agt.transport.blocking._io_thread import IOThread
from agt.transport.blocking._poller import WRITE

Address: TypeAlias = "tuple[int, str | tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]"
"""Family and what `socket.connect` takes."""
_UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EINTR})


class _HostAndPort(Protocol):
    host: str
    port: int


class Dialler:
    """One attempt to get a connection; `done` is called once, with the socket or with why there is none."""

    def __init__(
        self, io: IOThread, connection: Connection, timeout_s: float, done: Callable[[socket.socket | None, str], None]
    ) -> None:
        """Remember whom to dial."""
        self._io, self._connection, self._done = io, connection, done
        self._timeout_s = timeout_s
        self._addresses: deque[Address] = deque()
        self._socket: socket.socket | None = None
        self._why = "it has no address"
        self._over = False

    def start(self) -> None:
        """Begin to dial."""
        self._alarm = self._io.arm(clock() + self._timeout_s, self._give_up)
        path: str | None = getattr(self._connection, "path", None)
        if path is not None:
            try:
                check_unix_path(path)
            except ConnectionUnavailable as error:
                self._finish(None, error.why)
            else:
                self._found([(socket.AF_UNIX, path)], "")
            return
        host, port = where(self._connection)
        try:
            self._found(look_up(host, port, socket.AI_NUMERICHOST), "")
        except OSError:
            threading.Thread(target=self._look_up, args=(host, port), name="agt-resolve", daemon=True).start()

    def abandon(self) -> None:
        """Give the attempt up without a word."""
        self._over = True
        self._io.cancel(self._alarm)
        self._drop()

    def _look_up(self, host: str, port: int) -> None:
        """In the resolver's thread: ask, and pass the answer on."""
        try:
            addresses, why = look_up(host, port), ""
        except OSError as error:
            addresses, why = [], (error.strerror or str(error)).lower()
        self._io.call(lambda: self._found(addresses, why))

    def _found(self, addresses: Sequence[Address], why: str) -> None:
        self._addresses.extend(addresses)
        self._why = why or self._why
        self._try_next()

    def _try_next(self) -> None:
        while self._addresses and not self._over:
            family, address = self._addresses.popleft()
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.settimeout(0)
            code = sock.connect_ex(address)
            if code in _UNDER_WAY:
                self._socket = sock
                self._io.watch(sock, WRITE, self._on_ready)
                return
            sock.close()
            self._why = os.strerror(code).lower()
        self._finish(None, self._why)

    def _on_ready(self, _events: int) -> None:
        sock = self._socket
        assert sock is not None, "called for a socket that is being connected"
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._drop()
            self._why = os.strerror(code).lower()
            self._try_next()
            return
        self._io.forget(sock)
        self._socket = None
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._finish(sock, "")

    def _give_up(self, _now: float) -> None:
        self._drop()
        self._finish(None, f"no answer within {self._timeout_s:g} s")

    def _drop(self) -> None:
        if self._socket is not None:
            self._io.forget(self._socket)
            self._socket.close()
            self._socket = None

    def _finish(self, sock: socket.socket | None, why: str) -> None:
        if self._over:
            return
        self._over = True
        self._io.cancel(self._alarm)
        self._done(sock, why)


def where(connection: Connection) -> tuple[str, int]:
    """Return a connection's host and port.

    Raises:
        ConnectionUnavailable: when it is of a kind that plain threads can't dial.
    """
    host, port = getattr(connection, "host", None), getattr(connection, "port", None)
    if host is None or port is None:
        raise ConnectionUnavailable(
            connection.address, "the blocking driver dials TCP, TLS and Unix sockets, not this kind of connection"
        )
    return host, port


def look_up(host: str, port: int, flags: int = 0) -> list[Address]:
    """Return the addresses of a name.

    Raises:
        OSError: when there are none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return [(family, address) for family, _, _, _, address in found]

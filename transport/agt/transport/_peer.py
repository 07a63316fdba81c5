"""What the kernel knows about who is calling: the address that a budget is kept for, and a Unix socket's user."""

import contextlib
import ipaddress
import os
import socket
import stat
import struct

from agt.transport._errors import ConnectionUnavailable

UNIX_ADDRESS = "unix"
"""The one address of everybody who calls on a Unix socket; they are all the same user."""
IPV6_HOST_PREFIX = 64
"""Bits of an IPv6 address that tell hosts apart: one host commonly has the rest to choose from."""
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


def budget_address(sock: socket.socket) -> str:
    """Return the address whose budget a caller is in; never raises, a caller may have hung up already."""
    if sock.family == socket.AF_UNIX:
        return UNIX_ADDRESS
    try:
        host = str(sock.getpeername()[0])
        address = ipaddress.ip_address(host.partition("%")[0])
    except (OSError, ValueError):
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_HOST_PREFIX), strict=False))


def has_unread(sock: socket.socket) -> bool:
    """Whether bytes have come that nobody has read; false when that can't be known any more."""
    try:
        return bool(sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


def peer_uid(sock: socket.socket) -> int:
    """Return the user who holds the other end of a Unix socket (SO_PEERCRED).

    Raises:
        OSError: when the kernel can't say.
    """
    _pid, uid, _gid = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)


def is_our_user(sock: socket.socket) -> bool:
    """Whether the other end of a Unix socket belongs to our own user; where that can't be known, it does not."""
    try:
        return peer_uid(sock) == os.getuid()
    except OSError:
        return False


def prepare_socket_directory(path: str) -> None:
    """Make the directory of a Unix socket (0700), or make sure that an existing one is ours alone.

    Raises:
        ConnectionUnavailable: when others could get at the socket or put one in its place, with the way out.
    """
    directory = os.path.dirname(path) or "."  # noqa: PTH120 - paths are str here, as the socket calls take them
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)  # noqa: PTH102 - as above
        found = os.stat(directory)  # noqa: PTH116 - as above
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise ConnectionUnavailable(path, f"its directory {directory} can't be made: {why}") from error
    if found.st_uid != os.getuid():
        raise ConnectionUnavailable(
            path,
            f"its directory {directory} belongs to uid {found.st_uid} and we are {os.getuid()}; use one of our own",
        )
    if open_to := stat.S_IMODE(found.st_mode) & 0o077:
        raise ConnectionUnavailable(
            path, f"its directory {directory} is open to others (mode has {open_to:03o}); `chmod 700` it"
        )

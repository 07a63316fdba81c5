"""The Unix socket of the control API, opened by ourselves so that its mode is right from its first instant.

The file is born with mode 0600 (the mode is set on the descriptor before `bind`, so there is no moment in which others
could connect and no umask to juggle). A socket file that nobody answers on is a crashed supervisor's and is replaced;
one that somebody answers on is left alone.
"""

import contextlib
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_PATH: Final = 107
"""Bytes that a Unix socket's path may have on Linux."""

BACKLOG: Final = 64
_UCRED: Final = struct.Struct("3i")


class SocketUnusable(Exception):
    """Raised when the control socket can't be opened; nothing was changed."""

    def __init__(self, path: Path, reason: str, hint: str) -> None:
        super().__init__(f"{path}: {reason}; {hint}")
        self.path, self.reason, self.hint = path, reason, hint


@dataclass(frozen=True)
class ListeningSocket:
    """An open socket and the file that leads to it."""

    listener: socket.socket
    path: Path
    inode: int

    def close(self) -> None:
        """Close, and remove the file unless another supervisor has taken its place."""
        self.listener.close()
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self.inode:
                self.path.unlink()


def open_socket(path: Path) -> ListeningSocket:
    """Return a listening, non-blocking socket at `path`, mode 0600.

    Raises:
        SocketUnusable: When the path is too long, in use, not a socket, or can't be written.
    """
    if len(os.fsencode(path)) > MAX_PATH:
        raise SocketUnusable(
            path, f"longer than the {MAX_PATH} bytes a socket path may have", "use a shorter run directory"
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)
        _clear_stale(path)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the standard library's own signature.
    except OSError as error:
        listener.close()
        raise SocketUnusable(path, error.strerror or str(error), "check the run directory") from error
    except SocketUnusable:
        listener.close()
        raise
    return ListeningSocket(listener, path, path.stat().st_ino)


def open_tcp(host: str, port: int) -> socket.socket:
    """Return a listening, non-blocking socket at a loopback address.

    Raises:
        SocketUnusable: When the address is in use or isn't there.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - the standard library's own signature.
    except OSError as error:
        listener.close()
        raise SocketUnusable(
            Path(f"{host}:{port}"), error.strerror or str(error), "choose another port with --http"
        ) from error
    return listener


def _clear_stale(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_socket():
        raise SocketUnusable(path, "exists and is no socket", "move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except TimeoutError:
            pass  # Somebody holds it and doesn't accept: in use.
    raise SocketUnusable(path, "a supervisor answers there already", "use that one, or end it with `agt down`")


def peer_uid(connection: socket.socket) -> int:
    """Return the user id of the process at the other end, as the kernel knows it."""
    _pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)

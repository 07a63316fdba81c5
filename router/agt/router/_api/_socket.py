"""A Unix socket that only our own user can reach, and that leaves neither a stale file behind nor takes a live one."""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agt.router._errors import SocketUnusable

SOCKET_PATH_MAX_BYTES: Final = 107
"""Longest path of a Unix socket on Linux."""


@contextlib.contextmanager
def open_socket(path: Path) -> Iterator[socket.socket]:
    """Listen on a Unix socket that only our user can reach; its file goes when the block ends.

    Raises:
        SocketUnusable: when the path is too long, or another process serves there.
    """
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_MAX_BYTES:
        raise SocketUnusable(
            f"socket path is {length} bytes long, Linux allows {SOCKET_PATH_MAX_BYTES}: {path}; choose a shorter folder"
        )
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # Mode 0600 from the first moment on.
    try:
        listening.bind(os.fspath(path))
    except OSError as error:
        listening.close()
        raise SocketUnusable(f"cannot listen on {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    inode = path.stat().st_ino
    try:
        listening.listen(128)
        listening.settimeout(0)
        yield listening
    finally:
        listening.close()
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == inode:  # Not the socket of one who came after us.
                path.unlink()


def _remove_stale(path: Path) -> None:
    """Remove the socket of a dead process; refuse to touch a live one or anything else."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketUnusable(f"cannot listen on {path}: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise SocketUnusable(f"cannot listen on {path}: there is a file that is no socket; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise SocketUnusable(f"another process serves on {path}; stop it first, or choose another run directory")

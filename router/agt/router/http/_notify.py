"""Saying `READY=1` to whoever started us (systemd's sd_notify protocol), and nothing when nobody asked."""

import contextlib
import os
import socket


def notify(text: str) -> None:
    """Send a state to `$NOTIFY_SOCKET`; a no-op without one, and when nobody listens there any more."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto(text.encode(), address)

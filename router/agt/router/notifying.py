"""Saying `READY=1` to whoever started us (systemd's sd_notify protocol), and nothing when nobody asked."""

import os
import socket
import threading
import time
from typing import Final

AGAIN_S: Final = 0.1
AGAIN_FOR_S: Final = 60.0
"""A supervisor may have died just now: the next one binds the same address, and has to hear it too."""


def notify(text: str) -> None:
    """Send a state to `$NOTIFY_SOCKET`: a no-op without one, said again for a while when nobody listens there now."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    if not _said(text, address):
        threading.Thread(target=_say_again, args=(text, address), name="notify", daemon=True).start()


def _said(text: str, address: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.sendto(text.encode(), address)
    except OSError:
        return False
    return True


def _say_again(text: str, address: str) -> None:
    deadline = time.monotonic() + AGAIN_FOR_S
    while not _said(text, address) and time.monotonic() < deadline:
        time.sleep(AGAIN_S)

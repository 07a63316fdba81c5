"""Tell a service manager how we are (systemd's sd_notify): READY=1, WATCHDOG=1, STOPPING=1, each with a line of status.

Nothing is said where nobody listens: without NOTIFY_SOCKET every call is a no-op, and a manager that has gone never
stops us. The watchdog is fed from the event loop, so that a loop that hangs is noticed and the supervisor restarted;
the components go on meanwhile, and the next one adopts them.
"""

import os
import socket
from collections.abc import Mapping
from typing import Final

import anyio

STATUS_MAX: Final = 200
"""Bytes of a status line; a manager shows one line."""


class ServiceManager:
    """Who started us, if it wants to hear of us."""

    def __init__(self, environment: Mapping[str, str] = os.environ, *, pid: int | None = None) -> None:
        """Read where to speak and how often; `pid` is ours."""
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self.watchdog_s = _watchdog_s(environment, os.getpid() if pid is None else pid)
        """How long we may be silent; None when nobody watches."""

    @property
    def listens(self) -> bool:
        """Whether there is anybody to tell."""
        return self._address is not None

    def ready(self, status: str) -> None:
        """Say that we have started."""
        self._say("READY=1", f"STATUS={status[:STATUS_MAX]}")

    def stopping(self, status: str) -> None:
        """Say that we end on purpose."""
        self._say("STOPPING=1", f"STATUS={status[:STATUS_MAX]}")

    def alive(self) -> None:
        """Say that we still live."""
        self._say("WATCHDOG=1")

    async def keep_alive(self) -> None:
        """Say so twice as often as it is wanted, until cancelled; return at once when nobody watches."""
        if self.watchdog_s is None or not self.listens:
            return
        while True:
            self.alive()
            await anyio.sleep(self.watchdog_s / 2)

    def _say(self, *lines: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as speaker:
                speaker.sendto("\n".join(line.replace("\n", " ") for line in lines).encode(), self._address)
        except OSError:
            return  # Whoever doesn't listen hears nothing; we have devices to serve.


def _address(text: str) -> str | None:
    """A path, or a name in the abstract namespace, which begins with an `@`; other kinds are not for us."""
    if text.startswith("@"):
        return f"\0{text[1:]}"
    return text if text.startswith("/") else None


def _watchdog_s(environment: Mapping[str, str], pid: int) -> float | None:
    wanted, whose = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", str(pid))
    if not (wanted.isascii() and wanted.isdigit()) or whose != str(pid) or int(wanted) == 0:
        return None
    return int(wanted) / 1e6

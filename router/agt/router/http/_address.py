"""Where something listens: a host and a port, or a Unix socket; written as an address or as a URL."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

SOCKET_PATH_MAX_BYTES: Final = 107
"""Longest path of a Unix socket on Linux."""
_HOST_PORT: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.\-_]+):(?P<port>[0-9]{1,5})/?")


@dataclass(frozen=True, slots=True)
class Address:
    """One address; `path` is set for a Unix socket and the others are not."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `HOST:PORT`, `http://HOST:PORT` or `unix:PATH`.

        Raises:
            ValueError: saying what is wrong with it.
        """
        if text.startswith("unix:"):
            path = text.removeprefix("unix:")
            if not path or len(path.encode()) > SOCKET_PATH_MAX_BYTES:
                raise ValueError(f"{text!r} needs a path of 1 to {SOCKET_PATH_MAX_BYTES} bytes behind unix:")
            return cls(path=path)
        found = _HOST_PORT.fullmatch(text.removeprefix("http://"))
        if found is None or int(found["port"]) > 65_535:
            raise ValueError(f"{text!r} is no address; write HOST:PORT or unix:PATH")
        return cls(host=found["host"].strip("[]"), port=int(found["port"]))

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def authority(self) -> str:
        """What `Host` says where a caller said nothing."""
        if self.path:
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else self.authority


def address_problem(text: str, *, scheme: str) -> str:
    """Return what is wrong with an address; `scheme` is what must stand before a host."""
    if text.startswith("https://"):
        return "TLS to a service isn't spoken here; put a local proxy between, or use http://"
    if not text.startswith("unix:") and text.startswith("http://") != bool(scheme):
        return f"{text!r} is no address; write {scheme}HOST:PORT or unix:PATH"
    try:
        address = Address.parse(text)
    except ValueError as error:
        return str(error)
    if scheme and not address.path and address.port == 0:
        return "needs a port"
    return ""

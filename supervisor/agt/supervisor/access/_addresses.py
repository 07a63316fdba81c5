"""Where the control API may listen on TCP, and which requests really mean it.

Only loopback: there is no TLS here, and what has to be reached from elsewhere has an SSH tunnel. A browser on this
machine can be talked into sending requests to loopback; the two ways are closed. DNS rebinding (a page of evil.example
whose name turns into 127.0.0.1) shows in the Host header, which has to be an address of ours. A request of another
page's script or form shows in Origin or Sec-Fetch-Site.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final

PORT_MAX: Final = 65_535


class AddressInvalid(ValueError):
    """Raised when the control API can't listen there; the message says why and what to write instead."""


class Misdirected(Exception):
    """Raised when a request was not meant for us, or a page made somebody's browser send it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


def parse_address(text: str) -> tuple[str, int]:
    """Return the loopback address and port of `127.0.0.1:8642` or `[::1]:8642`; port 0 takes any that is free.

    Raises:
        AddressInvalid: for any other address.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not (port.isascii() and port.isdigit()) or int(port[:6]) > PORT_MAX:
        raise AddressInvalid(f"{text!r} is no address; write 127.0.0.1:8642, say")
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise AddressInvalid(f"{host!r} is no IP address; write 127.0.0.1:{port}") from None
    if not address.is_loopback:
        raise AddressInvalid(
            f"{host} can be reached from other machines, and the control API speaks no TLS; listen on "
            f"127.0.0.1:{port} and come through `ssh -L {port}:127.0.0.1:{port}`"
        )
    return str(address), int(port)


class OriginCheck:
    """Tells requests that mean this listener from those that a web page was made to send."""

    def __init__(self, host: str, port: int) -> None:
        own = f"[{host}]" if ":" in host else host
        names = {own, "localhost", "127.0.0.1", "[::1]"}
        self._hosts = {f"{name}:{port}".encode() for name in names}
        if port == 80:
            self._hosts |= {name.encode() for name in names}
        self._origins = {b"http://" + name for name in self._hosts}

    def check(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Check Host, Origin and Sec-Fetch-Site; header names are lower case.

        Raises:
            Misdirected: with the status to answer.
        """
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise Misdirected(421, "the Host header names another host; ask for 127.0.0.1 or localhost and the port")
        origins = [value for name, value in headers if name == b"origin"]
        if any(value.lower() not in self._origins for value in origins):
            raise Misdirected(403, "the Origin header names another page")
        sites = [value for name, value in headers if name == b"sec-fetch-site"]
        if any(value not in (b"same-origin", b"none") for value in sites):
            raise Misdirected(403, "the request was sent by another page")

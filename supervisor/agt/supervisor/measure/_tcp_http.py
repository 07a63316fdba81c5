"""One form posted to an HTTP server on TCP, bounded in time and size; TLS where the address says `https`.

A plain `Connection: close` exchange, as for the routers' sockets: a Prometheus server is asked once a check, and that
is no reason to load an HTTP library, its pools and its proxies.
"""

import ssl
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit

import anyio
from anyio.abc import ByteStream

from agt.supervisor.measure._unix_http import RequestFailed, Response, parse_response, receive_all

_PORTS: Final = {"http": 80, "https": 443}


def split_address(url: str) -> SplitResult:
    """Take an address apart.

    Raises:
        ValueError: if it is no `http://` or `https://` address of a host, or carries a query or a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname or not url.isprintable() or " " in url:
        raise ValueError(f"{url!r} is no address such as 'http://127.0.0.1:9090'")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{parts.hostname}: neither a query nor a password belongs into the address")
    _ = parts.port  # Raises when it is no port.
    return parts


async def post_form(url: str, path: str, form: dict[str, str], *, token: str = "", timeout_s: float = 2.0) -> Response:
    """Post a form to `path` below the address and return the answer.

    Args:
        url: The server, `http://127.0.0.1:9090`.
        path: What is asked, `/api/v1/query`.
        form: The fields.
        token: Sent as a bearer token when it isn't empty.
        timeout_s: Seconds for all of it together.

    Raises:
        RequestFailed: if there is no whole answer within `timeout_s` seconds.
        ValueError: if the address is none.
    """
    parts = split_address(url)
    who, body = Path(parts.netloc), urlencode(form).encode()
    lines = [
        f"POST {parts.path.rstrip('/')}{path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Connection: close",
        "Accept: application/json",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
    ]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    message = "\r\n".join([*lines, "", ""]).encode() + body
    try:
        with anyio.fail_after(timeout_s):
            async with await _connected(parts) as stream:
                await stream.send(message)
                received = await receive_all(who, stream)
    except TimeoutError:
        raise RequestFailed(who, f"doesn't answer within {timeout_s:g} s") from None
    except ssl.SSLError as error:
        raise RequestFailed(who, f"can't be trusted: {error.reason or error}") from error
    except (OSError, anyio.BrokenResourceError) as error:
        raise RequestFailed(who, "can't be reached") from error
    return parse_response(who, received)


async def _connected(parts: SplitResult) -> ByteStream:
    assert parts.hostname, "an address was taken apart before it is connected to"
    port = parts.port or _PORTS[parts.scheme]
    if parts.scheme == "https":
        return await anyio.connect_tcp(parts.hostname, port, tls=True, tls_standard_compatible=False)
    return await anyio.connect_tcp(parts.hostname, port)

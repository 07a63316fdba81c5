"""One request to an HTTP server on a Unix socket, bounded in time and size.

Routers are asked several times a second, and going back must not wait for a connection pool or an import; so
this is a plain `Connection: close` exchange on anyio's streams, the same on asyncio and trio.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import ByteStream

from agt.transport import ConnectionUnavailable, UnixConnection

RESPONSE_MAX_BYTES: Final = 8 << 20
"""A larger answer is refused."""
_STATUS: Final = re.compile(r"[1-5][0-9]{2}")


class RequestFailed(Exception):
    """Raised when a router doesn't answer, answers too late, or answers nonsense."""

    def __init__(self, socket: Path, says: str) -> None:
        super().__init__(f"{socket.name} {says}")
        self.socket, self.says = socket, says


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the server did what was asked."""
        return 200 <= self.status < 300


async def request(
    socket: Path, method: str, target: str, *, body: bytes = b"", content_type: str = "", timeout_s: float = 1.0
) -> Response:
    """Send one request and return its answer.

    Raises:
        RequestFailed: if there is none within `timeout_s` seconds, or it is no HTTP.
    """
    assert target.isprintable(), "targets are ours, or quoted"
    assert " " not in target, "a target is one word"
    lines = [f"{method} {target} HTTP/1.1", "Host: agt", "Connection: close", f"Content-Length: {len(body)}"]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    message = "\r\n".join([*lines, "", ""]).encode() + body
    try:
        with anyio.fail_after(timeout_s):
            async with await UnixConnection(str(socket)).connect(timeout_s=timeout_s) as stream:
                await stream.send(message)
                received = await receive_all(socket, stream)
    except TimeoutError:
        raise RequestFailed(socket, f"doesn't answer within {timeout_s:g} s") from None
    except (ConnectionUnavailable, OSError, anyio.BrokenResourceError) as error:
        raise RequestFailed(socket, "can't be reached: is the gateway running?") from error
    return parse_response(socket, received)


async def receive_all(socket: Path, stream: ByteStream) -> bytes:
    """Read until the server hangs up.

    Raises:
        RequestFailed: when that is more than `RESPONSE_MAX_BYTES`.
    """
    received = bytearray()
    while True:
        try:
            received += await stream.receive()
        except anyio.EndOfStream:
            return bytes(received)
        if len(received) > RESPONSE_MAX_BYTES:
            raise RequestFailed(socket, f"answers more than {RESPONSE_MAX_BYTES >> 20} MiB")


def parse_response(socket: Path, received: bytes) -> Response:
    """Read a whole answer.

    Raises:
        RequestFailed: when it is no HTTP, or only a part of it.
    """
    head, separator, body = received.partition(b"\r\n\r\n")
    status_line, *header_lines = head.decode("latin-1").split("\r\n")
    words = status_line.split(" ", 2)
    if not separator or not words[0].startswith("HTTP/1.") or len(words) < 2 or not _STATUS.fullmatch(words[1]):
        raise RequestFailed(socket, "answers something that is no HTTP")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in header_lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = _unchunked(socket, body)
    elif headers.get("content-length", str(len(body))) != str(len(body)):
        raise RequestFailed(socket, "broke off in the middle of its answer")
    return Response(int(words[1]), body)


def _unchunked(socket: Path, body: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        line, separator, rest = body.partition(b"\r\n")
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            size = -1
        if not separator or size < 0 or len(rest) < size:
            raise RequestFailed(socket, "broke off in the middle of its answer")
        if size == 0:
            return b"".join(parts)
        parts.append(rest[:size])
        body = rest[size + 2 :]

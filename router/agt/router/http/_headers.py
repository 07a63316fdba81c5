"""Headers on their way through: what stays behind, and what is added, in both directions.

What speaks of one connection alone stays behind (RFC 9110, 7.6.1). A caller may name further headers in `Connection`,
but not such as a service decides by: else a caller could take away what another proxy vouched for.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

RawHeaders = Sequence[tuple[bytes, bytes]]

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_FORWARDED: Final = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})
_OURS: Final = b"x-agt-"
_KEPT: Final = frozenset({b"authorization", b"content-length", b"content-type", b"cookie", b"host"}) | _FORWARDED
"""Headers that no caller can have dropped by naming them in `Connection`."""
RUNTIME: Final = b"x-agt-runtime"
"""Which runtime answered."""
MIRRORED: Final = (b"x-agt-mirror", b"1")
"""What marks a request as a mirrored one."""


def upstream_headers(
    headers: RawHeaders, *, caller: str, scheme: str, trusted: bool, authority: str
) -> list[tuple[bytes, bytes]]:
    """Return the headers for a service.

    Args:
        headers: The caller's, names in lower case.
        caller: Its address; empty when it has none (a Unix socket).
        scheme: `http` or `https`.
        trusted: Whether what it says about whom it forwards for is continued.
        authority: The service's own name, for callers that gave none (HTTP/1.0).
    """
    left_behind = HOP_BY_HOP | _named_in_connection(headers) | {b"expect"}
    if not trusted:
        left_behind |= _FORWARDED
    kept = [(name, value) for name, value in headers if name not in left_behind and not name.startswith(_OURS)]
    if _chunked(headers):
        kept.append((b"transfer-encoding", b"chunked"))
    host = first(headers, b"host")
    if host is None:
        host = authority.encode()
        kept.insert(0, (b"host", host))
    kept += _forwarded(headers, caller=caller or "unknown", scheme=scheme, host=host, trusted=trusted)
    return kept


def caller_headers(headers: RawHeaders) -> list[tuple[bytes, bytes]]:
    """Return a service's headers for the caller, without what speaks of our connection to it."""
    left_behind = HOP_BY_HOP | _named_in_connection(headers) | {RUNTIME}
    return [(name, value) for name, value in headers if name not in left_behind]


def first(headers: RawHeaders, name: bytes) -> bytes | None:
    """Return a header's first value."""
    return next((value for found, value in headers if found == name), None)


def tokens(headers: RawHeaders, name: bytes) -> Iterator[bytes]:
    """Yield the members of a header that is a list, in lower case."""
    for found, value in headers:
        if found == name:
            yield from (token.strip().lower() for token in value.split(b",") if token.strip())


def body_announced(headers: RawHeaders) -> bool:
    """Tell whether a request brings a body."""
    length = first(headers, b"content-length")
    return _chunked(headers) or length not in (None, b"0")


def framing_problem(headers: RawHeaders) -> str:
    """Return why the end of a request can't be told for sure (request smuggling); empty when it can."""
    lengths = {value for name, value in headers if name == b"content-length"}
    if lengths and _chunked(headers):
        return "the request has both Content-Length and Transfer-Encoding"
    if len(lengths) > 1:
        return "the request has two values of Content-Length"
    if sum(name == b"host" for name, _ in headers) > 1:
        return "the request has more than one Host"
    return ""


def wants_websocket(headers: RawHeaders) -> bool:
    """Tell whether a request asks for a WebSocket."""
    return b"websocket" in tokens(headers, b"upgrade") and b"upgrade" in tokens(headers, b"connection")


def _chunked(headers: RawHeaders) -> bool:
    return any(name == b"transfer-encoding" for name, _ in headers)


def _named_in_connection(headers: RawHeaders) -> frozenset[bytes]:
    return frozenset(tokens(headers, b"connection")) - _KEPT


def _forwarded(
    headers: RawHeaders, *, caller: str, scheme: str, host: bytes, trusted: bool
) -> Iterable[tuple[bytes, bytes]]:
    """Add who asked, how and for what, in the usual way and in RFC 7239's."""
    node = f'"[{caller}]"' if ":" in caller else caller
    said = f'for={node};proto={scheme};host="{_quoted(host)}"'.encode("latin-1")
    if not trusted or first(headers, b"x-forwarded-for") is None:
        yield b"x-forwarded-for", caller.encode("latin-1")
        yield b"x-forwarded-host", host
        yield b"x-forwarded-proto", scheme.encode("latin-1")
    else:
        # Another line of a list header continues the list (RFC 9110, 5.3).
        yield b"x-forwarded-for", caller.encode("latin-1")
    yield b"forwarded", said


def _quoted(host: bytes) -> str:
    return host.decode("latin-1").replace("\\", "\\\\").replace('"', '\\"')

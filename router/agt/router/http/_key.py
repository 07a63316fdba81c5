"""Whose a request is: the key by which the selector places it.

The places of `[[key]]` are asked in order, and the first that says something usable counts. A key that comes twice with
two values is refused rather than chosen from: what we would place by one, a service might serve by the other.
"""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import cookie_parser

from agt.router.http._config import KEY_COOKIE, KeySource
from agt.router.http._pattern import PathPattern

RawHeaders = Sequence[tuple[bytes, bytes]]
QUERY_FIELDS_MAX: Final = 100
"""Parameters of a query that are looked at; one with more has no key."""
_OWN: Final = re.compile(r"[0-9a-f]{32}")


class KeyAmbiguous(Exception):
    """Raised when a request names two different keys in one place."""

    def __init__(self, place: str) -> None:
        super().__init__(f"the request names two different keys in {place}")
        self.place = place


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    name: str
    """The key; empty for a caller who stays on control."""
    lasting: bool = True
    """Whether the same caller will come again under this name."""
    set_cookie: bytes = b""
    """The `Set-Cookie` that lets an anonymous caller keep its name."""


_Read = Callable[[str, bytes, RawHeaders], Iterator[str]]


class Keys:
    """Finds the key of each request.

    Args:
        sources: The places, in order.
        anonymous: `control`, `cookie` or `request`, as `HttpConfig.anonymous` says.
        key_max: Longest key in characters.
    """

    def __init__(self, sources: Sequence[KeySource], *, anonymous: str = "control", key_max: int = 256) -> None:
        self._readers = tuple(_reader(source, key_max) for source in sources)
        self._anonymous = anonymous
        self._own: _Read | None = partial(_cookies, KEY_COOKIE) if anonymous == "cookie" else None
        self._placed = 0
        self._instance = secrets.token_hex(4)

    def of(self, path: str, query: bytes, headers: RawHeaders) -> Caller:
        """Return who asks; `headers` have names in lower case.

        Raises:
            KeyAmbiguous: when one place names two keys.
        """
        for read in self._readers:
            name = read(path, query, headers)
            if name:
                return Caller(name)
        if self._own is not None:
            return self._by_cookie(self._own, path, query, headers)
        if self._anonymous == "request":
            self._placed += 1
            return Caller(f"request-{self._instance}-{self._placed}", lasting=False)
        return Caller("", lasting=False)

    def _by_cookie(self, read: _Read, path: str, query: bytes, headers: RawHeaders) -> Caller:
        given = next((value for value in read(path, query, headers) if _OWN.fullmatch(value)), "")
        if given:
            return Caller(given)
        fresh = secrets.token_hex(16)
        # Not remembered until it comes back: a caller who keeps no cookies would fill the memory with names.
        cookie = f"{KEY_COOKIE}={fresh}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"
        return Caller(fresh, lasting=False, set_cookie=cookie.encode())


def _reader(source: KeySource, key_max: int) -> Callable[[str, bytes, RawHeaders], str]:
    """Return a function that reads one place: the key, or an empty string."""
    if source.header:
        place, read = f"header {source.header}", partial(_headers, source.header.lower().encode())
    elif source.cookie:
        place, read = f"cookie {source.cookie}", partial(_cookies, source.cookie)
    elif source.query:
        place, read = f"query parameter {source.query}", partial(_queries, source.query)
    else:
        place, read = "the path", partial(_paths, PathPattern(source.path))
    digest = bool(source.cookie) if source.digest is None else source.digest
    prefix = source.header or source.cookie or source.query or "path"

    def read_one(path: str, query: bytes, headers: RawHeaders) -> str:
        found = {value for value in read(path, query, headers) if value}
        if len(found) > 1:
            raise KeyAmbiguous(place)
        if not found:
            return ""
        value = found.pop()
        if len(value) > key_max or not value.isprintable():
            return ""
        return f"{prefix}-{_digest(value)}" if digest else value

    return read_one


def _digest(value: str) -> str:
    return hashlib.blake2b(value.encode(), digest_size=8).hexdigest()


def _headers(name: bytes, _path: str, _query: bytes, headers: RawHeaders) -> Iterator[str]:
    return (value.decode("latin-1").strip() for header, value in headers if header == name)


def _cookies(name: str, _path: str, _query: bytes, headers: RawHeaders) -> Iterator[str]:
    for header, value in headers:
        if header == b"cookie":
            # One by one, since a dictionary of all would hide that a name came twice.
            for chunk in value.decode("latin-1").split(";"):
                yield from (given for found, given in cookie_parser(chunk).items() if found == name)


def _queries(name: str, _path: str, query: bytes, _headers: RawHeaders) -> Iterator[str]:
    if not query:
        return iter(())
    try:
        fields = parse_qsl(query.decode("latin-1"), max_num_fields=QUERY_FIELDS_MAX)
    except ValueError:
        return iter(())
    return (value for found, value in fields if found == name)


def _paths(pattern: PathPattern, path: str, _query: bytes, _headers: RawHeaders) -> Iterator[str]:
    found = pattern.match(path)
    return iter((found["key"],) if found else ())

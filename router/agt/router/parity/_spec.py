"""A source as it is written: a short text on the command line, a text or a table in a file.

| text | source |
|---|---|
| `cmd:agtmux list_panes --json` | a command, split as a shell would, run without one |
| `unix:/run/v4.sock?send=list_panes` | a Unix socket; `read=document`, `lines` or `end` says where the answer ends |
| `tcp:127.0.0.1:9000?send=list_panes` | a TCP port, the same way |
| `http://127.0.0.1:8000/panes`, `https://...` | HTTP |
| `http+unix:/run/v4.sock?path=/panes` | HTTP on a Unix socket |
| `file:panes.json` | a file |
| `function:package.module:name` | a Python function |
"""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Meta

from agt.router._problem import Problem, nearest
from agt.router.parity._command import CommandSource
from agt.router.parity._http import HttpSource
from agt.router.parity._json import DOCUMENT_MAX_BYTES
from agt.router.parity._local import FileSource, ImportedSource
from agt.router.parity._socket import Reading, tcp_source, unix_source
from agt.router.parity._source import TIMEOUT_S, Limits, Source
from agt.router.parity._values import shown

SPEC_MAX: Final = 4096
"""Characters of a source on the command line."""
_OPTIONS: Final = {"unix": ("send", "read"), "tcp": ("send", "read"), "http+unix": ("path", "method")}
_READINGS: Final[tuple[Reading, ...]] = ("document", "lines", "end")


class SourceSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an answer comes from: one of `command`, `unix`, `tcp`, `http`, `file` and `function`.

    `http` may stand with the `unix` socket that it goes over.
    """

    command: tuple[str, ...] = ()
    """The words of a command; `{seed}` and `{name}` stand for those of a suite's request."""
    unix: str = ""
    """Path of a Unix socket."""
    tcp: str = ""
    """`HOST:PORT`."""
    http: str = ""
    """An address, `http://` or `https://`."""
    file: str = ""
    """Path of a file."""
    function: str = ""
    """`package.module:name` of a Python function."""
    send: str = ""
    """Sockets: the line to say."""
    read: Reading = "document"
    """Sockets: where the answer ends: with its `document`, with an empty line (`lines`), or with the connection
    (`end`)."""
    method: str = "GET"
    """HTTP."""
    headers: dict[str, str] = {}
    """HTTP; a value `env:NAME` is taken from that variable."""
    body: str = ""
    """HTTP."""
    timeout_s: Annotated[float, Meta(gt=0, le=3600)] = TIMEOUT_S
    """Longest wait for an answer."""
    max_bytes: Annotated[int, Meta(gt=0, le=1 << 30)] = DOCUMENT_MAX_BYTES
    """Largest answer."""


def parse_source(text: str) -> SourceSpec:
    """Read a source's short text.

    Raises:
        ValueError: when it is none; the message says what to write.
    """
    if len(text) > SPEC_MAX or "\0" in text:
        raise ValueError(f"a source is at most {SPEC_MAX} characters, and text")
    kind, colon, rest = text.partition(":")
    if not colon or kind not in _READERS:
        kinds = ", ".join(f"{name}:" for name in _READERS)
        raise ValueError(f"{shown(text)} is no source; it starts with one of {kinds}")
    if not rest:
        raise ValueError(f"{kind}: says nothing about where; see `agt parity --help`")
    spec = _READERS[kind](text, rest)
    problem = next(check_source(spec, ""), None)
    if problem is not None:
        raise ValueError(problem.says)
    return spec


def check_source(spec: SourceSpec, key: str) -> Iterator[Problem]:
    """Yield what is wrong with a source beyond its shape."""
    kinds = ("command", "unix", "tcp", "http", "file", "function")
    given = [name for name in kinds if getattr(spec, name)]
    if len(given) != 1 and given != ["unix", "http"]:
        yield Problem(key, f"needs one of {', '.join(kinds)}; it has {' and '.join(given) or 'none'}")
    if spec.tcp and _host_port(spec.tcp) is None:
        yield Problem(key, f"{shown(spec.tcp)} is no HOST:PORT, such as 127.0.0.1:9000")
    if spec.http and not _is_address(spec.http):
        yield Problem(key, f"{shown(spec.http)} is no address, such as http://127.0.0.1:8000/panes")
    if spec.function and not all(part.replace(".", "").isidentifier() for part in _halves(spec.function)):
        yield Problem(key, f"{shown(spec.function)} names no function; write package.module:name")
    if "\n" in spec.send:
        yield Problem(key, "send is one line")


def make_source(spec: SourceSpec, *, base: Path | None = None) -> Source:
    """Make a source; paths of files are taken from `base`, a parity file's folder say.

    Never fails: what isn't there, a module too, is found out when the source is asked.
    """
    limits = Limits(timeout_s=spec.timeout_s, max_bytes=spec.max_bytes)
    if spec.http:
        return HttpSource(
            spec.http, method=spec.method, headers=spec.headers, body=spec.body, unix=spec.unix, limits=limits
        )
    if spec.unix:
        return unix_source(spec.unix, send=spec.send, read=spec.read, limits=limits)
    if spec.tcp:
        where = _host_port(spec.tcp)
        assert where is not None, "checked when it was read"
        return tcp_source(*where, send=spec.send, read=spec.read, limits=limits)
    if spec.file:
        return FileSource((base or Path()) / spec.file, limits=limits)
    if spec.function:
        return ImportedSource(spec.function, limits=limits)
    return CommandSource(spec.command, limits=limits)


def _command(_: str, rest: str) -> SourceSpec:
    try:
        words = tuple(shlex.split(rest))
    except ValueError as error:
        raise ValueError(f"the command can't be split: {str(error).lower()}") from None
    return SourceSpec(command=words)


def _unix(_: str, rest: str) -> SourceSpec:
    path, options = _options("unix", rest)
    return SourceSpec(unix=path, send=options.get("send", ""), read=_reading(options))


def _tcp(_: str, rest: str) -> SourceSpec:
    where, options = _options("tcp", rest)
    return SourceSpec(tcp=where, send=options.get("send", ""), read=_reading(options))


def _http(text: str, _: str) -> SourceSpec:
    return SourceSpec(http=text)


def _http_unix(_: str, rest: str) -> SourceSpec:
    path, options = _options("http+unix", rest)
    target = options.get("path", "/")
    return SourceSpec(
        unix=path, http=f"http://localhost/{target.removeprefix('/')}", method=options.get("method", "GET")
    )


def _file(_: str, rest: str) -> SourceSpec:
    return SourceSpec(file=rest)


def _function(_: str, rest: str) -> SourceSpec:
    return SourceSpec(function=rest)


_READERS: Final[dict[str, Callable[[str, str], SourceSpec]]] = {
    "cmd": _command,
    "unix": _unix,
    "tcp": _tcp,
    "http": _http,
    "https": _http,
    "http+unix": _http_unix,
    "file": _file,
    "function": _function,
}


def _options(kind: str, rest: str) -> tuple[str, dict[str, str]]:
    """Split `where?name=value&...`; only the kind's own names are taken."""
    where, _, query = rest.partition("?")
    try:
        found = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=10))
    except ValueError:
        raise ValueError(f"{shown(query)} is no list of options; write name=value&name=value") from None
    for name in found:
        if name not in _OPTIONS[kind]:
            raise ValueError(f"{kind}: has no option {shown(name)}; {nearest(name, _OPTIONS[kind])}")
    return where, found


def _reading(options: dict[str, str]) -> Reading:
    word = options.get("read", "document")
    for one in _READINGS:
        if word == one:
            return one
    raise ValueError(f"read={shown(word)} is no way to read; {nearest(word, _READINGS)}")


def _host_port(text: str) -> tuple[str, int] | None:
    host, _, port = text.rpartition(":")
    good = host and port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536
    return (host.strip("[]"), int(port)) if good else None


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def _halves(path: str) -> tuple[str, str]:
    module, _, name = path.partition(":")
    return module, name

"""From `http.toml` to an `HttpConfig`, with everything that is wrong said at once."""

import os
import re
import tomllib
import typing
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from agt.router._errors import RouterError
from agt.router._problem import Problem, nearest
from agt.router.http._address import Address, address_problem
from agt.router.http._config import HttpConfig, Retired, RouteRule
from agt.router.http._pattern import pattern_problem
from agt.router.shadow._rules import check_rules

CONFIG_MAX_BYTES: Final = 1 << 20
"""Largest file that is read."""
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PLACES: Final = ("header", "cookie", "path", "query")


class HttpConfigInvalid(RouterError):
    """Raised when a configuration of the adapter can't be used; it carries every problem, not only the first."""

    def __init__(self, origin: str, problems: tuple[Problem, ...]) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{origin} has {len(problems)} problem{'s' if len(problems) != 1 else ''}:{lines}")
        self.origin, self.problems = origin, problems


def load_http_config(path: Path | str) -> HttpConfig:
    """Read a file.

    Raises:
        HttpConfigInvalid: with every problem that was found.
    """
    origin = os.fspath(path)
    try:
        with Path(path).open("rb") as file:
            text = file.read(CONFIG_MAX_BYTES + 1)
    except OSError as error:
        says = f"can't be read: {error.strerror or error}"
        raise HttpConfigInvalid(origin, (Problem("", says),)) from error
    return parse_http_config(text, origin=origin)


def parse_http_config(text: str | bytes, *, origin: str = "http.toml") -> HttpConfig:
    """Read the text of a file.

    Raises:
        HttpConfigInvalid: with every problem that was found.
    """
    data = _decode(text, origin)
    problems = tuple(_shape("", data, HttpConfig))
    if not problems:
        config = msgspec.convert(data, HttpConfig)
        problems = tuple(problem for check in _MEANINGS for problem in check(config))
        if not problems:
            return config
    raise HttpConfigInvalid(origin, problems)


def _decode(text: str | bytes, origin: str) -> dict[str, Any]:
    says = f"is larger than {CONFIG_MAX_BYTES} bytes"
    if len(text) <= CONFIG_MAX_BYTES:
        try:
            return tomllib.loads(text.decode() if isinstance(text, bytes) else text)
        except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors.
            says = f"is not TOML: {error}"
        except RecursionError:
            says = "is not TOML: nested too deeply"
    raise HttpConfigInvalid(origin, (Problem("", says),))


def _shape(at: str, value: object, kind: Any) -> Iterator[Problem]:
    """Walk a table key by key: msgspec alone would stop at the first problem."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _table(at, value, kind)
    elif origin is tuple and isinstance(inner[0], type) and issubclass(inner[0], msgspec.Struct):
        if not isinstance(value, list):
            yield Problem(at, f"must be an array of tables: [[{at}]]")
            return
        for index, item in enumerate(value):
            yield from _shape(f"{at}[{index}]", item, inner[0])
    elif origin is dict and isinstance(value, dict):
        for name, item in value.items():
            yield from _shape(f"{at}.{name}", item, inner[1])
    else:
        yield from _value(at, value, kind)


def _table(at: str, value: object, kind: type[msgspec.Struct]) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(at, f"must be a table: [{at}]")
        return
    fields = _fields(kind)
    prefix = f"{at}." if at else ""
    for key, given in value.items():
        if key in fields:
            yield from _shape(f"{prefix}{key}", given, fields[key].type)
        else:
            yield Problem(f"{prefix}{key}", f"unknown key; {nearest(key, fields)}")
    for name, field in fields.items():
        if field.required and name not in value:
            yield Problem(f"{prefix}{name}", "is missing")


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return a table's fields by key; asking msgspec anew each time would take a millisecond a table."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _value(at: str, value: object, kind: Any) -> Iterator[Problem]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        says, _, where = str(error).partition(" - at `$")
        yield Problem(f"{at}{where.removesuffix('`')}", says[:1].lower() + says[1:])


def _runtimes_answer(config: HttpConfig) -> Iterator[Problem]:
    names = (config.runtimes.control, config.runtimes.candidate)
    if names[0] == names[1]:
        yield Problem("runtimes.candidate", "is the control's name too; the two runtimes need different names")
    for name in config.upstreams:
        if name not in names:
            yield Problem(f"upstreams.{name}", f"unknown runtime; {nearest(name, names)}")
    for name in names:
        if name not in config.upstreams:
            yield Problem(f"upstreams.{name}", f"is missing: write [upstreams.{name}] with url")
    for index, retired in enumerate(config.retired):
        if retired.runtime and retired.runtime not in names:
            says = f"unknown runtime {retired.runtime!r}; {nearest(retired.runtime, names)}"
            yield Problem(f"retired[{index}].runtime", says)


def _addresses_exist(config: HttpConfig) -> Iterator[Problem]:
    says = address_problem(config.listen.address, scheme="")
    if says:
        yield Problem("listen.address", says)
    elif not config.listen.public and not Address.parse(config.listen.address).is_local:
        yield Problem("listen.address", "is open beyond this machine; write public = true if that is meant")
    seen: dict[str, str] = {}
    for name, upstream in config.upstreams.items():
        for key, url in (("url", upstream.url), ("twin", upstream.twin)):
            if key == "twin" and not url:
                continue
            at = f"upstreams.{name}.{key}"
            says = address_problem(url, scheme="http://")
            if says:
                yield Problem(at, says)
            elif url in seen:
                yield Problem(at, f"is the same as {seen[url]}; each service has its own")
            seen.setdefault(url, at)
        for old, new in upstream.rewrite.items():
            if not all(re.fullmatch(r"/([!-~]*/)?", path) for path in (old, new)):
                says = f"{old!r} = {new!r} must both begin and end with a slash, without spaces"
                yield Problem(f"upstreams.{name}.rewrite", says)


def _keys_are_places(config: HttpConfig) -> Iterator[Problem]:
    for index, source in enumerate(config.key):
        at = f"key[{index}]"
        given = [place for place in _PLACES if getattr(source, place)]
        if len(given) != 1:
            yield Problem(at, f"needs exactly one of {', '.join(_PLACES)}; it has {' and '.join(given) or 'none'}")
        if source.path:
            says = pattern_problem(source.path) or ("" if "{key}" in source.path else "has no {key} in it")
            if says:
                yield Problem(f"{at}.path", says)
        for place in ("header", "cookie"):
            name = getattr(source, place)
            if name and not _TOKEN.fullmatch(name):
                yield Problem(f"{at}.{place}", f"{name!r} can't be the name of a {place}")


def _patterns_match(config: HttpConfig) -> Iterator[Problem]:
    tables: dict[str, Sequence[RouteRule | Retired]] = {"route": config.route, "retired": config.retired}
    for table, rules in tables.items():
        for index, rule in enumerate(rules):
            says = pattern_problem(rule.path)
            if says:
                yield Problem(f"{table}[{index}].path", says)
            for method in rule.methods:
                if not _TOKEN.fullmatch(method) or method != method.upper():
                    yield Problem(f"{table}[{index}].methods", f"{method!r} is no method; write it in capitals")


def _retired_says_when(config: HttpConfig) -> Iterator[Problem]:
    for index, retired in enumerate(config.retired):
        at = f"retired[{index}]"
        for key in ("deprecated", "sunset"):
            moment = getattr(retired, key)
            if moment is not None and moment.tzinfo is None:
                yield Problem(f"{at}.{key}", "needs an offset: write it with Z or +02:00 at the end")
        if retired.deprecated and retired.sunset and not _naive(retired) and retired.sunset < retired.deprecated:
            yield Problem(f"{at}.sunset", "is before deprecated (RFC 9745 forbids that)")
        for key in ("successor", "policy"):
            if not re.fullmatch(r"[\x21-\x7e]*", getattr(retired, key)) or set(getattr(retired, key)) & set('<>"'):
                yield Problem(f"{at}.{key}", "must be an address: no spaces, quotes or angle brackets")


def _naive(retired: Retired) -> bool:
    return any(moment is not None and moment.tzinfo is None for moment in (retired.deprecated, retired.sunset))


def _mirror_is_sound(config: HttpConfig) -> Iterator[Problem]:
    for problem in check_rules(config.mirror.rules):
        yield Problem(f"mirror.rules.{problem.key}", problem.says)
    for name in config.mirror.headers:
        if not _TOKEN.fullmatch(name):
            yield Problem("mirror.headers", f"{name!r} can't be the name of a header")


_MEANINGS: Final[tuple[Callable[[HttpConfig], Iterator[Problem]], ...]] = (
    _runtimes_answer,
    _addresses_exist,
    _keys_are_places,
    _patterns_match,
    _retired_says_when,
    _mirror_is_sound,
)

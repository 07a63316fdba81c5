"""A reply as fields: a nested value turned into leaves by path, within limits that no reply can exceed.

Paths are written as ignore rules write them (`items.3.price`). Each leaf also has a *name*, in which the places of a
list are `*` (`items.*.price`): counts are kept by name, so that a long list is one field and not a thousand.
"""

import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from agt.router._ignore import field_path
from agt.router._path import Message

OUTCOME: Final = "outcome"
"""The field of how a message ended."""
LATENCY: Final = "latency_s"
"""The field of how long it took, where both sides know."""
REPLY_MAX_BYTES: Final = 256 << 10
"""Longest reply that is decoded; of a longer one only length and checksum are compared."""
LEAVES_MAX: Final = 1000
"""Leaves of one reply; what lies beyond is compared as one checksum."""
DEPTH_MAX: Final = 32
"""Levels of nesting that are looked into; what lies deeper is compared as one checksum."""
TEXT_MAX: Final = 120
"""Characters of a value that are kept for people to look at."""
PATH_MAX: Final = 200
"""Characters of a path; a longer one is cut, and no longer tells its leaves apart."""

Extractor = Callable[[Message, bytes], Mapping[str, object]]
"""Turns a reply into fields, nested as it likes (dicts, lists, numbers, text, truths, None)."""


class Leaf(NamedTuple):
    """One value and what it is counted under."""

    name: str
    value: object


class Absent:
    """The value of a field that isn't there, which is not null."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT: Final = Absent()


def raw_fields(_: Message, reply: bytes) -> Mapping[str, object]:
    """Compare a reply as it is: text where it is text."""
    return {"text": reply.decode()} if _is_text(reply) else {"bytes": reply.hex(" ")}


def json_fields(message: Message, reply: bytes) -> Mapping[str, object]:
    """Decode a JSON reply, every member by its path; what is no JSON is compared as it is."""
    try:
        value: Any = json.loads(reply)
    except (ValueError, RecursionError):
        return raw_fields(message, reply)
    return value if isinstance(value, dict) else {"value": value}


def reply_leaves(extract: Extractor, message: Message, reply: bytes) -> dict[str, Leaf]:
    """Return a reply's leaves by path, all beneath `reply`; an extractor that fails is a field that says so."""
    if len(reply) > REPLY_MAX_BYTES:
        return dict(_leaves({"bytes": len(reply), "crc32": zlib.crc32(reply)}, ("reply",)))
    try:
        return dict(_leaves(dict(extract(message, reply)), ("reply",)))
    except Exception as error:  # noqa: BLE001 - a decoder of somebody else's, on bytes of somebody else's.
        return dict(_leaves({"undecodable": f"{type(error).__name__}: {error}"[:TEXT_MAX]}, ("reply",)))


def shown(value: object) -> str:
    """Return a value in one printable line, cut where it is long."""
    if isinstance(value, str):
        text = value[: 2 * TEXT_MAX]
        text = text if text.isprintable() else ascii(text)
    elif isinstance(value, int) and value.bit_length() > 400:
        text = f"a number of {value.bit_length()} bits"
    else:
        text = (
            {None: "null", True: "true", False: "false"}[value]
            if value is None or isinstance(value, bool)
            else repr(value)
        )
    return text if len(text) <= TEXT_MAX else f"{text[: TEXT_MAX - 3]}..."


def is_number(value: object) -> bool:
    """Tell finite numbers from everything else; true and false are no numbers."""
    if isinstance(value, bool):
        return False
    return (isinstance(value, int) and value.bit_length() < 1000) or (isinstance(value, float) and math.isfinite(value))


def _leaves(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[str, Leaf]]:
    left = LEAVES_MAX
    stack: list[tuple[object, tuple[str | int, ...]]] = [(value, path)]
    while stack:
        found, at = stack.pop()
        inner = _members(found) if len(at) < DEPTH_MAX else None
        if inner is None:
            yield _leaf(found, at)
            left -= 1
        elif not inner:
            yield _leaf(type(found).__name__, (*at, "(empty)"))
            left -= 1
        else:
            # Backwards onto the stack, so that the first members are the ones within the limit.
            stack.extend((member, (*at, step)) for step, member in reversed(inner))
        if left <= 0 and stack:
            yield _leaf(_checksum([found for found, _ in stack]), (*path, "(rest)"))
            return


def _members(value: object) -> list[tuple[str | int, object]] | None:
    """Return what a value holds, with names sorted so that their order is no difference; None for a leaf."""
    if isinstance(value, Mapping):
        return sorted((str(name), member) for name, member in value.items())
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    return None


def _leaf(value: object, path: tuple[str | int, ...]) -> tuple[str, Leaf]:
    exact = field_path(path)[:PATH_MAX]
    name = field_path("*" if isinstance(step, int) else step for step in path)[:PATH_MAX]
    if isinstance(value, Mapping | list | tuple):
        value = _checksum(value)
    elif not isinstance(value, str | int | float | None):
        value = repr(value)
    return exact, Leaf(name, value)


def _checksum(value: object) -> str:
    return f"crc32 {zlib.crc32(repr(value).encode('utf-8', 'backslashreplace')):08x}"


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().isprintable()
    except UnicodeDecodeError:
        return False

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
REPLY_MAX_BYTES: Final = 64 << 10
"""Longest reply that is decoded; of a longer one only length and checksum are compared."""
LEAVES_MAX: Final = 500
"""Leaves of one reply; what lies beyond is compared as one checksum."""
MEMBERS_MAX: Final = 2000
"""Members of one list or object that are looked into; a larger one is compared as one checksum."""
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
        return dict(_leaves({"bytes": len(reply), "crc32": zlib.crc32(reply)}, "reply"))
    try:
        return dict(_leaves(dict(extract(message, reply)), "reply"))
    except Exception as error:  # noqa: BLE001 - a decoder of somebody else's, on bytes of somebody else's.
        return dict(_leaves({"undecodable": f"{type(error).__name__}: {error}"[:TEXT_MAX]}, "reply"))


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


def _leaves(value: object, root: str) -> Iterator[tuple[str, Leaf]]:
    left = LEAVES_MAX
    stack: list[tuple[object, str, str, int]] = [(value, root, root, 0)]
    while stack:
        found, exact, name, depth = stack.pop()
        members = _members(found, exact, name, depth + 1) if depth < DEPTH_MAX else None
        if members:
            stack += members
        else:
            yield exact[:PATH_MAX], Leaf(name[:PATH_MAX], _plain(found) if members is None else f"empty {_kind(found)}")
            left -= 1
        if left <= 0 and stack:
            rest = f"{root}.(rest)"
            yield rest, Leaf(rest, _checksum([one for one, *_ in stack]))
            return


def _members(value: object, exact: str, name: str, depth: int) -> list[tuple[object, str, str, int]] | None:
    """Return what a value holds, last first, and sorted by name, whose order is no difference; None for a leaf."""
    if isinstance(value, Mapping | list | tuple) and len(value) > MEMBERS_MAX:
        return None
    if isinstance(value, Mapping):
        named = ((field_path((str(step),)), member) for step, member in value.items())
        found = sorted(named, key=_first, reverse=True)
        return [(member, f"{exact}.{step}", f"{name}.{step}", depth) for step, member in found]
    if isinstance(value, list | tuple):
        last = len(value) - 1
        return [(member, f"{exact}.{last - back}", f"{name}.*", depth) for back, member in enumerate(reversed(value))]
    return None


def _first(pair: tuple[str, object]) -> str:
    return pair[0]


def _kind(value: object) -> str:
    return "object" if isinstance(value, Mapping) else "list"


def _plain(value: object) -> object:
    """Return a leaf's value; what isn't one, since it lies too deep or isn't JSON, as something to compare."""
    if value is None or isinstance(value, str | int | float):
        return value
    return _checksum(value) if isinstance(value, Mapping | list | tuple) else repr(value)


def _checksum(value: object) -> str:
    return f"crc32 {zlib.crc32(repr(value).encode('utf-8', 'backslashreplace')):08x}"


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().isprintable()
    except UnicodeDecodeError:
        return False

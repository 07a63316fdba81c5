"""JSON as other systems write it: `NaN` and huge numbers are read, a name that stands twice is refused.

A document that says one thing twice means different things to different readers, which is what a comparison must not
hide. Whatever is wrong is one `ValueError` in plain words.
"""

import json
from typing import Any, Final

import msgspec

DOCUMENT_MAX_BYTES: Final = 32 << 20
"""Largest answer that is taken from a source."""


def parse_json(data: bytes) -> Any:
    """Return the value of a JSON document.

    Raises:
        ValueError: when it isn't one; the message says what is wrong, without naming the document.
    """
    try:
        return _DECODER.decode(_as_text(data))
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError as error:  # Ours, and the refusal of integers with thousands of digits.
        raise ValueError(_in_short(str(error))) from None


def parse_json_lines(data: bytes, *, lines_max: int) -> list[Any]:
    """Return the values of JSON lines; empty lines are passed over.

    Raises:
        ValueError: when a line is no JSON, or there are more than `lines_max`.
    """
    values: list[Any] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        if len(values) == lines_max:
            raise ValueError(f"has more than {lines_max} lines")
        try:
            values.append(parse_json(line))
        except ValueError as error:
            raise ValueError(f"has in line {number} what {error}") from None
    return values


def plain(value: object) -> Any:
    """Return a Python value as JSON would hold it: structs and dataclasses as objects, tuples as lists.

    Raises:
        ValueError: when it holds what JSON can't, or holds itself.
    """
    try:
        # msgspec knows structs and dates, json makes lists of tuples and keeps `NaN`.
        return json.loads(json.dumps(msgspec.to_builtins(value, str_keys=True)))
    except RecursionError:
        raise ValueError("is nested too deeply, or holds itself") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"holds what is no JSON: {_in_short(str(error))}") from None


def to_json(value: object) -> bytes:
    """Return a value as one line of JSON, in ASCII, so that half a character and `NaN` can be sent on too.

    Raises:
        ValueError: when it holds what JSON can't, or holds itself.
    """
    return json.dumps(plain(value), separators=(",", ":")).encode()


def _as_text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"is no UTF-8 at byte {error.start}") from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"has the name {twice[:60]!a} twice in one object")
    return found


def _in_short(text: str) -> str:
    if text.startswith("Exceeds the limit"):
        return "holds an integer of more than 4300 digits"
    return text[:300]


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_pairs)

"""A listing: the rows that a runtime answers with, and what it says of their version and age.

Accepted are a list of objects, an object with the rows somewhere inside (`rows = "result.panes"`), an object whose
members are the rows by name (the name becomes the field `$key`), a list of plain values (each becomes the field
`$value`), and JSON lines. Whatever else comes is an error that says what to write.
"""

import datetime
from typing import Any, Final, Literal

import msgspec

from agt.router.parity._json import parse_json, parse_json_lines
from agt.router.parity._numbers import is_number
from agt.router.parity._values import ABSENT, shown

ROWS_MAX: Final = 200_000
"""Rows of one listing."""
KEY: Final = "$key"
VALUE: Final = "$value"

Row = dict[str, Any]
Format = Literal["auto", "json", "lines"]


class ListingRefused(ValueError):
    """Raised when an answer is no listing; the message says what is wrong, without naming the side."""


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where in an answer the rows stand, and what is said of them."""

    key: tuple[str, ...]
    """The fields that name a row."""
    rows: str = ""
    """Path of the rows in the document; empty: the document is the rows."""
    version: str = ""
    """Path of the listing's version; empty: `version`, `state_version` or `generation` beside the rows, if any."""
    as_of: str = ""
    """Path of the listing's time, in epoch seconds or as an ISO time; empty: none is read."""
    format: Format = "auto"
    """`json`: one document; `lines`: one row a line; `auto`: whichever it is."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What one side answered."""

    rows: tuple[Row, ...]
    version: str = ""
    """As it was written; empty when the answer has none."""
    as_of: float | None = None
    """When the listing was made, in epoch seconds; None when the answer doesn't say."""


VERSIONS: Final = ("version", "state_version", "generation")
"""Names under which a version is found without being named."""


def decode_listing(data: bytes, layout: Layout) -> Listing:
    """Read a listing out of an answer's bytes.

    Raises:
        ListingRefused: when there is none in it.
    """
    try:
        return listing_of(_document(data, layout), layout)
    except ListingRefused:
        raise
    except ValueError as error:
        raise ListingRefused(str(error)) from None


def listing_of(document: object, layout: Layout) -> Listing:
    """Find the rows in a document.

    Raises:
        ListingRefused: when there are none, or too many.
    """
    found = at_path(document, layout.rows) if layout.rows else document
    if found is ABSENT:
        raise ListingRefused(f"has nothing at {layout.rows}{_there_is(document)}")
    rows = _rows(found, layout)
    if len(rows) > ROWS_MAX:
        raise ListingRefused(f"has {len(rows)} rows; at most {ROWS_MAX} are compared")
    return Listing(rows=rows, version=_version(document, layout), as_of=_as_of(document, layout))


def at_path(value: object, path: str) -> object:
    """Return what stands at a dotted path (`result.items.0`), or `ABSENT`; a name with dots is tried whole first."""
    if isinstance(value, dict) and path in value:
        return value[path]
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step, ABSENT)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and len(step) < 10:
            index = int(step)
            value = value[index] if index < len(value) else ABSENT
        else:
            return ABSENT
    return value


def _document(data: bytes, layout: Layout) -> Any:
    if layout.format == "lines":
        return parse_json_lines(data, lines_max=ROWS_MAX)
    if not data.strip():
        raise ListingRefused("is empty; an empty listing is written []")
    if layout.format == "json":
        return parse_json(data)
    try:
        return parse_json(data)
    except ValueError as error:
        # More than one document: rows, one a line. A document over several lines fails in its own words.
        if "Extra data" not in str(error):
            raise
        return parse_json_lines(data, lines_max=ROWS_MAX)


def _rows(found: object, layout: Layout) -> tuple[Row, ...]:
    if isinstance(found, list):
        return tuple(row if isinstance(row, dict) else {VALUE: row} for row in found)
    if not isinstance(found, dict):
        raise ListingRefused(f"is no listing but {shown(found)}; rows are a list of objects")
    if layout.key == (KEY,):
        return tuple({KEY: name, **(row if isinstance(row, dict) else {VALUE: row})} for name, row in found.items())
    if not layout.rows and all(at_path(found, name) is not ABSENT for name in layout.key):
        return (found,)  # One row, on one line.
    place = f"at {layout.rows} is" if layout.rows else "is"
    raise ListingRefused(
        f'{place} an object and no list; say where its rows are (rows = "..."){_there_is(found)}, '
        f'or key = "{KEY}" if its members are the rows'
    )


def _there_is(document: object) -> str:
    if not isinstance(document, dict) or not document:
        return ""
    return f"; it has {', '.join(shown(name) for name in sorted(document)[:8])}"


def _version(document: object, layout: Layout) -> str:
    names = (layout.version,) if layout.version else VERSIONS if layout.rows else ()
    for name in names:
        found = at_path(document, name)
        if found is not ABSENT and not isinstance(found, dict | list):
            return shown(found)
    if layout.version:
        raise ListingRefused(f"has no version at {layout.version}{_there_is(document)}")
    return ""


def _as_of(document: object, layout: Layout) -> float | None:
    if not layout.as_of:
        return None
    found = at_path(document, layout.as_of)
    try:
        if is_number(found):
            return datetime.datetime.fromtimestamp(found, tz=datetime.UTC).timestamp()
        if isinstance(found, str):
            read = datetime.datetime.fromisoformat(found)
            return (read if read.tzinfo else read.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        pass
    raise ListingRefused(f"has no time at {layout.as_of} but {shown(found)}; write epoch seconds or an ISO time")

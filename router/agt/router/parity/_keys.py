"""Rows by key: which row of one listing is which of the other, and what people call it."""

import hashlib
import json
from collections.abc import Hashable
from typing import Final

from agt.router.parity._listing import Listing, ListingRefused, Row, at_path
from agt.router.parity._numbers import is_nan, is_number
from agt.router.parity._values import ABSENT, shown

LABEL_MAX: Final = 160
"""Characters of a key that are shown; a longer one ends in a digest, so that no two are taken for one."""

Key = tuple[Hashable, ...]


class Indexed:
    """A listing's rows by key, in the listing's order."""

    def __init__(self, listing: Listing, key: tuple[str, ...]) -> None:
        self.listing = listing
        self.rows: dict[Key, list[Row]] = {}
        self._key = key
        for number, row in enumerate(listing.rows, 1):
            found = tuple([_comparable(_key_value(row, name, number)) for name in key])
            self.rows.setdefault(found, []).append(row)

    def label(self, key: Key) -> str:
        """Return what people call a key of this listing."""
        row = self.rows[key][0]
        return _label([at_path(row, name) for name in self._key])

    @property
    def doubled(self) -> int:
        """How many keys stand for more than one row."""
        return sum(len(rows) > 1 for rows in self.rows.values())


def _key_value(row: Row, name: str, number: int) -> object:
    value = at_path(row, name)
    if value is ABSENT:
        there = ", ".join(shown(field) for field in sorted(row)[:8])
        raise ListingRefused(f"has no key field {name} in row {number} (it has {there or 'no fields'})")
    return value


def _comparable(value: object) -> Hashable:
    """What is equal exactly when two key values are: 1 is 1.0, true is not 1, `nan` is `nan`."""
    if isinstance(value, str):
        return value
    if is_number(value):
        return ("number", "nan" if is_nan(value) else value)
    if isinstance(value, bool) or value is None:
        return (type(value).__name__, value)
    return ("json", json.dumps(value, sort_keys=True))


def _label(values: list[object]) -> str:
    text = " / ".join(_word(value) for value in values)
    if len(text) <= LABEL_MAX:
        return text
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{text[: LABEL_MAX - 12]}... #{digest}"


def _word(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value, sort_keys=True)
    # Quoted where it could be read as something else: "1" is not 1.
    plain = value.isprintable() and value.strip() == value != "" and not _reads_as_json(value)
    return value if plain else json.dumps(value)


def _reads_as_json(text: str) -> bool:
    return text[0] in '-0123456789"[{' or text in {"true", "false", "null", "NaN", "Infinity"}

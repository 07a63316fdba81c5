"""Two listings compared by key and signature fields. Pure; swapping the sides swaps `missing` and `extra`.

What exists on one side only, differs in a field, or stands twice is a difference of its own; ignored ones are
counted. Listings of any size give a bounded result.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from agt.router._ignore import IgnoreRule
from agt.router.parity._keys import Indexed, Key
from agt.router.parity._listing import Listing, Row, at_path
from agt.router.parity._projection import Projection
from agt.router.parity._values import ABSENT, differences, shown

DIFFERENCES_MAX: Final = 10_000
"""Differences that are kept with their places; all are counted."""

Kind = Literal["missing", "extra", "differs", "duplicate", "order"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which the candidate's listing is not control's."""

    kind: Kind
    """`missing` on the candidate, `extra` there, `differs` in a field, `duplicate` (another number of rows under one
    key), `order`."""
    key: str = ""
    field: str = ""
    control: str = ""
    """What control has, for people."""
    candidate: str = ""
    """What the candidate has, for people."""

    @property
    def place(self) -> tuple[str, str, str]:
        """What makes it the same difference in the next take, whatever the values have become."""
        return (self.kind, self.key, self.field)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What one pair of listings shows."""

    differences: tuple[Difference, ...] = ()
    counts: dict[str, int] = {}
    """All differences by kind, those too that aren't kept."""
    compared: int = 0
    """Keys on both sides."""
    ignored: int = 0
    """Differences that a rule covers."""
    control_rows: int = 0
    candidate_rows: int = 0
    doubled: int = 0
    """Keys that stand for more than one row on a side; a difference only where the sides disagree."""

    @property
    def equal(self) -> bool:
        """Whether nothing differs but what is ignored."""
        return not self.counts

    @property
    def empty(self) -> bool:
        """Whether there was nothing on either side."""
        return not self.control_rows and not self.candidate_rows


def compare_listings(control: Listing, candidate: Listing, projection: Projection, *, now: float) -> Comparison:
    """Compare two listings; `now` is wall-clock time, by which ignore rules end.

    Raises:
        ListingRefused: when a row lacks a key field.
        TooDeep: when a value is nested too deeply.
    """
    return compare(Indexed(control, projection.key), Indexed(candidate, projection.key), projection, now=now)


def compare(control: Indexed, candidate: Indexed, projection: Projection, *, now: float) -> Comparison:
    """Compare two indexed listings.

    Raises:
        TooDeep: when a value is nested too deeply.
    """
    ignoring = Ignoring(projection.ignore, now=now)
    kept: list[Difference] = []
    counts: Counter[str] = Counter()
    ignored = 0
    for found in _all(control, candidate, projection):
        if ignoring.covers(found.field, found.key):
            ignored += 1
            continue
        counts[found.kind] += 1
        if len(kept) < DIFFERENCES_MAX:
            kept.append(found)
    return Comparison(
        differences=tuple(kept),
        counts=dict(sorted(counts.items())),
        compared=len(control.rows.keys() & candidate.rows.keys()),
        ignored=ignored,
        control_rows=len(control.listing.rows),
        candidate_rows=len(candidate.listing.rows),
        doubled=max(control.doubled, candidate.doubled),
    )


class Ignoring:
    """The rules in force, remembered by field: the same few fields come up in every row."""

    def __init__(self, rules: Sequence[IgnoreRule], *, now: float) -> None:
        self._rules = [rule for rule in rules if not rule.expired(now=now)]
        self._of_field: dict[str, list[IgnoreRule]] = {}

    def covers(self, field: str, key: str) -> bool:
        """Tell whether a rule in force covers a place."""
        if not self._rules:
            return False
        rules = self._of_field.get(field)
        if rules is None:
            rules = [rule for rule in self._rules if rule.covers(field, key) or rule.key != "*"]
            if len(self._of_field) < DIFFERENCES_MAX:
                self._of_field[field] = rules
        return any(rule.covers(field, key) for rule in rules)


def _all(control: Indexed, candidate: Indexed, projection: Projection) -> Iterator[Difference]:
    for key, rows in control.rows.items():
        others = candidate.rows.get(key)
        if others is None:
            yield Difference(kind="missing", key=control.label(key), control=_times(rows), candidate="(absent)")
        elif len(rows) != len(others):
            yield Difference(kind="duplicate", key=control.label(key), control=_times(rows), candidate=_times(others))
        else:
            yield from _rows_differ(control, key, others, projection)
    for key, rows in candidate.rows.items():
        if key not in control.rows:
            yield Difference(kind="extra", key=candidate.label(key), control="(absent)", candidate=_times(rows))
    if projection.ordered:
        yield from _order_differs(control, candidate)


def _rows_differ(control: Indexed, key: Key, others: list[Row], projection: Projection) -> Iterator[Difference]:
    rows = control.rows[key]
    pairs = zip(rows, others, strict=True)
    if len(rows) > 1 and not projection.ordered:
        pairs = zip(_sorted(rows, projection), _sorted(others, projection), strict=True)
    for row, other in pairs:
        for name in projection.fields or (None,):
            one = row if name is None else _field(row, name)
            two = other if name is None else _field(other, name)
            if isinstance(one, str) and one == two:
                continue  # By far the commonest; saves a walk.
            path = () if name is None else (name,)
            for found in differences(one, two, tolerance_of=projection.tolerance_of, path=path):
                yield Difference(
                    kind="differs",
                    key=control.label(key),
                    field=found.field,
                    control=shown(found.control),
                    candidate=shown(found.candidate),
                )


def _sorted(rows: list[Row], projection: Projection) -> list[Row]:
    """Rows under one key in an order of their own, so that neither side's order matters."""
    return sorted(
        rows, key=lambda row: json.dumps([_signature(row, name) for name in projection.fields] or row, sort_keys=True)
    )


def _signature(row: Row, name: str) -> object:
    value = _field(row, name)
    return [] if value is ABSENT else [value]


def _field(row: Row, name: str) -> object:
    value = row.get(name, ABSENT)
    return at_path(row, name) if value is ABSENT and "." in name else value


def _order_differs(control: Indexed, candidate: Indexed) -> Iterator[Difference]:
    common = [key for key in control.rows if key in candidate.rows]
    others = [key for key in candidate.rows if key in control.rows]
    places = [place for place, (one, two) in enumerate(zip(common, others, strict=True)) if one != two]
    if places:
        first = places[0]
        yield Difference(
            kind="order",
            control=_at(control, common[first], first, len(places)),
            candidate=_at(candidate, others[first], first, len(places)),
        )


def _at(side: Indexed, key: Key, place: int, moved: int) -> str:
    return f"{side.label(key)} in place {place + 1} of the common rows ({moved} in another place)"


def _times(rows: list[Row]) -> str:
    return "a row" if len(rows) == 1 else f"{len(rows)} rows"

"""What is compared and how: one projection (`list_panes`, say) of two runtimes, as frozen data."""

import fnmatch
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from agt.router._ignore import IgnoreRule, check_ignore
from agt.router._problem import Problem
from agt.router.parity._listing import Format, Layout
from agt.router.parity._numbers import EXACT, NotNegative, Tolerance

TAKES_MAX = 1000
"""Takes that a difference can be asked to last."""
FieldName = Annotated[str, Meta(min_length=1, max_length=200)]


class Projection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A listing that both runtimes answer with, and what must be the same in it."""

    name: Annotated[str, Meta(min_length=1, max_length=100)] = "projection"
    """What reports and gates call it."""
    key: Annotated[tuple[FieldName, ...], Meta(min_length=1, max_length=10)]
    """The fields that together name a row; dotted paths reach inside."""
    fields: Annotated[tuple[FieldName, ...], Meta(max_length=200)] = ()
    """The signature: fields that must be the same (`evidence_mode`, `pane_presence`); none means the whole row."""
    ordered: bool = False
    """Whether the rows must stand in the same order."""
    allow_empty: bool = False
    """Whether nothing on both sides is equal; otherwise that is inconclusive, since it shows nothing."""
    tolerance: dict[str, Tolerance] = {}
    """How far numbers may be apart, by field (`load.cpu`, `latency_*`, `*`); a name without patterns goes first."""
    ignore: tuple[IgnoreRule, ...] = ()
    """Expected differences, each with an owner, a reason and an end."""
    takes: Annotated[int, Meta(ge=1, le=TAKES_MAX)] = 3
    """Takes in a row that must show a difference before it counts: two live listings are never taken at quite the
    same time."""
    every_s: Annotated[float, Meta(ge=0, le=86_400)] = 1.0
    """Seconds between two takes."""
    settle_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    """Seconds that a difference must have lasted as well."""
    rows: str = ""
    """Path of the rows in the answer; empty: the answer is the rows."""
    version: str = ""
    """Path of the listing's version, for reports; empty: looked for beside the rows."""
    as_of: str = ""
    """Path of the listing's time; empty: none is read."""
    max_age_s: NotNegative | None = None
    """Oldest listing that is compared, by `as_of`; None means any."""
    format: Format = "auto"
    """`json`, `lines`, or `auto` for whichever it is."""

    @property
    def layout(self) -> Layout:
        """Where the rows stand in an answer."""
        return Layout(key=self.key, rows=self.rows, version=self.version, as_of=self.as_of, format=self.format)

    def tolerance_of(self, field: str) -> Tolerance:
        """Return how far a field's numbers may be apart: its own entry, or the first pattern that it matches."""
        if not self.tolerance:
            return EXACT
        found = self.tolerance.get(field)
        if found is None:
            found = next((one for name, one in self.tolerance.items() if fnmatch.fnmatchcase(field, name)), EXACT)
        return found


def check_projection(projection: Projection, prefix: str = "") -> Iterator[Problem]:
    """Yield what is wrong with a projection beyond its shape."""
    yield from check_ignore(projection.ignore, f"{prefix}ignore")
    if not projection.name.isprintable():
        yield Problem(f"{prefix}name", "must be printable")
    if len(set(projection.key)) != len(projection.key):
        yield Problem(f"{prefix}key", "names a field twice")
    if projection.max_age_s is not None and not projection.as_of:
        yield Problem(f"{prefix}max_age_s", 'needs as_of = "...", the path of the listing\'s time')
    if projection.takes > 1 and projection.every_s == 0 and projection.settle_s > 0:
        yield Problem(f"{prefix}every_s", "must be above 0 where differences have a time to settle")

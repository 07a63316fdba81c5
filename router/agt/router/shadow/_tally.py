"""What comparisons add up to, by field: plain counts, largest deltas and a few examples, bounded whatever comes.

The error that a verdict may make is spent in advance: half on the messages as a whole, the other half on the fields in
the order in which they first differed, the k-th getting 1 / (k (k + 1)) of it, which adds up to all of it however
many there will be.
"""

from collections import deque
from typing import Final

import msgspec

from agt.router.shadow._compare import Comparison
from agt.router.shadow._fields import shown
from agt.router.shadow._odds import ALPHA, PairCounts

FIELDS_MAX: Final = 100
"""Fields that differ and are told apart."""
EXAMPLES_MAX: Final = 5
"""Newest differences of a field that are kept with their values."""
QUIET_MAX: Final = 50
"""Fields that are kept beside them, for their deltas or because a rule ignores their differences."""
OTHER: Final = "(other)"
"""Stands for the fields beyond these."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One difference, for people to look at."""

    device: str
    number: int
    path: str
    carried: str
    """What the runtime that carried the message said."""
    tried: str
    """What the runtime that is tried out said."""


class FieldTally:
    """The counts of one field."""

    __slots__ = (
        "delta_max",
        "delta_sum",
        "deltas",
        "differences",
        "examples",
        "floor_differences",
        "ignored",
        "only_floor",
        "only_tried",
    )

    def __init__(self) -> None:
        self.differences = 0
        """Messages on which the tried runtime differed here."""
        self.ignored = 0
        """Messages on which it did, and a rule ignores it."""
        self.floor_differences = 0
        """Messages on which the second control differed here."""
        self.only_tried = 0
        self.only_floor = 0
        self.deltas = 0
        """Messages on which both had a number here."""
        self.delta_sum = 0.0
        self.delta_max = 0.0
        """The largest delta by size, with its sign."""
        self.examples: deque[Example] = deque(maxlen=EXAMPLES_MAX)


class Tally:
    """The counts of all comparisons of one runtime that is tried out."""

    def __init__(self) -> None:
        self.compared = 0
        """Messages with two answers."""
        self.differences = 0
        """Of these, how many differ in a field that no rule ignores."""
        self.ignored = 0
        """Of these, how many differ only where a rule ignores it."""
        self.errors = 0
        """Of these, how many ended well where they were carried and not where they were mirrored."""
        self.has_floor = False
        """Whether there is a second control, though it may not have answered yet."""
        self.paired = 0
        """Of these, how many the second control answered too."""
        self.floor_differences = 0
        """Of the paired, how many the second control differed on."""
        self.only_tried = 0
        self.only_floor = 0
        self.fields: dict[str, FieldTally] = {}
        """In the order in which they first differed, or had numbers."""
        self._differed: dict[str, int] = {}

    @property
    def counts(self) -> PairCounts:
        """What the test of whole messages goes by."""
        if not self.has_floor:
            return PairCounts(self.differences, 0, self.compared, paired=False)
        return PairCounts(self.only_tried, self.only_floor, self.paired)

    def field_counts(self, name: str) -> PairCounts:
        """What the test of one field goes by."""
        field = self.fields[name]
        if not self.has_floor:
            return PairCounts(field.differences, 0, self.compared, paired=False)
        return PairCounts(field.only_tried, field.only_floor, self.paired)

    def field_alpha(self, name: str) -> float:
        """The chance of error that a field's verdict may spend; 0 for one that never differed."""
        place = self.place(name)
        return ALPHA / 2 / (place * (place + 1)) if place else 0.0

    def place(self, name: str) -> int:
        """In which order a field first differed, from 1; 0 for one that never did."""
        return self._differed.get(name, 0)

    def field(self, name: str, *, differed: bool = False) -> FieldTally:
        """Return a field's counts, made when there are none and room is left; else those of `OTHER`.

        What differs and what only has numbers, or differences that are ignored, have a room each: a long reply
        that is the same on both sides leaves room for what isn't.
        """
        if differed and name not in self._differed:
            name = name if len(self._differed) < FIELDS_MAX else OTHER
            self._differed.setdefault(name, len(self._differed) + 1)
        elif name not in self.fields and len(self.fields) - len(self._differed) >= QUIET_MAX:
            name = OTHER
        return self.fields.setdefault(name, FieldTally())

    def add(
        self, device: str, number: int, tried: Comparison, floor: Comparison | None = None, *, error: bool = False
    ) -> None:
        """Count one message.

        Args:
            device: whose it was.
            number: which it was.
            tried: how the tried runtime's answer stands to what was carried.
            floor: how the second control's does; None where it wasn't asked or didn't answer.
            error: whether it ended well only where it was carried.
        """
        differs, noise = tried.names, floor.names if floor is not None else frozenset[str]()
        self.compared += 1
        self.errors += error
        self.differences += bool(differs)
        self.ignored += bool(tried.ignored) and not differs
        if floor is not None:
            self.has_floor = True
            self.paired += 1
            self.floor_differences += bool(noise)
            self.only_tried += bool(differs) and not noise
            self.only_floor += bool(noise) and not differs
        self._add_fields(tried, self._kept(differs), self._kept(noise), paired=floor is not None)
        for difference in tried.differences:
            self.field(difference.name, differed=True).examples.append(
                Example(
                    device=device,
                    number=number,
                    path=difference.path,
                    carried=shown(difference.carried),
                    tried=shown(difference.other),
                )
            )

    def _add_fields(self, tried: Comparison, differs: set[str], noise: set[str], *, paired: bool) -> None:
        for name in sorted(differs | noise):
            field = self.field(name, differed=True)
            field.differences += name in differs
            field.floor_differences += name in noise
            if paired:
                field.only_tried += name not in noise
                field.only_floor += name not in differs
        for name in tried.ignored:
            self.field(name).ignored += 1
        for name, delta in tried.deltas.items():
            field = self.field(name)
            if field is self.fields.get(OTHER):
                continue  # Deltas of different fields have no mean.
            field.deltas += 1
            field.delta_sum += delta
            if abs(delta) > abs(field.delta_max):
                field.delta_max = delta

    def _kept(self, names: frozenset[str]) -> set[str]:
        """Return the names under which these are counted."""
        return {name if self.field(name, differed=True) is self.fields.get(name) else OTHER for name in sorted(names)}

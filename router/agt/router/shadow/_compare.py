"""Two answers to one message, compared leaf by leaf: pure, and bounded whatever the answers hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from agt.router._ignore import ignored_by
from agt.router.shadow._fields import ABSENT, Leaf, is_number
from agt.router.shadow._rules import ShadowRules

DIFFERENCES_MAX: Final = 100
"""Differences of one message that are named; more only count as one message that differs."""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One place where two answers differ."""

    path: str
    """Where, exactly: `reply.items.3.price`."""
    name: str
    """What it is counted under: `reply.items.*.price`."""
    carried: object
    """What the runtime that carried it said."""
    other: object
    """What the other said."""


@dataclass(slots=True)
class Comparison:
    """How two answers to one message stand to each other."""

    differences: list[FieldDifference] = field(default_factory=list)
    ignored: set[str] = field(default_factory=set)
    """Names of fields whose differences a rule ignores."""
    deltas: dict[str, float] = field(default_factory=dict)
    """Other minus carried of every number that both have, by name; of a list, the largest."""

    @property
    def names(self) -> frozenset[str]:
        """The fields that differ."""
        return frozenset(difference.name for difference in self.differences)


def compare_leaves(
    carried: Mapping[str, Leaf], other: Mapping[str, Leaf], rules: ShadowRules, *, device: str = "", now: float
) -> Comparison:
    """Compare two answers.

    Args:
        carried: what the runtime that carried the message said, by path.
        other: what the other said.
        rules: what counts as equal, and what is ignored.
        device: whose message it was, for rules that name one.
        now: seconds since the epoch, for rules that end.
    """
    found = Comparison()
    for path in [*carried, *(path for path in other if path not in carried)]:
        ours, theirs = carried.get(path), other.get(path)
        name = (ours or theirs or _NOTHING).name
        one = ours.value if ours else ABSENT
        another = theirs.value if theirs else ABSENT
        _note_delta(found, name, one, another)
        if rules.equal(path, one, another):
            continue
        if rules.ignore and ignored_by(rules.ignore, path, device, now=now) is not None:
            found.ignored.add(name)
        elif len(found.differences) < DIFFERENCES_MAX:
            found.differences.append(FieldDifference(path, name, one, another))
    return found


def _note_delta(found: Comparison, name: str, one: object, other: object) -> None:
    if is_number(one) and is_number(other):
        assert isinstance(one, int | float), "is_number says so"
        assert isinstance(other, int | float), "is_number says so"
        delta = float(other - one)
        if abs(delta) >= abs(found.deltas.get(name, 0.0)):
            found.deltas[name] = delta


_NOTHING: Final = Leaf("", None)

"""The counts of a run, fed one sample at a time; pure, and bounded whatever the answers hold.

Numbers give relative deltas by field (list positions folded into `*`, so that a list of a thousand prices is one
field), everything else must be equal. Answers are looked at and let go.
"""

import math
from collections.abc import Iterator
from fnmatch import fnmatchcase
from heapq import heappush, heappushpop
from typing import Final

import msgspec

from agt.router._ignore import field_path
from agt.router.parity._compare import Ignoring
from agt.router.parity._values import TooDeep, ValueDifference, exact, leaves, shown
from agt.router.regression._sample import Output, Sample
from agt.router.regression._suite import Suite

EXAMPLES_MAX: Final = 10
"""Worst or first examples that are kept of each kind."""
FIELDS_MAX: Final = 1000
"""Numeric fields with figures of their own; the rest share one line."""
OTHERS: Final = "(other fields)"


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was seen, for people."""

    request: str
    """The request and its seed."""
    field: str = ""
    control: str = ""
    candidate: str = ""
    delta: float | None = None
    """Relative delta of two numbers; infinite (null in JSON) away from 0."""


class FieldFigures(msgspec.Struct, kw_only=True):
    """The deltas of one numeric field."""

    compared: int = 0
    total: float = 0.0
    largest: float = 0.0

    @property
    def mean(self) -> float:
        """Mean relative delta; 0 when nothing was compared."""
        # Rounded, so that fifty times 5 % is 5 % and not a hair below the limit.
        return round(self.total / self.compared, 12) if self.compared else 0.0

    def add(self, delta: float) -> None:
        """Take one delta into account."""
        self.compared += 1
        self.total += delta
        self.largest = max(self.largest, delta)


class SideTally(msgspec.Struct, kw_only=True):
    """One side's calls."""

    calls: int = 0
    failed: int = 0
    reached: bool = False
    """Whether it ever answered."""
    row: int = 0
    """Calls in a row that failed, up to now."""
    latencies_s: list[float] = msgspec.field(default_factory=list)
    repeated: int = 0
    """Requests that were answered more than once."""
    alike: int = 0
    """Of these, how many alike each time."""
    problems: list[Example] = msgspec.field(default_factory=list)
    varying: list[Example] = msgspec.field(default_factory=list)


class Tally:
    """What a run has shown so far."""

    def __init__(self, suite: Suite, *, now: float) -> None:
        self.control, self.candidate = SideTally(), SideTally()
        self.fields: dict[str, FieldFigures] = {}
        self.alone = 0
        """Requests that control answered and the candidate did not."""
        self.compared = 0
        """Requests that both sides answered."""
        self.alike = 0
        """Of these, how many exactly alike."""
        self.mismatched = 0
        """Of these, how many with another category."""
        self.mismatches: list[Example] = []
        self.ignored = 0
        """Places that a rule covers."""
        self._suite = suite
        self._ignoring = Ignoring(suite.ignore, now=now)
        self._worst: list[tuple[float, int, Example]] = []
        self._seen = 0

    def add(self, sample: Sample) -> None:
        """Take one sample into account."""
        self._add_side(sample, sample.control, self.control, "control")
        self._add_side(sample, sample.candidate, self.candidate, "candidate")
        one, other = _answer(sample.control), _answer(sample.candidate)
        if one is None or other is None:
            self.alone += one is not None
            return
        self.compared += 1
        self._compare(sample, one, other)

    @property
    def worst(self) -> list[Example]:
        """The largest deltas, largest first."""
        return [example for *_, example in sorted(self._worst, key=lambda one: (-one[0], -one[1]))]

    def _compare(self, sample: Sample, one: Output, other: Output) -> None:
        mismatched = False
        alike = True
        for leaf in _leaves(one.value, other.value):
            delta = leaf.delta if self._by_delta(leaf) else None
            same = delta == 0 if delta is not None else leaf.same(exact)
            if not same and self._ignoring.covers(leaf.field, sample.request):
                self.ignored += 1
                continue
            alike = alike and same
            if delta is not None:
                self._add_delta(sample, leaf, delta)
            elif not same:
                mismatched = True
                if len(self.mismatches) < EXAMPLES_MAX:
                    self.mismatches.append(_example(sample, leaf))
        self.alike += alike
        self.mismatched += mismatched

    def _by_delta(self, leaf: ValueDifference) -> bool:
        suite = self._suite
        if suite.numbers == ("*",) and not suite.categories:
            return True
        field = leaf.field
        return _matches(field, suite.numbers) and not _matches(field, suite.categories)

    def _add_delta(self, sample: Sample, leaf: ValueDifference, delta: float) -> None:
        name = field_path("*" if isinstance(step, int) else step for step in leaf.path) or "(the value)"
        if name not in self.fields and len(self.fields) >= FIELDS_MAX:
            name = OTHERS
        self.fields.setdefault(name, FieldFigures()).add(delta)
        if delta == 0:
            return
        self._seen += 1
        # Of equal deltas the first stays; the running number also keeps examples from being compared.
        entry = (delta, -self._seen, _example(sample, leaf, delta))
        if len(self._worst) < EXAMPLES_MAX:
            heappush(self._worst, entry)
        else:
            heappushpop(self._worst, entry)

    def _add_side(self, sample: Sample, outputs: tuple[Output, ...], side: SideTally, name: str) -> None:
        for output in outputs:
            side.calls += 1
            side.reached = side.reached or output.reached
            side.failed += bool(output.problem)
            side.row = side.row + 1 if output.problem else 0
            if not output.problem:
                side.latencies_s.append(output.took_s)
            elif len(side.problems) < EXAMPLES_MAX:
                side.problems.append(_failure(sample, output, name))
        good = [output for output in outputs if not output.problem]
        if len(good) < 2:
            return
        side.repeated += 1
        found = next((leaf for again in good[1:] for leaf in self._varies(sample, good[0], again)), None)
        side.alike += found is None
        if found is not None and len(side.varying) < EXAMPLES_MAX:
            side.varying.append(_example(sample, found))

    def _varies(self, sample: Sample, one: Output, again: Output) -> Iterator[ValueDifference]:
        """Yield where a side's second answer isn't its first; `control` is the first, `candidate` the second."""
        for leaf in _leaves(one.value, again.value):
            if not leaf.same(exact) and not self._ignoring.covers(leaf.field, sample.request):
                yield leaf


def percentile(values: list[float], share: float) -> float:
    """Return the value at index ceil(share * n) - 1 of the sorted values (facts.md, 3); 0 without values."""
    if not values:
        return 0.0
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _leaves(one: object, other: object) -> Iterator[ValueDifference]:
    """Places of two answers; nested too deeply is one place that differs."""
    try:
        yield from leaves(one, other)
    except TooDeep as error:
        yield ValueDifference((), f"(a value that {error})", "(not compared)")


def _answer(outputs: tuple[Output, ...]) -> Output | None:
    return next((output for output in outputs if not output.problem), None)


def _failure(sample: Sample, output: Output, side: str) -> Example:
    control, candidate = (output.problem, "") if side == "control" else ("", output.problem)
    return Example(request=sample.label, control=control, candidate=candidate)


def _example(sample: Sample, leaf: ValueDifference, delta: float | None = None) -> Example:
    return Example(
        request=sample.label,
        field=leaf.field,
        control=shown(leaf.control),
        candidate=shown(leaf.candidate),
        delta=delta,
    )


def _matches(field: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(field, pattern) for pattern in patterns)

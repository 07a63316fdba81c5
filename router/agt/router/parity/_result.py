"""What a parity run found: a verdict with its reason, the samples behind it, and the differences, as plain data."""

import msgspec

from agt.router._ignore import IgnoreRule
from agt.router.parity._compare import Difference
from agt.router.parity._settling import Lasting, Settling
from agt.router.parity._verdict import Verdict

REPORTED_MAX = 100
"""Differences that a result holds; all are counted."""


class SideSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One side, as its last answer showed it."""

    source: str
    rows: int = 0
    version: str = ""
    """The listing's version, as it was written; empty when it says none."""
    age_s: float | None = None
    """How old the listing was when it came; None when it doesn't say."""
    took_s: float = 0.0
    """How long the answer took."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A difference, and whether it counts."""

    difference: Difference
    takes: int
    """Takes in a row that showed it."""
    for_s: float
    """Seconds from the first of them to the last."""
    settled: bool
    """Whether it has stood for long enough to count."""


class ParityResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome for one projection. Gates read `verdict`, `samples` and `reason`."""

    name: str
    verdict: Verdict
    reason: str
    """What was seen, and what is missing; never empty."""
    samples: int = 0
    """Rows on both sides in the last take."""
    takes: int = 0
    control: SideSeen
    candidate: SideSeen
    counts: dict[str, int] = {}
    """Differences of the last take, by kind."""
    differences: tuple[Found, ...] = ()
    """The first of them, those that count before the others."""
    ignored: int = 0
    """Differences of the last take that a rule covers."""
    transient: int = 0
    """Differences that went away before they counted."""
    doubled: int = 0
    """Keys that stand for several rows."""
    expired: tuple[IgnoreRule, ...] = ()
    """Ignore rules that have ended and hide nothing any more."""


def found_in(settling: Settling, *, now: float) -> tuple[Found, ...]:
    """Return what to report of a settling: what counts first, a bounded number."""
    counting = {id(one) for one in settling.settled}
    ordered = sorted(settling.lasting, key=lambda one: id(one) not in counting)
    return tuple(_found(one, now, settled=id(one) in counting) for one in ordered[:REPORTED_MAX])


def _found(one: Lasting, now: float, *, settled: bool) -> Found:
    return Found(difference=one.difference, takes=one.takes, for_s=round(one.seconds(now), 3), settled=settled)

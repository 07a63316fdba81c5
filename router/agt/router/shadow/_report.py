"""What the shadow says, as data and in words: the body of `GET /shadow`."""

from typing import Final

import msgspec

from agt.router._ignore import expired_rules
from agt.router.shadow._odds import ALPHA, Judged, ShadowVerdict, judge_pairs, verdict_of
from agt.router.shadow._rules import until
from agt.router.shadow._shadow import Shadow
from agt.router.shadow._tally import Example, Tally

FLOOR_MAX: Final = 0.2
"""With more noise than this nothing is called equal: a second control that is broken would hide everything."""


class FieldReport(msgspec.Struct, frozen=True, kw_only=True):
    """One field that differed, or had numbers."""

    field: str
    verdict: ShadowVerdict | None
    """None for a field that never differed."""
    place: int
    """In which order it first differed, from 1; 0 for a field that never did."""
    differences: int
    """Messages on which the tried runtime differed here."""
    floor_differences: int
    """Messages on which the second control did."""
    ignored: int
    """Messages on which the tried runtime did, and a rule ignores it."""
    only_tried: int = 0
    """Of the paired, on how many only the tried runtime differed here."""
    only_floor: int = 0
    """Of the paired, on how many only the second control did."""
    excess: float
    """Differences above the floor, as a share of the messages."""
    numbers: int = 0
    """Messages on which both had a number here."""
    mean_delta: float | None = None
    """Tried minus carried, on average; None without numbers."""
    max_delta: float | None = None
    """The largest by size, with its sign."""
    examples: tuple[Example, ...] = ()
    """The newest differences."""


class TriedReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the comparisons of one tried runtime say."""

    runtime: str
    verdict: ShadowVerdict
    says: str
    """The verdict in words."""
    compared: int = 0
    differences: int = 0
    """Messages that differ in a field that no rule ignores."""
    ignored: int = 0
    """Messages that differ only where a rule ignores it."""
    errors: int = 0
    """Messages that ended well where they were carried and not where they were mirrored."""
    error_rate: float | None = None
    """Errors of compared; None before the first comparison."""
    difference_rate: float | None = None
    has_floor: bool = False
    """Whether there is a second control, though it may not have answered yet."""
    paired: int = 0
    """Messages that the second control answered too."""
    floor_differences: int = 0
    """Of these, how many it differed on: noise."""
    floor_rate: float | None = None
    """None where there is no second control."""
    only_tried: int = 0
    """Of the paired, how many only the tried runtime differed on."""
    only_floor: int = 0
    """Of the paired, how many only the second control differed on."""
    excess: float = 0.0
    """Differences above the floor, as a share of the messages."""
    excess_low: float = -1.0
    """Between these the true excess lies, at every look."""
    excess_high: float = 1.0
    more: int | None = None
    """About how many more samples decide, if the two are equal; None when that can't be said."""
    fields: tuple[FieldReport, ...] = ()
    """Most differing first."""


class ShadowReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the shadow knows."""

    tried: str = ""
    """The runtime that was tried out last; empty before the first."""
    runtimes: tuple[TriedReport, ...] = ()
    declared_floor: float = 0.0
    """The share of messages that may differ where there is no second control."""
    reads: int = 0
    writes: int = 0
    decided: int = 0
    shed: dict[str, int] = {}
    timed_out: int = 0
    void: int = 0
    stray_replies: int = 0
    held: int = 0
    """Messages that wait or are being compared."""
    expired: tuple[str, ...] = ()
    """Ignore rules that have ended and ignore nothing any more, in words."""


def report(shadow: Shadow, *, wall: float) -> ShadowReport:
    """Return what a shadow knows; `wall` is in seconds since the epoch."""
    counts = shadow.counts
    return ShadowReport(
        tried=shadow.tried,
        declared_floor=shadow.declared_floor,
        runtimes=tuple(
            report_tally(name, tally, shadow.declared_floor) for name, tally in sorted(shadow.tallies.items())
        ),
        reads=counts.reads,
        writes=counts.writes,
        decided=counts.decided,
        shed=dict(sorted(counts.shed.items())),
        timed_out=counts.timed_out,
        void=counts.void,
        stray_replies=counts.stray_replies,
        held=shadow.held,
        expired=tuple(
            f"{rule.field} is compared again: {rule.owner}'s rule ended {until(rule)} ({rule.reason})"
            for rule in expired_rules(shadow.rules.ignore, now=wall)
        ),
    )


def summary(shadow: Shadow) -> TriedReport | None:
    """Return what is said of the runtime tried out last, without its fields; None before the first comparison."""
    tally = shadow.tallies.get(shadow.tried)
    return None if tally is None else report_tally(shadow.tried, tally, shadow.declared_floor, fields=False)


def report_tally(name: str, tally: Tally, declared: float, *, fields: bool = True) -> TriedReport:
    """Return what the counts of one tried runtime say; `declared` is the noise where there is no second control."""
    judged = judge_pairs(tally.counts, alpha=ALPHA / 2, declared=declared)
    floor_rate = tally.floor_differences / tally.paired if tally.paired else None
    rows = tuple(_field(tally, field, declared) for field in tally.fields)
    guilty = tuple(row.field for row in rows if row.verdict is ShadowVerdict.DIFFERS)
    verdict, says = _verdict(judged, guilty, floor_rate)
    return TriedReport(
        runtime=name,
        verdict=verdict,
        says=says,
        compared=tally.compared,
        differences=tally.differences,
        ignored=tally.ignored,
        errors=tally.errors,
        error_rate=tally.errors / tally.compared if tally.compared else None,
        difference_rate=tally.differences / tally.compared if tally.compared else None,
        has_floor=tally.has_floor,
        paired=tally.paired,
        floor_differences=tally.floor_differences,
        floor_rate=floor_rate,
        only_tried=tally.only_tried,
        only_floor=tally.only_floor,
        excess=judged.excess,
        excess_low=judged.low,
        excess_high=judged.high,
        more=judged.more if verdict is ShadowVerdict.UNDECIDED else 0,
        fields=tuple(sorted(rows, key=lambda row: (-row.differences, row.field))) if fields else (),
    )


def _verdict(judged: Judged, guilty: tuple[str, ...], floor_rate: float | None) -> tuple[ShadowVerdict, str]:
    if judged.verdict is ShadowVerdict.DIFFERS or guilty:
        where = f" in {', '.join(guilty[:5])}" if guilty else ""
        return ShadowVerdict.DIFFERS, f"differs{where}: {100 * judged.excess:.2f} % of the messages above the floor"
    if floor_rate is not None and floor_rate > FLOOR_MAX:
        noisy = f"the floor itself differs on {100 * floor_rate:.0f} %: look at the second control, or add ignore rules"
        return ShadowVerdict.UNDECIDED, noisy
    if judged.verdict is ShadowVerdict.EQUAL:
        return ShadowVerdict.EQUAL, f"equal within noise: at most {100 * judged.high:.2f} % above the floor"
    more = "" if judged.more is None else f", about {judged.more:,} more messages if they are equal"
    return ShadowVerdict.UNDECIDED, f"not enough yet{more}"


def _field(tally: Tally, name: str, declared: float) -> FieldReport:
    field, alpha = tally.fields[name], tally.field_alpha(name)
    counts = tally.field_counts(name)
    return FieldReport(
        field=name,
        place=tally.place(name),
        verdict=verdict_of(counts, alpha=alpha, declared=declared) if alpha else None,
        differences=field.differences,
        floor_differences=field.floor_differences,
        ignored=field.ignored,
        only_tried=field.only_tried,
        only_floor=field.only_floor,
        numbers=field.deltas,
        excess=counts.excess - (0.0 if counts.paired else declared) if alpha else 0.0,
        mean_delta=field.delta_sum / field.deltas if field.deltas else None,
        max_delta=field.delta_max if field.deltas else None,
        examples=tuple(field.examples),
    )

"""What a suite's run found, as plain data: verdict, reason, checks, figures and the worst examples."""

import msgspec

from agt.router._ignore import IgnoreRule
from agt.router.parity._verdict import Check, Verdict, worst_of
from agt.router.regression._suite import Suite
from agt.router.regression._tally import Example, SideTally, Tally, percentile

FIELDS_SHOWN = 50
"""Numeric fields with figures in a result: those with the largest deltas."""


class FieldResult(msgspec.Struct, frozen=True, kw_only=True):
    """The deltas of one numeric field; an infinite one is null in JSON."""

    field: str
    compared: int
    mean_delta: float
    max_delta: float


class SideResult(msgspec.Struct, frozen=True, kw_only=True):
    """One side's part."""

    source: str
    calls: int
    failed: int
    p50_s: float
    p95_s: float
    repeated: int
    """Requests that it answered more than once with the same seed."""
    alike: int
    """Of these, how many alike each time."""
    problems: tuple[Example, ...] = ()
    varying: tuple[Example, ...] = ()
    """Requests that it answered differently; `control` is the first answer, `candidate` the other."""


class SuiteResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a suite. Gates read `verdict`, `samples` and `reason`."""

    name: str
    verdict: Verdict
    reason: str
    """The worst check in words; never empty."""
    samples: int
    """Requests that both sides answered."""
    alike: int
    """Of these, how many exactly alike."""
    checks: tuple[Check, ...]
    control: SideResult
    candidate: SideResult
    fields: tuple[FieldResult, ...] = ()
    worst: tuple[Example, ...] = ()
    """The largest deltas."""
    mismatched: int = 0
    """Requests with a category that isn't equal."""
    mismatches: tuple[Example, ...] = ()
    """The first of them."""
    ignored: int = 0
    """Differing places that a rule covers."""
    expired: tuple[IgnoreRule, ...] = ()
    """Ignore rules that have ended and hide nothing any more."""
    seeds: int = 1
    took_s: float = 0.0


def suite_result(
    suite: Suite,
    tally: Tally,
    checks: tuple[Check, ...],
    *,
    given_up: bool,
    took_s: float,
    sources: tuple[str, str],
    expired: tuple[IgnoreRule, ...],
) -> SuiteResult:
    """Put a run's counts and checks together."""
    verdict = worst_of(check.verdict for check in checks)
    fields = sorted(tally.fields.items(), key=lambda item: (-item[1].largest, item[0]))
    return SuiteResult(
        name=suite.name,
        verdict=verdict,
        reason=_reason(checks, verdict, tally, given_up=given_up),
        samples=tally.compared,
        alike=tally.alike,
        checks=checks,
        control=_side(tally.control, sources[0]),
        candidate=_side(tally.candidate, sources[1]),
        fields=tuple(
            FieldResult(field=name, compared=one.compared, mean_delta=one.mean, max_delta=one.largest)
            for name, one in fields[:FIELDS_SHOWN]
        ),
        worst=tuple(tally.worst),
        mismatched=tally.mismatched,
        mismatches=tuple(tally.mismatches),
        ignored=tally.ignored,
        expired=expired,
        seeds=len(suite.seeds),
        took_s=round(took_s, 3),
    )


def _reason(checks: tuple[Check, ...], verdict: Verdict, tally: Tally, *, given_up: bool) -> str:
    if verdict is Verdict.PASSED:
        return f"{tally.compared} compared, all {len(checks)} checks passed"
    found = [f"{check.name}: {check.says}" for check in checks if check.verdict is verdict]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0]}{more}{'; given up early' if given_up else ''}"


def _side(side: SideTally, source: str) -> SideResult:
    return SideResult(
        source=source,
        calls=side.calls,
        failed=side.failed,
        p50_s=round(percentile(side.latencies_s, 0.50), 6),
        p95_s=round(percentile(side.latencies_s, 0.95), 6),
        repeated=side.repeated,
        alike=side.alike,
        problems=tuple(side.problems),
        varying=tuple(side.varying),
    )

"""From a run's counts to checks with verdicts. Pure; each check says what was seen and what was allowed."""

from collections.abc import Iterator
from typing import Final

from agt.router.parity._verdict import Check, Verdict
from agt.router.regression._invariants import InvariantTally
from agt.router.regression._suite import Suite
from agt.router.regression._tally import SideTally, Tally, percentile


def checks_of(suite: Suite, tally: Tally, invariants: tuple[InvariantTally, ...]) -> tuple[Check, ...]:
    """Return every check of a suite, in the order of a report."""
    found = [*_answers(suite, tally), _enough(suite, tally)]
    if tally.compared:
        found += [_mean(suite, tally), _largest(suite, tally), _categories(tally)]
        found += [*_determinism(suite, tally), *_latency(suite, tally)]
    found += [_invariant(one) for one in invariants]
    return tuple(found)


def _answers(suite: Suite, tally: Tally) -> Iterator[Check]:
    for name, side in (("control", tally.control), ("candidate", tally.candidate)):
        allowed = suite.limits.errors
        share = side.failed / side.calls if side.calls else 0.0
        says = f"{side.failed} of {side.calls} calls failed; at most {allowed:.2%} may"
        if share <= allowed and side.reached:
            yield Check(name=f"{name} answers", verdict=Verdict.PASSED, says=says)
            continue
        example = _first(side, name)
        # What control can't answer either says nothing about the candidate, and a side that was never
        # reached says nothing at all.
        worse = name == "candidate" and side.reached and tally.alone
        verdict = Verdict.FAILED if worse else Verdict.ERROR
        yield Check(name=f"{name} answers", verdict=verdict, says=f"{says}{example}")


def _first(side: SideTally, name: str) -> str:
    if not side.problems:
        return ""
    first = side.problems[0]
    return f"; {first.request}: {first.control if name == 'control' else first.candidate}"


def _enough(suite: Suite, tally: Tally) -> Check:
    says = f"{tally.compared} compared; at least {suite.at_least}"
    enough = tally.compared >= suite.at_least
    return Check(name="samples", verdict=Verdict.PASSED if enough else Verdict.INCONCLUSIVE, says=says)


def _mean(suite: Suite, tally: Tally) -> Check:
    name, figures = max(tally.fields.items(), key=lambda item: item[1].mean, default=("", None))
    if figures is None:
        return Check(name="mean delta", verdict=Verdict.PASSED, says="no numbers to compare")
    says = f"{share_text(figures.mean)} in {name}; must be below {suite.limits.mean_delta:.2%}"
    return Check(name="mean delta", verdict=_below(figures.mean, suite.limits.mean_delta), says=says)


def _largest(suite: Suite, tally: Tally) -> Check:
    name, figures = max(tally.fields.items(), key=lambda item: item[1].largest, default=("", None))
    if figures is None:
        return Check(name="largest delta", verdict=Verdict.PASSED, says="no numbers to compare")
    says = f"{share_text(figures.largest)} in {name}; must be below {suite.limits.max_delta:.2%}"
    return Check(name="largest delta", verdict=_below(figures.largest, suite.limits.max_delta), says=says)


def _below(delta: float, limit: float) -> Verdict:
    """No delta at all is always within, also where the limit is 0."""
    return Verdict.PASSED if delta == 0 or delta < limit else Verdict.FAILED


def _categories(tally: Tally) -> Check:
    matched = tally.compared - tally.mismatched
    says = f"{matched} of {tally.compared} with every category equal; all must be"
    if tally.mismatches:
        first = tally.mismatches[0]
        says += f"; {first.request}: {first.field or 'the value'} is {first.candidate}, not {first.control}"
    return Check(name="categories", verdict=Verdict.FAILED if tally.mismatched else Verdict.PASSED, says=says)


def _determinism(suite: Suite, tally: Tally) -> Iterator[Check]:
    limit = suite.limits.determinism
    if limit is not None:
        for name, side in (("control", tally.control), ("candidate", tally.candidate)):
            yield _share(
                f"{name} determinism",
                side.alike,
                side.repeated,
                limit,
                # A control that isn't deterministic itself gives nothing to hold the candidate against.
                Verdict.INCONCLUSIVE if name == "control" else Verdict.FAILED,
            )
    if suite.limits.agreement is not None:
        yield _share("agreement", tally.alike, tally.compared, suite.limits.agreement, Verdict.FAILED)


def _share(name: str, good: int, of: int, least: float, otherwise: Verdict) -> Check:
    if not of:
        return Check(name=name, verdict=Verdict.INCONCLUSIVE, says="nothing was answered twice")
    says = f"{good} of {of} alike ({good / of:.2%}); at least {least:.2%}"
    return Check(name=name, verdict=Verdict.PASSED if good / of >= least else otherwise, says=says)


def _latency(suite: Suite, tally: Tally) -> Iterator[Check]:
    control, candidate = (percentile(side.latencies_s, 0.95) for side in (tally.control, tally.candidate))
    if suite.limits.p95_s is not None:
        says = f"candidate {milliseconds(candidate)}; at most {milliseconds(suite.limits.p95_s)}"
        good = candidate <= suite.limits.p95_s
        yield Check(name="p95", verdict=Verdict.PASSED if good else Verdict.FAILED, says=says)
    if suite.limits.latency_ratio is not None:
        ratio = suite.limits.latency_ratio
        says = f"candidate {milliseconds(candidate)}, control {milliseconds(control)}; at most {ratio:g}x"
        good = candidate <= ratio * control
        yield Check(name="latency beside control", verdict=Verdict.PASSED if good else Verdict.FAILED, says=says)


def _invariant(one: InvariantTally) -> Check:
    name = f"invariant {one.name}"
    if one.problem:
        return Check(name=name, verdict=Verdict.ERROR, says=one.problem)
    if not one.looked:
        return Check(name=name, verdict=Verdict.INCONCLUSIVE, says="no answer to look at")
    says = f"holds for {one.looked - one.broken_control - one.broken_candidate} of {one.looked} answers"
    if one.examples:
        says += f"; {one.examples[0]}"
    if one.broken_candidate:
        return Check(name=name, verdict=Verdict.FAILED, says=says)
    # Only control breaks it: that is no regression, but it isn't shown to be an invariant either.
    return Check(name=name, verdict=Verdict.INCONCLUSIVE if one.broken_control else Verdict.PASSED, says=says)


def share_text(delta: float) -> str:
    """Return a relative delta for people."""
    return "infinite" if delta == _INFINITE else f"{delta:.2%}"


def milliseconds(seconds: float) -> str:
    """Return a latency for people."""
    return f"{seconds * 1000:.1f} ms"


_INFINITE: Final = float("inf")

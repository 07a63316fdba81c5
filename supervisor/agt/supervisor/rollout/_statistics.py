"""Conditions that ask what the traffic shows: a rule for *shown worse*, a gate for *shown not worse*.

The comparison is `agt.supervisor.evidence`'s, on messages that failed or were slower than the plan's latency limit, by
groups of devices. What each test may spend of the plan's alpha is fixed by the plan alone: its phases, its tests, and
how often a phase was entered.
"""

import math
from typing import Final

from agt.supervisor.evidence import (
    MIN_CLUSTERS,
    Boundary,
    Cluster,
    Comparison,
    Shown,
    compare_rates,
    split_alpha,
)
from agt.supervisor.measure import Readings
from agt.supervisor.rollout._durations import format_duration
from agt.supervisor.rollout._metrics import format_value
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_check import is_statistical
from agt.supervisor.rollout._plan_file import Bounds, Phase
from agt.supervisor.rollout._verdict import Judgement, Verdict

METRIC: Final = "failure_ratio"
"""The metric that is compared: failed or slow, of all that ended."""


def judge_statistics(
    bounds: Bounds, plan: Plan, readings: Readings, *, phase: int, visit: int, start: float
) -> Judgement:
    """Return what the traffic since `start` shows.

    A gate (`not_worse_by`) is passed when the candidate is shown not to be worse by that much, failed when it is shown
    worse, and else pending with what is missing. A rule (`worse_by`) is passed, and so violated, when it is shown
    worse.
    """
    boundary = _boundary(plan, phase=phase, visit=visit)
    effect = plan.file.statistics.effect
    margin = effect if bounds.not_worse_by is None else bounds.not_worse_by
    clusters = {
        runtime: [Cluster(ended, bad) for ended, bad in readings.groups(runtime, start=start)]
        for runtime in (plan.candidate, plan.control)
    }
    found = compare_rates(
        clusters[plan.candidate], clusters[plan.control], margin=margin, worse=boundary, not_worse=boundary
    )
    if reason := _too_few(plan, found):
        return Judgement(Verdict.PENDING, reason, samples=round(found.candidate.ended))
    if bounds.worse_by is not None:
        shown = found.shown is Shown.WORSE and found.low > bounds.worse_by
        verdict = Verdict.PASSED if shown else Verdict.PENDING
        return Judgement(verdict, _says(found), found.difference, round(found.candidate.ended))
    verdict = {Shown.NOT_WORSE: Verdict.PASSED, Shown.WORSE: Verdict.FAILED}.get(found.shown, Verdict.PENDING)
    says = _says(found)
    if verdict is Verdict.PENDING:
        says += f"; {_missing(found, since_s=readings.now - start)}"
    return Judgement(verdict, says, found.difference, round(found.candidate.ended))


def tests_in(plan: Plan, phase: Phase) -> int:
    """Return how many statistical conditions a phase has, rules that apply to it included."""
    gates = sum(is_statistical(gate) for gate in phase.gate)
    rules = sum(is_statistical(rule.when) for rule in plan.rules if not rule.phases or phase.name in rule.phases)
    return gates + rules


def _boundary(plan: Plan, *, phase: int, visit: int) -> Boundary:
    statistics = plan.file.statistics
    carrying = sum(1 for one in plan.phases if tests_in(plan, one))
    tests = max(1, tests_in(plan, plan.phases[phase]))
    share = split_alpha(statistics.alpha, phases=max(1, carrying), tests=tests, visit=max(1, visit))
    return Boundary.for_effect(statistics.effect, alpha=share.alpha, power=statistics.power)


def _too_few(plan: Plan, found: Comparison) -> str:
    for name, rate in ((plan.control, found.control), (plan.candidate, found.candidate)):
        if rate.clusters < MIN_CLUSTERS:
            return f"{name} has traffic in {rate.clusters} groups of devices, {MIN_CLUSTERS} are needed"
    return ""


def _says(found: Comparison) -> str:
    ours, theirs = format_value(METRIC, found.candidate.value), format_value(METRIC, found.control.value)
    if math.isinf(found.high):
        return f"{ours} against {theirs}"
    return f"{found.shown.value}: {ours} against {theirs}, the difference is {found.low:+.2%} to {found.high:+.2%}"


def _missing(found: Comparison, *, since_s: float) -> str:
    if found.missing is None:
        return "more samples alone won't decide it as it stands"
    rate = found.candidate.ended / since_s if since_s > 0 else 0.0
    left = f", {format_duration(found.missing / rate)}" if rate > 0 else ""
    return f"about {found.missing:,} more samples{left}"

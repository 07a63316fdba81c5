"""Whether a condition holds: pure functions from readings to verdicts with reasons.

No data is never passed: too few samples are `PENDING`, and messages in flight without a single result are
`FAILED`. What can't be measured at all is `INCONCLUSIVE`.
"""

import math
import operator
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from agt.supervisor.measure import Reading, Readings
from agt.supervisor.records import Alert, at_or_above
from agt.supervisor.resources import key_of
from agt.supervisor.rollout._budgets import burn_reading, burns_fast, spent
from agt.supervisor.rollout._checks import Checked, judge_check
from agt.supervisor.rollout._latency_windows import windows_breached
from agt.supervisor.rollout._metrics import INSTANT, OF_WINDOWS, format_value
from agt.supervisor.rollout._missing import missing_in_words
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_check import bounds_given, is_statistical
from agt.supervisor.rollout._plan_file import Bounds, Gate, Objective, Phase
from agt.supervisor.rollout._statistics import judge_statistics
from agt.supervisor.rollout._verdict import Judgement, Verdict, worst
from agt.supervisor.view import Severity

_COMPARE: Final[dict[str, tuple[Callable[[float, float], bool], str]]] = {
    "at_least": (operator.ge, ">="),
    "above": (operator.gt, ">"),
    "at_most": (operator.le, "<="),
    "below": (operator.lt, "<"),
    "equals": (operator.eq, "="),
}
_GROWS: Final = ("samples", "shadow_compared")
"""Counts that only grow: below the wanted number they are pending, not failed."""
STUCK_ENOUGH: Final = 3
"""So many messages that are in flight for too long decide at once, however few have ended: a small cohort that stalls
has no others to count."""
_STUCK_COUNTS: Final = ("success_ratio", "p50_seconds", "p95_seconds", "p99_seconds")
"""Metrics that what is in flight for too long makes worse."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a condition is judged on."""

    plan: Plan
    readings: Readings
    now: float
    since: float | None
    """Start of every window; None while the phase's route isn't applied."""
    candidate_since: float | None = None
    """Start of the error budgets' windows."""
    alerts: tuple[Alert, ...] = ()
    """Open ones."""
    sign_offs: Mapping[str, str] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    checks: Mapping[str, Checked] = field(default_factory=dict)
    """The newest results of named checks."""
    phase: int = 0
    """Place of the phase in the ladder."""
    visit: int = 1
    """How often the phase has been entered."""
    violation_samples: int = 0
    """An objective is not called violated on fewer samples, whatever it asks for itself."""


def gate_name(gate: Gate) -> str:
    """Return what the ladder calls a gate."""
    if gate.name or gate.sign_off:
        return gate.name or f"sign-off {gate.sign_off}"
    if gate.check:
        return gate.check
    if gate.objective or gate.alerts:
        days = f" for {gate.consecutive} x {gate.window}" if gate.consecutive > 1 else ""
        return f"objective {gate.objective}{days}" if gate.objective else f"no {gate.alerts} alert"
    if gate.not_worse_by is not None:
        return f"shown not worse by {format_value(gate.metric, gate.not_worse_by)}"
    if gate.against:
        return f"{gate.metric} against {gate.against}"
    (key,) = bounds_given(gate)
    return f"{gate.metric} {_COMPARE[key][1]} {format_value(gate.metric, getattr(gate, key))}"


def gate_windows(phase: Phase) -> dict[str, str]:
    """Return how far back each gate of a phase looks, by its name: a span, `phase`, or `now` for what is no span."""
    return {gate_name(gate): _window(gate) for gate in phase.gate}


def _window(gate: Gate) -> str:
    if gate.sign_off or gate.alerts or gate.check or gate.metric in INSTANT:
        return "now"
    span = gate.window or ("its own" if gate.objective else "phase")
    return f"{gate.consecutive} x {span}" if gate.consecutive > 1 else span


def judge_gate(gate: Gate, look: Look) -> Judgement:
    """Return how one gate of a phase stands."""
    if gate.sign_off:
        by = look.sign_offs.get(gate_name(gate))
        if by:
            return Judgement(Verdict.PASSED, f"signed off by {by}")
        signs = f"agt sign-off {shlex.quote(gate.name or gate.sign_off)} --by NAME"
        return Judgement(Verdict.PENDING, f"waits for {gate.sign_off}: {signs}")
    return judge(gate, look)


def judge(bounds: Bounds, look: Look) -> Judgement:
    """Return whether a condition holds: objectives are met, a metric is so, no such alert is open."""
    if bounds.consecutive > 1:
        return _judge_consecutive(bounds, look)
    if bounds.check:
        return _judge_check(bounds.check, look)
    if bounds.alerts:
        return _judge_alerts(bounds.alerts, look)
    if bounds.objective:
        return _judge_objectives(bounds.objective, look)
    return _with_way_out(_judge_metric(bounds, look), bounds, look)


def _judge_metric(bounds: Bounds, look: Look) -> Judgement:
    if is_statistical(bounds):
        return _judge_statistics(bounds, look)
    if bounds.metric == "error_budget_left":
        return _judge_budget(bounds, look)
    if bounds.metric in OF_WINDOWS:
        return _judge_windows(bounds, look)
    start = _start(look, bounds.window)
    if start is None:
        return Judgement(Verdict.PENDING, "routers have not applied the route yet")
    runtime = look.plan.control if bounds.runtime == "control" else look.plan.candidate
    reading = look.readings.read(key_of(bounds.metric, bounds.component), runtime, start=start)
    if bounds.against:
        judged = _judge_against(bounds, reading, look, start)
        return _with_missing(judged, reading, bounds.metric, bounds.samples, look, bounds.window)
    (key,) = bounds_given(bounds)
    wanted = _needed(bounds.metric, key, getattr(bounds, key), bounds.samples)
    return _with_missing(_judge_number(bounds, reading), reading, bounds.metric, wanted, look, bounds.window)


def _with_way_out(judged: Judgement, bounds: Bounds, look: Look) -> Judgement:
    """Add the command that ends it where one does: an incident is closed by somebody, or stands."""
    if bounds.metric != "incidents" or judged.verdict is not Verdict.FAILED:
        return judged
    numbers = [one.source.removeprefix("incident-") for one in look.alerts if one.source.startswith("incident-")]
    way_out = f"agt incident close {numbers[0] if numbers else 'N'} --cause TEXT"
    return replace(judged, reason=f"{judged.reason}; {way_out}")


def judge_objective(objective: Objective, look: Look) -> Judgement:
    """Return whether the candidate keeps one service level."""
    start = _start(look, objective.window)
    if start is None:
        return Judgement(Verdict.PENDING, f"{objective.name}: routers have not applied the route yet")
    reading = look.readings.read(objective.metric, look.plan.candidate, start=start)
    (key,) = bounds_given(objective)
    judged = compare(objective.metric, key, getattr(objective, key), reading, samples=objective.samples)
    judged = _with_missing(judged, reading, objective.metric, objective.samples, look, objective.window)
    stuck = objective.metric in _STUCK_COUNTS and reading.stuck >= STUCK_ENOUGH
    if judged.verdict is Verdict.FAILED and judged.samples < look.violation_samples and not stuck:
        few = f"{judged.samples:,} of {look.violation_samples:,} samples that a violation takes, {judged.reason}"
        judged = Judgement(Verdict.PENDING, few, judged.value, judged.samples)
    elif judged.verdict is Verdict.PASSED and look.violation_samples and look.since is not None:
        rate = burns_fast(objective, look.plan, look.readings, since=look.since)
        if rate is not None:
            says = f"{judged.reason}, but in the last check errors came {rate:,.0f} times faster than allowed"
            judged = Judgement(Verdict.FAILED, says, judged.value, judged.samples)
    return Judgement(judged.verdict, f"{objective.name}: {judged.reason}", judged.value, judged.samples)


def compare(metric: str, key: str, limit: float, reading: Reading, *, samples: int) -> Judgement:
    """Return how a reading stands to a limit."""
    sign = _COMPARE[key][1]
    if metric not in _GROWS and reading.stuck and reading.samples <= reading.stuck:
        return Judgement(Verdict.FAILED, f"{reading.stuck} in flight and no results", reading.value, reading.samples)
    if reading.value is None:
        verdict = Verdict.INCONCLUSIVE if "observed" in reading.why else Verdict.PENDING
        return Judgement(verdict, f"{reading.why}, needs {sign} {format_value(metric, limit)}")
    shown = f"{format_value(metric, reading.value)} of {sign} {format_value(metric, limit)}"
    holds = _COMPARE[key][0](reading.value, limit)
    if metric in _GROWS and key in ("at_least", "above") and not holds:
        return Judgement(Verdict.PENDING, f"{reading.value:,.0f} of {limit:,.0f}", reading.value, round(reading.value))
    if reading.samples < samples:
        return Judgement(
            Verdict.PENDING, f"{reading.samples:,} of {samples:,} samples, {shown}", reading.value, reading.samples
        )
    return Judgement(Verdict.PASSED if holds else Verdict.FAILED, shown, reading.value, reading.samples)


def _needed(metric: str, key: str, limit: float, samples: int) -> int:
    """Return how many samples a number takes to be decided."""
    if metric in _GROWS and key in ("at_least", "above"):
        return max(samples, math.floor(limit) + 1 if key == "above" else math.ceil(limit))
    return samples


def _with_missing(judged: Judgement, reading: Reading, metric: str, wanted: int, look: Look, window: str) -> Judgement:
    """Add what is missing to a verdict that waits for samples only."""
    start = _start(look, window)
    if judged.verdict is not Verdict.PENDING or reading.value is None or start is None:
        return judged
    have = round(reading.value) if metric in _GROWS else reading.samples
    missing = missing_in_words(have, wanted, elapsed_s=look.now - start, window_s=look.plan.window_s(window))
    return replace(judged, reason=f"{judged.reason}; {missing}") if missing else judged


def budget_left(objective: Objective, look: Look) -> float | None:
    """Return what is left of an objective's error budget since the candidate carries traffic; None without data.

    1 - (actual error / allowed error): 1 is untouched, below 0 is overspent.
    """
    if look.candidate_since is None:
        return None
    start = max(look.candidate_since, look.now - look.plan.window_s(objective.window))
    made = spent(objective, look.plan, look.readings, start=start)
    return None if made is None else 1.0 - made


def _judge_alerts(least: Severity, look: Look) -> Judgement:
    found = [alert for alert in look.alerts if at_or_above(alert.severity, least)]
    if found:
        return Judgement(Verdict.FAILED, f"{len(found)} open, the newest: {found[0].message}")
    return Judgement(Verdict.PASSED, "none open")


def _judge_statistics(bounds: Bounds, look: Look) -> Judgement:
    start = _start(look, bounds.window)
    if start is None:
        return Judgement(Verdict.PENDING, "routers have not applied the route yet")
    return judge_statistics(bounds, look.plan, look.readings, phase=look.phase, visit=look.visit, start=start)


def _judge_check(name: str, look: Look) -> Judgement:
    return judge_check(name, look.checks, now=look.now, since=look.since, interval_s=look.plan.recheck_s(name))


def _judge_consecutive(bounds: Bounds, look: Look) -> Judgement:
    """Judge each of the last windows by itself, newest first; all of them have to lie in the phase, and to hold.

    The older ones are looked at once there are enough of them: a month of days costs something at each check.
    """
    window_s, wanted = look.plan.window_s(bounds.window), bounds.consecutive
    if look.since is None:
        return Judgement(Verdict.PENDING, "routers have not applied the route yet")
    seen = next((number for number in range(wanted) if look.now - (number + 1) * window_s < look.since), wanted)
    fewest: int | None = None
    for number in range(wanted if seen == wanted else min(1, seen)):
        judged = _judge_window(bounds, look, end=look.now - number * window_s, length_s=window_s)
        if judged.verdict is not Verdict.PASSED:
            when = f"{number} x {bounds.window} ago: " if number else ""
            return Judgement(judged.verdict, f"{when}{judged.reason}", judged.value, judged.samples)
        fewest = judged.samples if fewest is None else min(fewest, judged.samples)
    if seen < wanted:
        return Judgement(Verdict.PENDING, f"{seen} of {wanted} x {bounds.window} seen", None, fewest or 0)
    return Judgement(Verdict.PASSED, f"held in {wanted} x {bounds.window}", None, fewest or 0)


def _judge_window(bounds: Bounds, look: Look, *, end: float, length_s: float) -> Judgement:
    """Judge a condition on one window that may lie in the past."""
    single = msgspec.structs.replace(bounds, consecutive=1)
    readings = look.readings.at(end) if end < look.now else look.readings
    return judge(single, replace(look, now=end, readings=readings, since=end - length_s))


def _judge_number(bounds: Bounds, reading: Reading) -> Judgement:
    (key,) = bounds_given(bounds)
    return compare(bounds.metric, key, getattr(bounds, key), reading, samples=bounds.samples)


def _judge_objectives(which: str, look: Look) -> Judgement:
    if which not in ("all", "any"):
        return worst(
            (judge_objective(one, look) for one in look.plan.objectives if one.name == which), empty="no such objective"
        )
    judged = [judge_objective(one, look) for one in look.plan.objectives]
    found = worst(judged, empty="no objectives")
    if found.verdict is Verdict.PASSED:
        fewest = min(one.samples for one in judged)
        return Judgement(Verdict.PASSED, f"all {len(judged)} met over {fewest:,} samples", samples=fewest)
    return found


def _judge_budget(bounds: Bounds, look: Look) -> Judgement:
    objectives = [one for one in look.plan.objectives if one.metric == "success_ratio"]
    if not objectives:
        return Judgement(Verdict.INCONCLUSIVE, "no objective on success_ratio, so there is no error budget")
    if look.since is None:
        return Judgement(Verdict.PENDING, "routers have not applied the route yet")
    left = [value for one in objectives if (value := budget_left(one, look)) is not None]
    ended = look.readings.read("samples", look.plan.candidate, start=look.candidate_since or look.since)
    reading = Reading(min(left, default=None), ended.samples, ended.stuck, "" if left else "no messages")
    return _judge_number(bounds, reading)


def _judge_windows(bounds: Bounds, look: Look) -> Judgement:
    if look.since is None:
        return Judgement(Verdict.PENDING, "routers have not applied the route yet")
    if bounds.metric == "burn_rate":
        since = look.since if look.candidate_since is None else look.candidate_since
        return _judge_number(bounds, burn_reading(bounds, look.plan, look.readings, since=since))
    (key,) = bounds_given(bounds)
    reading = windows_breached(bounds, look.plan, look.readings, since=look.since)
    return compare(bounds.metric, key, getattr(bounds, key), reading, samples=0)  # `samples` are each window's.


def _judge_against(bounds: Bounds, reading: Reading, look: Look, start: float) -> Judgement:
    if bounds.against == "control":
        other = look.readings.read(bounds.metric, look.plan.control, start=start)
        if other.value is None:
            verdict = Verdict.INCONCLUSIVE if "observed" in other.why else Verdict.PENDING
            return Judgement(verdict, f"nothing to compare with: {other.why}")
        reference = other.value
    elif (key := key_of(bounds.metric, bounds.component)) in look.baseline:
        reference = look.baseline[key]
    else:
        return Judgement(Verdict.INCONCLUSIVE, "no baseline was kept for this metric")
    limit = reference * (bounds.ratio if bounds.ratio is not None else 1 + (bounds.plus_percent or 0.0) / 100)
    judged = compare(bounds.metric, "at_most", limit, reading, samples=bounds.samples)
    says = f"{judged.reason} ({bounds.against} {format_value(bounds.metric, reference)})"
    return Judgement(judged.verdict, says, judged.value, judged.samples)


def _start(look: Look, window: str) -> float | None:
    return None if look.since is None else max(look.since, look.now - look.plan.window_s(window))

"""Named checks: what a plan has looked at from time to time, and how a result counts. Pure.

A check costs something (a command, two listings, a snapshot), so it is not done in the engine's step: the inspector
repeats what the present phase asks for, and the step reads the newest results. A result of an earlier phase counts
for nothing, and one that has grown old is pending again: no data never passes.
"""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from agt.supervisor.rollout._durations import format_duration
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Hours, Phase
from agt.supervisor.rollout._verdict import Judgement, Verdict

STALE_AFTER: Final = 3
"""A result that is older than so many of its intervals is pending again: whoever repeats it has stopped."""
WEEK_S: Final = 7 * 86400.0
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Checked:
    """The newest result of one check."""

    judgement: Judgement
    at: float
    """When it was seen, in seconds since the epoch."""
    took_s: float = 0.0


def asked_for(plan: Plan, phase: Phase, *, starting: bool) -> frozenset[str]:
    """Return the names of the checks that somebody waits for now: gates and recurring ones, rules, the preflight."""
    names = {gate.check for gate in phase.gate} | set(phase.recurring)
    names |= {rule.when.check for rule in plan.rules if not rule.phases or phase.name in rule.phases}
    if starting:
        names |= set(plan.file.preflight)
    return frozenset(names - {""})


def judge_check(
    name: str, checked: Mapping[str, Checked], *, now: float, since: float | None, interval_s: float
) -> Judgement:
    """Return how a check stands: its newest result, if it is of this phase and not too old.

    Args:
        name: The check's.
        checked: Results by name.
        now: Seconds since the epoch.
        since: When the phase was routed; None while it isn't.
        interval_s: How often the check is repeated.
    """
    found = checked.get(name)
    if found is None or since is None or found.at < since:
        return Judgement(Verdict.PENDING, f"{name}: not looked at since the phase was routed")
    if now - found.at > STALE_AFTER * interval_s + found.took_s:
        return Judgement(Verdict.PENDING, f"{name}: last looked at {format_duration(now - found.at)} ago")
    judged = found.judgement
    return Judgement(judged.verdict, f"{name}: {judged.reason}", judged.value, judged.samples)


def preflight_missing(plan: Plan, checked: Mapping[str, Checked], *, now: float) -> str:
    """Return why the first phase may not begin yet; empty when every preflight check has passed."""
    for name in plan.file.preflight:
        judged = judge_check(name, checked, now=now, since=0.0, interval_s=plan.recheck_s(name))
        if judged.verdict is not Verdict.PASSED:
            return f"preflight {judged.verdict.word}: {judged.reason}"
    return ""


def failed_recurring(
    plan: Plan, phase: Phase, checked: Mapping[str, Checked], *, now: float, since: float | None
) -> str:
    """Return which of the phase's recurring checks has failed and why; empty when none has."""
    for name in phase.recurring:
        judged = judge_check(name, checked, now=now, since=since, interval_s=plan.recheck_s(name))
        if judged.verdict is Verdict.FAILED:
            return judged.reason
    return ""


def judge_hours(hours: Hours, *, now: float, back_s: float = 0.0) -> Judgement:
    """Return whether a moment lies in the hours: passed inside, pending outside with the time left.

    Args:
        hours: When it is open.
        now: The moment, in seconds since the epoch.
        back_s: Open within so many seconds before counts as well, up to a week.
    """
    here = datetime.datetime.fromtimestamp(now, ZoneInfo(hours.zone))
    back = datetime.timedelta(seconds=min(back_s, WEEK_S))
    spans = list(_spans(hours, (here - back).date(), here.date()))
    for start, end in spans:
        if start <= here and here - back < end:
            return Judgement(Verdict.PASSED, f"open until {end:%H:%M} ({hours.zone})")
    following = min((start for start, _ in spans if start > here), default=None)
    if following is None:
        return Judgement(Verdict.PENDING, "closed this week")
    left = format_duration((following - here).total_seconds())
    return Judgement(Verdict.PENDING, f"closed; opens {following:%a %H:%M} ({hours.zone}), in {left}")


def squeezed_moment(now: float, squeeze: float) -> float:
    """Return a moment of this week by a clock that runs `squeeze` times as fast, for hours of a squeezed plan."""
    return now if squeeze == 1 else now - now % WEEK_S + now * squeeze % WEEK_S


def _spans(
    hours: Hours, first: datetime.date, today: datetime.date
) -> Iterable[tuple[datetime.datetime, datetime.datetime]]:
    """Yield every opening from the day before the first on until next week.

    One that ends before it begins ends on the day after.
    """
    zone = ZoneInfo(hours.zone)
    start, end = datetime.time.fromisoformat(hours.start), datetime.time.fromisoformat(hours.end)
    for offset in range(-1, (today - first).days + 8):
        day = first + datetime.timedelta(days=offset)
        if hours.days and _DAYS[day.weekday()] not in hours.days:
            continue
        last = day if end > start else day + datetime.timedelta(days=1)
        yield datetime.datetime.combine(day, start, zone), datetime.datetime.combine(last, end, zone)

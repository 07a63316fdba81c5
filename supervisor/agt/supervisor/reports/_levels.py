"""Service levels over any time of a run: what was measured, whether it was met, and how the days went. Pure."""

from dataclasses import dataclass
from typing import Literal

import msgspec

from agt.supervisor.measure import Readings, Timeline
from agt.supervisor.reports._archive import Archive
from agt.supervisor.rollout import Verdict
from agt.supervisor.rollout.service_levels import Look, Objective, budget_left, judge_objective, limit_of, shown

Status = Literal["met", "violated", "not measured"]
DAYS_MAX = 400
"""Days of a report; older ones are not told one by one."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """An error budget."""

    allowed: float
    """Share of messages that may go wrong."""
    consumed: float
    remaining: float
    """1 is untouched, below 0 is overspent."""


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """One objective over a time."""

    objective: str
    metric: str
    target: str
    """As people read it: `>= 99.90 %`."""
    actual: str
    """As people read it; empty where nothing was measured."""
    value: float | None
    samples: int
    status: Status
    says: str
    """Why it stands like that."""
    budget: Budget | None = None


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """One day of the plan."""

    start: float
    status: Status
    says: str
    """The objective that decided, where it was not met."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What was measured in a run, ready to be asked about any time of it."""

    archive: Archive
    timeline: Timeline

    @classmethod
    def of(cls, archive: Archive) -> "Levels":
        """Prepare the windows once."""
        return cls(archive, archive.timeline())

    def over(self, start: float, end: float) -> tuple[Level, ...]:
        """Return each objective of the plan over a time."""
        look = self._look(start, end)
        return tuple(_level(_whole(one), one, look) for one in self.archive.plan.objectives)

    def days(self, start: float, end: float, *, length_s: float) -> tuple[Day, ...]:
        """Return the whole days up to `end`, oldest first; what is left over at the beginning is no day."""
        count = min(DAYS_MAX, int((end - start + 1e-6) // length_s))
        first = end - count * length_s
        return tuple(self._day(first + place * length_s, length_s) for place in range(count))

    def counted(self, start: float, end: float) -> tuple[int, int]:
        """Return how many of the candidate's messages ended in a time, and how many of them failed."""
        window = self.timeline.window(start=start, end=end)
        if window is None:
            return 0, 0
        found = window.of(self.archive.plan.candidate)
        failed = round(found.not_delivered + found.indeterminate)
        return round(found.delivered) + failed, failed

    def _day(self, start: float, length_s: float) -> Day:
        levels = self.over(start, start + length_s)
        for status in ("violated", "not measured"):
            worst = next((level for level in levels if level.status == status), None)
            if worst is not None:
                return Day(start=start, status=worst.status, says=worst.says)
        if not levels:
            return Day(start=start, status="not measured", says="the plan has no objectives")
        return Day(start=start, status="met", says="")

    def _look(self, start: float, end: float) -> Look:
        plan = self.archive.plan
        readings = Readings(
            timeline=self.timeline,
            now=end,
            control=plan.control,
            latency_limit_s=plan.latency_limit_s,
            control_observed=plan.file.legacy_observed,
            past=True,
        )
        return Look(plan=plan, readings=readings, now=end, since=start, candidate_since=start)


def in_a_row(days: tuple[Day, ...]) -> int:
    """Return on how many days at the end, one after the other, every objective was met."""
    count = 0
    for day in reversed(days):
        if day.status != "met":
            break
        count += 1
    return count


def _whole(objective: Objective) -> Objective:
    """Return it over the whole time that is asked about, and not over its own window."""
    return msgspec.structs.replace(objective, window="")


def _level(whole: Objective, objective: Objective, look: Look) -> Level:
    judged = judge_objective(whole, look)
    statuses: dict[Verdict, Status] = {Verdict.PASSED: "met", Verdict.FAILED: "violated"}
    key, limit = limit_of(objective)
    left = budget_left(whole, look)
    allowed = 1.0 - limit if key in ("at_least", "above") else limit
    if objective.metric.endswith("_seconds"):
        allowed = {"p50_seconds": 0.5, "p95_seconds": 0.05, "p99_seconds": 0.01}[objective.metric]
    return Level(
        objective=objective.name,
        metric=objective.metric,
        target=shown(objective),
        actual="" if judged.value is None else shown(objective, judged.value),
        value=judged.value,
        samples=judged.samples,
        status=statuses.get(judged.verdict, "not measured"),
        says=judged.reason,
        budget=None if left is None else Budget(allowed=allowed, consumed=(1.0 - left) * allowed, remaining=left),
    )

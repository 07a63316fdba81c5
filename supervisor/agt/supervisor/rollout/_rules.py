"""Whether a rule is violated now, and which one speaks when several have been for long enough."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from agt.supervisor.rollout._gates import Look, judge
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Reaction, Rule
from agt.supervisor.rollout._verdict import Judgement, Verdict

URGENCY: Final[tuple[Reaction, ...]] = ("notify", "hold", "previous_phase", "rollback")
"""From mild to urgent; of several rules the most urgent speaks."""


VIOLATION_SAMPLES: Final = 50
"""An objective that is kept or missed by a handful of messages says nothing yet: a rule waits for so many, unless
messages are stuck (`_gates.STUCK_ENOUGH`)."""


@dataclass(frozen=True, slots=True)
class RuleLook:
    """One rule at one check."""

    rule: Rule
    violated: bool
    reason: str


def applies(rule: Rule, phase: str) -> bool:
    """Return whether a rule is meant for this phase."""
    return not rule.phases or phase in rule.phases


def look_at(rule: Rule, look: Look) -> RuleLook:
    """Return whether the rule's condition is violated at this check.

    A rule on objectives or alerts is violated when they are; a rule on a metric when the metric is as written
    (`metric = "p99_seconds", above = 2.0`). What is undecided violates nothing.
    """
    judged = judge(rule.when, replace(look, violation_samples=VIOLATION_SAMPLES))
    return RuleLook(rule, _violated(rule, judged), judged.reason)


def counted(looks: Iterable[RuleLook], before: Mapping[str, int]) -> dict[str, int]:
    """Return for how many checks in a row each rule has been violated; one good check starts over."""
    return {look.rule.name: before.get(look.rule.name, 0) + 1 for look in looks if look.violated}


def speaking(
    looks: Iterable[RuleLook], breaches: Mapping[str, int], plan: Plan, *, silent: Iterable[str]
) -> RuleLook | None:
    """Return the most urgent rule that has been violated for long enough and hasn't spoken yet, None if none has."""
    quiet = set(silent)
    ripe = [
        look
        for look in looks
        if look.violated and look.rule.name not in quiet and breaches.get(look.rule.name, 0) >= plan.checks(look.rule)
    ]
    return max(ripe, key=lambda look: URGENCY.index(look.rule.then), default=None)


def _violated(rule: Rule, judged: Judgement) -> bool:
    return judged.verdict is (Verdict.PASSED if rule.when.metric else Verdict.FAILED)

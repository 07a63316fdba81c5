"""What a journal says about what was shown before: the ways back that were taken, and what left phases carried.

A supervisor that was killed shows it again. Every decision's entry has the numbers it was made on and the state after
it, so nothing else has to be kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from agt.supervisor.records import Entry
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._step import Step
from agt.supervisor.rollout._way import Told
from agt.supervisor.view import RehearsalView, RollbackView


class Numbers(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an entry's `numbers` hold, beside the gates."""

    carried_s: float = 0.0
    """What the phase had carried when the decision was taken."""
    rollback: RollbackView | None = None
    """The way back that the entry opened or completed."""
    rehearsal: RehearsalView | None = None
    """The rehearsal that the entry keeps."""


class _After(msgspec.Struct, frozen=True, kw_only=True):
    plan: str
    phase: int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """What can be shown again."""

    rollbacks: tuple[RollbackView, ...] = ()
    """Oldest first, each as it was last known."""
    carried_s: tuple[tuple[str, float], ...] = ()
    """Each phase that was left, and the seconds that it had carried."""
    rehearsals: tuple[RehearsalView, ...] = ()
    """Oldest first."""


def past_of(plan: Plan, entries: Iterable[Entry]) -> Past:
    """Return what the entries of a plan, oldest first, say; one that can't be read says nothing."""
    rollbacks: dict[float, RollbackView] = {}
    carried: dict[str, float] = {}
    rehearsals: list[RehearsalView] = []
    phase = 0
    for entry in entries:
        try:
            numbers = msgspec.json.decode(entry.numbers, type=Numbers)
            after = msgspec.json.decode(entry.state, type=_After)
        except msgspec.DecodeError:
            continue  # Another version's; what it showed is in the journal all the same.
        if after.plan != plan.name or after.phase >= len(plan.phases):
            continue
        if numbers.rollback is not None:
            rollbacks[numbers.rollback.at] = numbers.rollback
        if numbers.rehearsal is not None:
            rehearsals.append(numbers.rehearsal)
        if after.phase != phase:
            carried[plan.phases[phase].name] = numbers.carried_s
            phase = after.phase
    return Past(tuple(rollbacks.values()), tuple(carried.items()), tuple(rehearsals))


def entry_of(done: Step, told: Told | None = None, *, carried_s: float, at: float) -> Entry:
    """Return the entry that keeps a decision: its gates, what the phase had carried, and the state after it."""
    numbers: dict[str, object] = {
        "carried_s": carried_s,
        "gates": [
            {"name": name, "verdict": judged.verdict.word, "reason": judged.reason, "samples": judged.samples}
            for name, judged in done.gates
        ],
    }
    if told is not None and told.rollback is not None:
        numbers["rollback"] = told.rollback
    state = msgspec.json.encode(done.state)
    return Entry(at=at, kind=done.kind, says=done.says, numbers=msgspec.json.encode(numbers), state=state)

"""What must never happen, one function each, over a joined history.

A check returns every violation in the order of the run, named so that a person can look it up in the logs. An
empty list is the only good answer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agt.chaos.checkers._history import Fate, History
from agt.chaos.checkers._records import Effect
from agt.transport import Outcome


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    check: str
    """`lost`, `doubled`, `order`, `untrue` or `owner`."""
    device: str
    number: int
    says: str
    """What was promised and what happened."""
    runtime: str = ""
    """The path of the last attempt, where the sender was told one."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """For how long one party was the only one that might write to a device."""

    device: str
    owner: str
    since: float
    until: float


def nothing_lost(history: History) -> list[Violation]:
    """Find messages that were promised and never acted, and such that nobody was told anything about."""
    return [_of("lost", fate, _lost_how(fate)) for fate in history.fates.values() if is_lost(fate)]


def is_lost(fate: Fate) -> bool:
    """Whether a message vanished: it did nothing, and its sender was told that it had, or nothing at all.

    `written` counts as told that it had: that is all a legacy path can say, and believing it is how losses happen.
    """
    if fate.told is None:
        return not fate.effects
    return fate.told.outcome in {Outcome.DELIVERED, Outcome.WRITTEN} and not fate.effects


def nothing_doubled(history: History) -> list[Violation]:
    """Find messages that acted more than once; arriving again without changing anything is a redelivery."""
    return [_of("doubled", fate, f"acted {fate.applied} times") for fate in history.fates.values() if fate.applied > 1]


def order_kept(history: History) -> list[Violation]:
    """Find messages that acted for the first time after a later one of the same device had."""
    return [
        _of("order", history.fates[effect.device, effect.number], f"acted after #{highest}")
        for effects in history.effects.values()
        for effect, highest in _late(effects)
        if (effect.device, effect.number) in history.fates
    ]


def nothing_untrue(history: History) -> list[Violation]:
    """Find messages of which the sender was told that they provably never arrived, and which did."""
    return [
        _of("untrue", fate, "told not_delivered, and it acted")
        for fate in history.fates.values()
        if fate.effects and fate.told is not None and fate.told.outcome == Outcome.NOT_DELIVERED
    ]


def one_owner(ownerships: Iterable[Ownership]) -> list[Violation]:
    """Find devices that two parties owned at the same time."""
    last: dict[str, Ownership] = {}
    found: list[Violation] = []
    for owned in sorted(ownerships, key=lambda owned: (owned.device, owned.since, owned.until)):
        before = last.get(owned.device)
        if before is not None and owned.since < before.until and owned.owner != before.owner:
            says = f"owned by {before.owner} until {before.until:.3f} and by {owned.owner} from {owned.since:.3f}"
            found.append(Violation("owner", owned.device, 0, says))
        if before is None or owned.until > before.until:
            last[owned.device] = owned
    return found


def _lost_how(fate: Fate) -> str:
    if fate.told is None:
        return "nobody was told anything, and it never acted"
    return f"told {fate.told.outcome}, and it never acted"


def _late(effects: Iterable[Effect]) -> Iterator[tuple[Effect, int]]:
    seen: set[int] = set()
    highest = -1
    for effect in effects:
        if effect.number not in seen and effect.number < highest:
            yield effect, highest
        seen.add(effect.number)
        highest = max(highest, effect.number)


def _of(check: str, fate: Fate, says: str) -> Violation:
    return Violation(check, fate.device, fate.number, says, fate.told.runtime if fate.told is not None else "")

"""What may happen to a message when its device moves under faults, by its wire's barrier; everything else is a bug.

The oracle finds what went wrong from the logs of sources and devices; here each finding is held against what the wire
can promise. Pure: histories in, verdicts out.

- `sequence`: nothing lost, doubled or misordered, whatever the network did.
- `ack`: a command that sets a state may reach its device twice, because its answer was lost: its sender was told of the
  resend, or had been told `written`, which an unanswered tail is repeated after.
- `half-close`, `none`: written once and never again. What legacy had written when its connection was cut may be gone;
  its sender was told no more than `written`. On the candidate their messages are acknowledged like any other's.

Nowhere may a message be lost that was told `delivered`, or act that was told `not_delivered`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from agt.chaos.checkers import Counts, Fate, History, Violation, count
from agt.chaos.demo._names import DeviceKind, DeviceName
from agt.transport import Outcome

BarrierName = Literal["sequence", "ack", "half-close", "none"]
BARRIERS: Final[Mapping[DeviceKind, BarrierName]] = {
    "lines": "sequence",
    "cync": "ack",
    "half-close": "half-close",
    "plain": "none",
}
FLIGHT_S: Final = 5.0
"""A written message counts as in flight for so long: the observer gives its reply up then."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One change of route: when it was asked for and when it had settled, in seconds since the epoch."""

    since: float
    until: float


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """One barrier's messages."""

    counts: Counts
    allowed: tuple[str, ...]
    """What went wrong and may on this wire, by name."""
    forbidden: tuple[str, ...]
    """What went wrong and never may, by name."""
    at_turns: int
    """Of what is allowed, so many were in flight when a change of route turned their device."""


def tallies(
    history: History, violations: Iterable[Violation], names: Iterable[DeviceName], turns: Iterable[Turn]
) -> dict[BarrierName, Tally]:
    """Return what happened to each barrier's messages."""
    barriers: dict[str, BarrierName] = {name.id: BARRIERS[name.kind] for name in names}
    moments = tuple(turns)
    wrong: dict[BarrierName, list[Violation]] = defaultdict(list)
    for barrier in barriers.values():
        wrong[barrier] += ()
    for violation in violations:
        wrong[barriers[violation.device]].append(violation)
    return {
        barrier: _tally(
            history,
            [fate for fate in history.fates.values() if barriers.get(fate.device) == barrier],
            found,
            barrier,
            moments,
        )
        for barrier, found in sorted(wrong.items())
    }


def allows(barrier: BarrierName, violation: Violation, fate: Fate) -> bool:
    """Tell whether a wire with this barrier may let this happen."""
    told = fate.told
    if barrier == "sequence" or told is None:
        return False
    if violation.check == "lost":
        return told.outcome == Outcome.WRITTEN
    if violation.check == "doubled":
        return told.resends > 0 or (barrier == "ack" and told.outcome == Outcome.WRITTEN)
    # A resend that is the first to arrive, behind one that was sent later: only where nothing else was promised.
    return violation.check == "order" and told.resends > 0


def _tally(
    history: History, fates: list[Fate], found: list[Violation], barrier: BarrierName, turns: tuple[Turn, ...]
) -> Tally:
    allowed: list[Violation] = []
    forbidden: list[Violation] = []
    for violation in found:
        fate = history.fates[violation.device, violation.number]
        (allowed if allows(barrier, violation, fate) else forbidden).append(violation)
    return Tally(
        counts=count(history, fates),
        allowed=tuple(map(_name, allowed)),
        forbidden=tuple(map(_name, forbidden)),
        at_turns=sum(_in_flight(history.fates[one.device, one.number], turns) for one in allowed),
    )


def _in_flight(fate: Fate, turns: tuple[Turn, ...]) -> bool:
    """Tell whether a message was on its way when a turn came."""
    ended = fate.told.t if fate.told is not None and fate.told.outcome != Outcome.WRITTEN else fate.sent.t + FLIGHT_S
    return any(fate.sent.t <= turn.since <= ended for turn in turns)


def _name(violation: Violation) -> str:
    return f"{violation.check}: {violation.device} #{violation.number}: {violation.says}"

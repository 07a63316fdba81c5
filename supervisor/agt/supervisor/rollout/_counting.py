"""Phases by number of devices: `devices = 7` is resolved once, when the phase is entered, to a last device.

As with `agt set devices 7` the selector names that device, so that the decision stays a function of selector and device
(docs/adr/0007-exact-counts.md). The routers are asked before the engine decides, so the engine stays pure. What a phase
was resolved to is remembered: going back to it asks nobody.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Phase
from agt.supervisor.rollout._state import Share, State, Status


class NotCounted(Exception):
    """Raised when a phase goes by number of devices, and so many can't be counted out now."""

    def __init__(self, phase: str, devices: int, why: str) -> None:
        super().__init__(f"{phase} takes {devices} devices: {why}")
        self.phase, self.devices, self.why = phase, devices, why


@dataclass(frozen=True, slots=True)
class Counts:
    """What numbers of devices are as shares, as the routers answered last."""

    shares: dict[int, Share] = field(default_factory=dict)
    missing: dict[int, str] = field(default_factory=dict)
    """Why a number can't be counted out."""


def share_of(phase: Phase, counts: Counts) -> Share:
    """Return the share that a phase begins with.

    Raises:
        NotCounted: when it goes by number, and that isn't known.
    """
    devices = phase.route.devices
    if devices is None:
        return Share(percent=phase.route.share)
    if devices in counts.shares:
        return counts.shares[devices]
    raise NotCounted(phase.name, devices, counts.missing.get(devices, "the routers have not been asked yet"))


def share_again(phase: Phase, state: State) -> Share:
    """Return the share of an earlier phase, as it was when that was entered; asks nobody."""
    if phase.route.devices is None:
        return Share(percent=phase.route.share)
    return state.counted.get(phase.name, Share())


def remembered(phase: Phase, state: State, share: Share) -> dict[str, Share]:
    """Return what is remembered of phases by number, once this one has been entered."""
    return state.counted if phase.route.devices is None else {**state.counted, phase.name: share}


def wanted(plan: Plan, state: State, *, operator: bool = False) -> frozenset[int]:
    """Return the numbers that the next decision may need: at a check those ahead, for an operator those at hand too."""
    phases = _ahead(plan, state, operator=operator)
    return frozenset(phase.route.devices for phase in phases if phase.route.devices is not None)


def _ahead(plan: Plan, state: State, *, operator: bool) -> Iterator[Phase]:
    if state.status is Status.STARTING and state.generation == 0:
        yield plan.phases[0]
        return
    yield from plan.phases[state.phase + 1 : state.phase + 2]
    if operator:  # Resuming enters the present phase again, or the first.
        yield from (plan.phases[0], plan.phases[state.phase])

"""The rollout's state machine: one table, one function that follows it.

    STARTING -> RUNNING -> COMPLETE          forward, one phase at a time inside RUNNING
    RUNNING <-> SUSPENDED                    a fault of gateway or control: waits, goes on by itself
    RUNNING <-> HELD                         an operator or a rule stopped it: goes on when told to
    any -> ROLLED_BACK -> CLEARED -> RUNNING locked until a cause is recorded, then resumed on purpose
    any -> KILLED -> ROLLED_BACK             everything on control until the kill switch is lifted

A pair that isn't in the table can't happen: it is refused with `NotPossible` and the state stays as it was.
"""

import datetime
import enum
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from agt.supervisor.view import RolloutStatus


class Status(enum.StrEnum):
    """Where the rollout stands."""

    STARTING = "starting"
    """Waits until every router applies the first route."""
    RUNNING = "running"
    SUSPENDED = "suspended"
    """A fault that isn't the candidate's holds it; it goes on by itself after a clean window."""
    HELD = "held"
    ROLLED_BACK = "rolled-back"
    """Went back, and is locked until a cause is recorded."""
    CLEARED = "cleared"
    """The cause is recorded; someone has to resume."""
    KILLED = "killed"
    COMPLETE = "complete"

    @property
    def shown(self) -> RolloutStatus:
        """The word that the view uses."""
        return _SHOWN[self]


_SHOWN: Final[dict[Status, RolloutStatus]] = {
    Status.STARTING: "starting",
    Status.RUNNING: "running",
    Status.SUSPENDED: "held",
    Status.HELD: "held",
    Status.ROLLED_BACK: "rolled-back",
    Status.CLEARED: "held",
    Status.KILLED: "killed",
    Status.COMPLETE: "complete",
}


class Event(enum.StrEnum):
    """What can happen to a rollout."""

    APPLIED = "applied"
    """Every router applies the route, and its moves are settled."""
    ADVANCED = "advanced"
    COMPLETED = "completed"
    FAULT_SEEN = "fault-seen"
    FAULT_CLEARED = "fault-cleared"
    HELD = "held"
    RESUMED = "resumed"
    ROLLED_BACK = "rolled-back"
    STEPPED_BACK = "stepped-back"
    SET = "set"
    """An operator set the percentage."""
    KILLED = "killed"
    KILL_LIFTED = "kill-lifted"
    CAUSE_RECORDED = "cause-recorded"


_S, _E = Status, Event

TRANSITIONS: Final[Mapping[tuple[Status, Event], Status]] = {
    (_S.STARTING, _E.APPLIED): _S.RUNNING,
    (_S.STARTING, _E.HELD): _S.HELD,
    (_S.RUNNING, _E.ADVANCED): _S.RUNNING,
    (_S.RUNNING, _E.COMPLETED): _S.COMPLETE,
    (_S.RUNNING, _E.FAULT_SEEN): _S.SUSPENDED,
    (_S.RUNNING, _E.HELD): _S.HELD,
    (_S.RUNNING, _E.SET): _S.HELD,
    (_S.SUSPENDED, _E.FAULT_CLEARED): _S.RUNNING,
    (_S.SUSPENDED, _E.HELD): _S.HELD,
    (_S.SUSPENDED, _E.SET): _S.HELD,
    (_S.HELD, _E.RESUMED): _S.RUNNING,
    (_S.HELD, _E.ADVANCED): _S.RUNNING,
    (_S.HELD, _E.COMPLETED): _S.COMPLETE,
    (_S.HELD, _E.SET): _S.HELD,
    (_S.HELD, _E.HELD): _S.HELD,
    (_S.ROLLED_BACK, _E.SET): _S.ROLLED_BACK,
    (_S.ROLLED_BACK, _E.CAUSE_RECORDED): _S.CLEARED,
    (_S.CLEARED, _E.RESUMED): _S.RUNNING,
    (_S.CLEARED, _E.HELD): _S.CLEARED,
    (_S.CLEARED, _E.SET): _S.HELD,
    (_S.COMPLETE, _E.HELD): _S.HELD,
    (_S.COMPLETE, _E.SET): _S.HELD,
    (_S.KILLED, _E.KILL_LIFTED): _S.ROLLED_BACK,
    **{(status, _E.ROLLED_BACK): _S.ROLLED_BACK for status in _S if status is not _S.KILLED},
    **{
        (status, _E.STEPPED_BACK): _S.ROLLED_BACK
        for status in (_S.RUNNING, _S.SUSPENDED, _S.HELD, _S.ROLLED_BACK, _S.CLEARED, _S.COMPLETE)
    },
    **{(status, _E.KILLED): _S.KILLED for status in _S if status is not _S.KILLED},
}


class NotPossible(Exception):
    """Raised when an event can't happen in this status; the state is as it was."""

    def __init__(self, status: Status, event: Event) -> None:
        super().__init__(f"a rollout that is {status} can't be {event}")
        self.status, self.event = status, event


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the fleet a route sends to the candidate."""

    percent: float = 0.0
    up_to: str = ""
    """The last device that is in, where the share goes by number of devices."""


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """A change of the selector beside its route: a component's flag, a device's override, or the network mode."""

    component: str = ""
    on: bool = False
    device: str = ""
    runtime: str = ""
    """Where the device is forced to; empty ends its override."""
    cohort: tuple[str, ...] = ()
    """Members that the cohort loses."""
    mode: str = ""
    """The network mode that is forced; `auto` ends that."""
    owner: str = ""
    reason: str = ""
    expires: datetime.datetime | None = None


class Freeze(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's word that nothing goes forward."""

    by: str
    reason: str
    since: float
    until: float | None = None
    """When it ends by itself, seconds since the epoch; None for never."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the next decision depends on, beside what is measured."""

    plan: str
    """The plan's name; a state of another plan is not taken over."""
    status: Status = Status.STARTING
    phase: int = 0
    """Place in the ladder."""
    generation: int = 0
    """Of the selector that carries the route; 0 before the first."""
    percent: float = 0.0
    """What is routed to the candidate now."""
    up_to: str = ""
    """The last device of the share, where it goes by number of devices."""
    counted: dict[str, Share] = {}
    """What phases by number of devices were resolved to when they were entered."""
    amendment: Amendment | None = None
    """The newest change beside the route, so that a write of it that was cut off can be made again."""
    credit_s: float = 0.0
    """What this route was carried for under earlier generations, which differed only in an override."""
    by_hand: bool = False
    """Whether the route is an operator's and not the phase's."""
    reason: str = ""
    journal: int = 0
    """Number of the newest decision."""
    entered_at: float = 0.0
    """When the phase was entered, seconds since the epoch."""
    routed_at: float | None = None
    """When the present route was decided."""
    applied_at: float | None = None
    """When every router was first seen to apply the generation, its moves settled."""
    applied_generation: int = 0
    """The newest generation that every router was seen to apply; a change beside the route raises it too."""
    window_since: float | None = None
    """Windows start no earlier than this: set anew by faults that aren't the candidate's."""
    candidate_since: float | None = None
    """Since when the candidate carries traffic, for error budgets."""
    suspended_since: float | None = None
    excused_since: float | None = None
    """When a few devices were first taken for the cause of what the candidate loses on this route."""
    blame: str = ""
    """Whose fault the last suspension was: `gateway`, `control` or `environment`."""
    breaches: dict[str, int] = {}
    """Checks in a row that each rule has been violated for."""
    fired: tuple[str, ...] = ()
    """Rules that have spoken and are still violated; each speaks once."""
    sign_offs: dict[str, str] = {}
    """Who signed off which gate of this phase."""
    routers: dict[str, str] = {}
    """Router instance last seen on each socket."""
    visits: dict[str, int] = {}
    """How often each phase was entered."""
    baseline: dict[str, float] = {}
    """Control's measures from before the candidate carried anything."""
    freeze: Freeze | None = None
    """Nothing goes forward while it lasts."""
    back_from: str = ""
    """The phase that was left by going back."""
    cause: str = ""
    """What an operator recorded about it."""

    @property
    def since(self) -> float | None:
        """Start of every window; None while the route isn't applied."""
        if self.applied_at is None:
            return None
        return max(self.applied_at, self.window_since or 0.0)


def moved(state: State, event: Event, **changes: Any) -> State:
    """Return the state after an event; the only place that assigns a status.

    Raises:
        NotPossible: if the table has no such transition.
    """
    target = TRANSITIONS.get((state.status, event))
    if target is None:
        raise NotPossible(state.status, event)
    return msgspec.structs.replace(state, status=target, **changes)

"""A wall clock that was set, or a machine that slept: seen as a jump, and taken out of every time that is kept.

Windows and the state's times are wall time, so that they survive a restart. When that jumps against the monotonic
clock, everything kept moves with it: an hour that nobody lived through is then neither an hour of evidence nor an hour
in which rules are blind. Soak doesn't come into it, the routers count that by their own clocks.
"""

from typing import Final

import msgspec

from agt.supervisor.rollout._effects import RaiseAlert
from agt.supervisor.rollout._state import State
from agt.supervisor.rollout._step import Observation, Step

JUMP_S: Final = 2.0
"""A smaller difference of the two clocks between two checks is slewing, or a busy machine."""
CLOCK: Final = "clock"
"""Source of the alert that says so."""
_TIMES: Final = (
    "entered_at",
    "routed_at",
    "applied_at",
    "window_since",
    "candidate_since",
    "suspended_since",
    "excused_since",
)


class ClockWatch:
    """Compares the wall clock with the monotonic one, from check to check."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None

    def jumped_s(self, *, wall: float, monotonic: float) -> float:
        """Return by how much the wall clock has jumped since the last call, 0 when it hasn't."""
        before, self._before = self._before, (wall, monotonic)
        if before is None:
            return 0.0
        jump_s = (wall - before[0]) - (monotonic - before[1])
        return jump_s if abs(jump_s) > JUMP_S else 0.0


def moved_with_clock(state: State, seconds: float) -> State:
    """Return the state with every time in it moved by so many seconds."""
    if not seconds:
        return state
    times = {name: getattr(state, name) for name in _TIMES}
    return msgspec.structs.replace(state, **{name: at + seconds for name, at in times.items() if at is not None})


def not_ahead(state: State, now: float) -> State:
    """Return the state as a supervisor that starts may use it: the clock was set back while none was running."""
    times = {name: getattr(state, name) for name in _TIMES}
    return msgspec.structs.replace(state, **{name: min(at, now) for name, at in times.items() if at is not None})


def clock_was_set(state: State, seen: Observation) -> Step | None:
    """Write down that the clock was set; the state has been moved with it already."""
    if not seen.clock_jump_s:
        return None
    way = "ahead" if seen.clock_jump_s > 0 else "back"
    says = f"the supervisor's clock went {abs(seen.clock_jump_s):,.0f} s {way}; every window has moved with it"
    after = msgspec.structs.replace(state, journal=state.journal + 1)
    return Step(after, (RaiseAlert("info", CLOCK, says),), says, "clock-set")

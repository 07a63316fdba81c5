"""The states of a component, as a table: what isn't in it is refused.

Theory of operation. A component waits until all of its prerequisites are ready, starts (or is adopted, which is a start
without a new process: readiness is asked again), and is ready until it dies. `DIED` is said only once the process is
gone, whatever ended it: itself, a readiness that came too late, a liveness that failed; so no state but `starting`,
`ready` and `stopping` ever has a process. A death leads to `backoff`, or to `held-down` when the restart budget is
spent; both end by waiting again, because prerequisites may have died meanwhile. `stop` is obeyed from everywhere.
"""

import enum
from collections.abc import Mapping
from typing import Final


class State(enum.StrEnum):
    """The words that the view uses."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    STOPPED = "stopped"
    BACKOFF = "backoff"
    HELD_DOWN = "held-down"


class Happening(enum.StrEnum):
    """What can happen to a component."""

    STARTED = "started"
    """A process was launched."""
    ADOPTED = "adopted"
    """A process that an earlier supervisor launched was found running."""
    BECAME_READY = "became-ready"
    DIED = "died"
    """The process is gone, or there never was one, and the policy allows a restart."""
    BUDGET_SPENT = "budget-spent"
    """The same, but the policy says hold-down."""
    RETRY = "retry"
    """Delay or hold-down have passed."""
    STOP = "stop"
    """Somebody wants it stopped."""
    ENDED = "ended"
    """The process that was to stop is gone."""
    REVIVE = "revive"
    """Somebody wants it back."""


_RUNNING = (State.STARTING, State.READY)
_IDLE = (State.WAITING, State.BACKOFF, State.HELD_DOWN)

LIFECYCLE: Final[Mapping[tuple[State, Happening], State]] = {
    (State.WAITING, Happening.STARTED): State.STARTING,
    (State.WAITING, Happening.ADOPTED): State.STARTING,
    # A launch that fails has no process to speak of; it counts as a death all the same.
    (State.WAITING, Happening.DIED): State.BACKOFF,
    (State.WAITING, Happening.BUDGET_SPENT): State.HELD_DOWN,
    (State.STARTING, Happening.BECAME_READY): State.READY,
    **{(state, Happening.DIED): State.BACKOFF for state in _RUNNING},
    **{(state, Happening.BUDGET_SPENT): State.HELD_DOWN for state in _RUNNING},
    (State.BACKOFF, Happening.RETRY): State.WAITING,
    (State.HELD_DOWN, Happening.RETRY): State.WAITING,
    **{(state, Happening.STOP): State.STOPPING for state in _RUNNING},
    **{(state, Happening.STOP): State.STOPPED for state in _IDLE},
    (State.STOPPING, Happening.ENDED): State.STOPPED,
    (State.STOPPED, Happening.REVIVE): State.WAITING,
}


class IllegalHappening(Exception):
    """Raised when something can't happen in a state; nothing was changed."""

    def __init__(self, state: State, happening: Happening) -> None:
        super().__init__(f"a component that is {state} can't have {happening}")
        self.state, self.happening = state, happening


def next_state(state: State, happening: Happening) -> State:
    """Look the next state up.

    Raises:
        IllegalHappening: when the table has no such transition.
    """
    try:
        return LIFECYCLE[state, happening]
    except KeyError:
        raise IllegalHappening(state, happening) from None

"""What a step asks the world to do; each effect is absolute and keyed by its journal number: twice is once.

`forward` effects may only be performed after their decision is durable; the others are performed first and
recorded after, because going back must need neither disk nor store.
"""

from dataclasses import dataclass

from agt.supervisor.records import IncidentSeverity, Policy
from agt.supervisor.rollout._plan_file import Route
from agt.supervisor.rollout._state import Amendment
from agt.supervisor.view import Severity


@dataclass(frozen=True, slots=True)
class SetRoute:
    """Make the selector this route at this generation."""

    journal: int
    generation: int
    route: Route | None
    """None leaves the route as it is."""
    forward: bool
    """Whether it gives the candidate anything that it doesn't have."""
    ends_kill: bool = False
    """Whether it ends a kill."""
    up_to: str = ""
    """The last device of the share, where it was set by count."""
    amendment: Amendment | None = None
    """What changes beside the route."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Send everything to control, and keep it there until an operator ends it."""

    journal: int
    reason: str


@dataclass(frozen=True, slots=True)
class Number:
    """Give the selector that somebody wrote by hand this generation."""

    journal: int
    generation: int


@dataclass(frozen=True, slots=True)
class RaiseAlert:
    """Write an alert to the ledger; one that is open already is not written twice."""

    severity: Severity
    source: str
    message: str
    policy: Policy = "auto-resolve"


@dataclass(frozen=True, slots=True)
class ResolveAlerts:
    """Resolve what this source has open."""

    source: str


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """Open an incident for what a rule has seen."""

    severity: IncidentSeverity
    title: str
    rule: str


Effect = SetRoute | Kill | Number | RaiseAlert | ResolveAlerts | OpenIncident


def is_forward(effect: Effect) -> bool:
    """Return whether the effect has to wait for its record."""
    return isinstance(effect, SetRoute) and effect.forward

"""What a run was, told from the views that the supervisor streamed: which phase when, and what its gates said. Pure."""

from dataclasses import dataclass, field

from agt.supervisor.view import GateView, View

ENDED = frozenset({"complete", "rolled-back", "killed"})
"""Statuses in which a headless run has nothing more to wait for."""
_WORST_FIRST = ("failed", "error", "inconclusive", "pending")


@dataclass(slots=True)
class Visit:
    """One stay in one phase."""

    name: str
    entered_at: float
    """Seconds since the Unix epoch."""
    soak_s: float
    left_at: float | None = None
    gates: tuple[GateView, ...] = ()
    """As they were seen last."""
    passed: bool = False
    """Whether it was left forwards."""

    @property
    def verdict(self) -> str:
        """`passed` when it was left forwards, else the worst that its gates say."""
        if self.passed:
            return "passed"
        verdicts = {gate.verdict for gate in self.gates}
        return next((word for word in _WORST_FIRST if word in verdicts), "pending")


@dataclass(slots=True)
class Story:
    """Every visit in order, and the last view."""

    visits: list[Visit] = field(default_factory=list)
    last: View | None = None

    @property
    def status(self) -> str:
        """The rollout's status as seen last."""
        return self.last.status if self.last is not None else "starting"

    @property
    def ended(self) -> bool:
        """Whether the rollout has come to an end."""
        return self.status in ENDED

    @property
    def settled(self) -> bool:
        """Whether the ways back that were taken have settled too."""
        rollbacks = self.last.rollbacks if self.last is not None else ()
        return all(rollback.settled_ms is not None for rollback in rollbacks)

    def see(self, view: View) -> Visit | None:
        """Take in a newer view; returns the visit that has just begun, if one has."""
        self.last = view
        began = None
        current = self.visits[-1] if self.visits and self.visits[-1].left_at is None else None
        if view.status == "rolled-back" and current is not None:
            current.left_at = view.at
        elif view.phase and view.status != "starting" and (current is None or current.name != view.phase):
            began = self._enter(view, current)
        elif current is not None and view.gates:
            current.gates = view.gates
        if view.status == "complete" and self.visits:
            self.visits[-1].passed = True
            self.visits[-1].left_at = self.visits[-1].left_at or view.at
        return began

    def _enter(self, view: View, left: Visit | None) -> Visit | None:
        if view.status in ENDED:
            return None
        names = [phase.name for phase in view.phases]
        if left is not None:
            left.left_at = view.at
            left.passed = names.index(view.phase) > names.index(left.name)
        soak_s = next((phase.soak_s for phase in view.phases if phase.name == view.phase), 0.0)
        visit = Visit(view.phase, view.at, soak_s, gates=view.gates)
        self.visits.append(visit)
        return visit

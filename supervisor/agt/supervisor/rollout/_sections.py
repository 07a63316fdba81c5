"""The view's sections that a rollout fills: what the state, the last check and the live figures look like to people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agt.router import Selector
from agt.supervisor.rollout._freeze import frozen
from agt.supervisor.rollout._live import Live
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._state import State, Status
from agt.supervisor.rollout._step import Observation
from agt.supervisor.rollout._verdict import Judgement
from agt.supervisor.rollout._views import (
    budget_views,
    drill_views,
    gate_views,
    ledger_views,
    mode_views,
    override_views,
    phase_views,
    router_views,
    selector_problems,
    switch_views,
)
from agt.supervisor.view import AlertView, RehearsalView, RollbackView


@dataclass(frozen=True, slots=True)
class Picture:
    """What the runner knows at one instant."""

    plan: Plan
    state: State
    seen: Observation
    gates: tuple[tuple[str, Judgement], ...]
    live: Live
    alerts: Iterable[AlertView]
    rollbacks: tuple[RollbackView, ...]
    rehearsals: tuple[RehearsalView, ...]
    selector: Selector | None
    carried_before: Mapping[str, float]
    """What earlier phases were carried, by name."""
    now: float


def sections_of(picture: Picture) -> dict[str, Any]:
    """Return the sections of `View` that a rollout knows."""
    plan, state, seen = picture.plan, picture.state, picture.seen
    phase, selector = plan.phases[state.phase], picture.selector
    return {
        "plan": plan.name,
        "status": state.status.shown,
        "reason": state.reason,
        "phase": phase.name,
        "squeeze": plan.squeeze,
        "percentage": state.percent,
        "kill_switch": state.status is Status.KILLED,
        "selector_generation": state.generation,
        "phases": phase_views(plan, state, carried_s=seen.carried_s, carried_before=dict(picture.carried_before)),
        "gates": gate_views(picture.gates, phase, left_s=plan.soak_s(phase) - seen.carried_s),
        "runtimes": picture.live.runtimes,
        "history": picture.live.history,
        "budgets": budget_views(plan, state, seen, now=picture.now),
        "alerts": tuple(picture.alerts),
        "rollbacks": picture.rollbacks,
        "rehearsals": picture.rehearsals,
        "frozen": frozen(plan, state, now=picture.now),
        "ledger": ledger_views(plan, seen.routers),
        "drills": drill_views(plan),
        "routers": router_views(seen.routers),
        "switches": switch_views(seen.routers),
        "components": dict(selector.components) if selector else {},
        "overrides": override_views(selector, now=picture.now),
        "modes": mode_views(seen.routers),
        "selector_problems": selector_problems(seen.routers),
    }

"""What the engine knows, as the sections of the view: words and numbers, no behaviour."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from agt.router import Selector
from agt.router.modes import ModeStatus, mode_line
from agt.supervisor.measure import Readings, RouterSeen, RouterStatus
from agt.supervisor.rollout._budgets import burn_shown
from agt.supervisor.rollout._charts import Charts
from agt.supervisor.rollout._durations import format_duration
from agt.supervisor.rollout._gates import budget_left
from agt.supervisor.rollout._metrics import METRICS, format_value
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Phase, Route
from agt.supervisor.rollout._state import State, Status
from agt.supervisor.rollout._step import Observation, look_of
from agt.supervisor.rollout._verdict import Judgement
from agt.supervisor.view import (
    BudgetView,
    DrillView,
    GateView,
    LedgerView,
    ModeView,
    OverrideView,
    PhaseState,
    PhaseView,
    RouterView,
    RuntimeView,
    SwitchView,
)

_COUNTS: Final = ("devices", "sessions", "pinned")
"""What routers count by runtime, and the view adds up."""
_LEDGER_KEYS: Final = ("accepted", "delivered", "written", "not_delivered", "indeterminate", "resends")


def phase_views(
    plan: Plan, state: State, *, carried_s: float, carried_before: dict[str, float]
) -> tuple[PhaseView, ...]:
    """Return the ladder."""
    return tuple(
        PhaseView(
            name=phase.name,
            state=_phase_state(state, phase.name, index),
            percent=state.counted[phase.name].percent if phase.name in state.counted else phase.route.share,
            soak_s=plan.soak_s(phase),
            carried_s=carried_s if index == state.phase else carried_before.get(phase.name, 0.0),
            planned=phase.soak,
            note=_note(phase.route),
        )
        for index, phase in enumerate(plan.phases)
    )


def gate_views(gates: Iterable[tuple[str, Judgement]], phase: Phase, *, left_s: float) -> tuple[GateView, ...]:
    """Return the gates of the active phase."""
    metrics = [gate.metric for gate in phase.gate]
    return tuple(
        GateView(
            name=name,
            verdict=judged.verdict.word,
            reason=judged.reason
            if left_s <= 0 or judged.verdict
            else f"{judged.reason}; {format_duration(left_s)} to go",
            value=format_value(metric, judged.value) if metric in METRICS and judged.value is not None else "",
            samples=judged.samples,
        )
        for (name, judged), metric in zip(gates, metrics, strict=True)
    )


def runtime_views(
    plan: Plan, routers: Iterable[RouterSeen], readings: Readings, *, start: float
) -> tuple[RuntimeView, ...]:
    """Return both runtimes over what was measured since `start`, in seconds since the epoch."""
    seen = tuple(routers)
    names = (plan.control, plan.candidate)
    counts = {name: {key: _counted(seen, name, key) for key in _COUNTS} for name in names}
    total = sum(counts[name]["devices"] for name in names)
    return tuple(_runtime_view(plan, readings, name, counts[name], total, start=start) for name in names)


def budget_views(plan: Plan, state: State, seen: Observation, *, now: float) -> tuple[BudgetView, ...]:
    """Return what is left of each objective's budget."""
    look = look_of(plan, state, seen, now=now)
    return tuple(
        BudgetView(
            objective=one.name,
            left=budget_left(one, look),
            burn=burn_shown(one, plan, seen.readings, since=state.candidate_since),
        )
        for one in plan.objectives
    )


def ledger_views(plan: Plan, routers: Iterable[RouterSeen]) -> tuple[LedgerView, ...]:
    """Return what became of every message, added over the routers."""
    found = [router.status for router in routers if router.status is not None]
    views = []
    for name in (plan.control, plan.candidate):
        sums = {key: sum(int(one.ledger.get(name, {}).get(key, 0)) for one in found) for key in _LEDGER_KEYS}
        in_flight = sum(int(one.runtimes.get(name, {}).get("in_flight", 0)) for one in found)
        views.append(LedgerView(runtime=name, in_flight=in_flight, **sums))
    return tuple(views)


def router_views(routers: Iterable[RouterSeen]) -> tuple[RouterView, ...]:
    """Return each router with the generation that it confirms, or why it is missing."""
    return tuple(
        msgspec.structs.replace(
            _router_view(router.socket, router.status, router.error),
            unmeasured=router.error if router.status is not None else "",
            age_s=router.age_s,
        )
        for router in routers
    )


def switch_views(routers: Iterable[RouterSeen]) -> tuple[SwitchView, ...]:
    """Return what the environment of each router overrides."""
    return tuple(
        SwitchView(
            router=router.socket,
            variable=str(one.get("variable", "")),
            overrides=bool(one.get("overrides")),
            says=str(one.get("says", "")),
        )
        for router in routers
        if router.status is not None
        for one in router.status.switches
    )


def mode_views(routers: Iterable[RouterSeen]) -> tuple[ModeView, ...]:
    """Return the network mode of each router."""
    return tuple(_mode_view(router.socket, router.status.mode) for router in routers if router.status is not None)


def _mode_view(router: str, status: ModeStatus) -> ModeView:
    measured = status.measured
    return ModeView(
        router=router,
        says=mode_line(status),
        mode=status.mode,
        measured=measured.mode,
        forced_by=status.forced_by,
        latency_s=measured.latency_s,
        latencies=tuple(sample.value for sample in measured.latencies),
        bandwidth=measured.bandwidth,
        bandwidths=tuple(sample.value for sample in measured.bandwidths),
        since=measured.since,
    )


def override_views(selector: Selector | None, *, now: float) -> tuple[OverrideView, ...]:
    """Return the devices that are forced now; what has expired is left out."""
    return tuple(
        OverrideView(
            device=one.device,
            runtime=one.runtime,
            owner=one.owner,
            reason=one.reason,
            expires_at=one.expires.timestamp() if one.expires else None,
        )
        for one in (selector.overrides if selector else ())
        if one.expires is None or one.expires.timestamp() > now
    )


def selector_problems(routers: Iterable[RouterSeen]) -> tuple[str, ...]:
    """Return what routers find wrong, each once."""
    found = (says for router in routers if router.status is not None for says in router.status.problems)
    return tuple(dict.fromkeys(found))


def drill_views(plan: Plan) -> tuple[DrillView, ...]:
    """Return what an operator may try on purpose."""
    return tuple(DrillView(name=drill.name, says=drill.says) for drill in plan.drills)


def add_points(charts: Charts, runtimes: Iterable[RuntimeView]) -> None:
    """Put one point for each runtime's p99 and rate on the charts."""
    for view in runtimes:
        charts.add(f"{view.name} p99", view.p99_s)
        charts.add(f"{view.name} rate", view.rate)


def _runtime_view(
    plan: Plan, readings: Readings, name: str, counts: dict[str, int], total: int, *, start: float
) -> RuntimeView:
    window = readings.timeline.window(start=start, end=readings.now)
    counters = window.of(name) if window else None
    values: dict[str, Any] = {
        key: readings.read(metric, name, start=start).value
        for key, metric in (("success", "success_ratio"), ("p50_s", "p50_seconds"), ("p99_s", "p99_seconds"))
    }
    control = name == plan.control
    return RuntimeView(
        name=name,
        role="control" if control else "candidate",
        **counts,
        share=counts["devices"] / total if total else 0.0,
        observed=control and readings.control_observed,
        rate=counters.accepted / window.seconds if window and counters and window.seconds else 0.0,
        in_flight=round(readings.timeline.gauges(name).in_flight),
        **values,
    )


def _counted(routers: Iterable[RouterSeen], runtime: str, key: str) -> int:
    return sum(int(one.status.runtimes.get(runtime, {}).get(key, 0)) for one in routers if one.status)


def _router_view(socket: str, status: RouterStatus | None, error: str) -> RouterView:
    if status is None:
        return RouterView(router=socket, error=error)
    return RouterView(
        router=socket,
        generation=status.generation,
        settled=status.settled_generation >= status.generation,
        killed=status.killed,
        devices=sum(int(runtime.get("devices", 0)) for runtime in status.runtimes.values()),
    )


def _phase_state(state: State, name: str, index: int) -> PhaseState:
    if name == state.back_from and state.status in (Status.ROLLED_BACK, Status.CLEARED):
        return "rolled-back"
    if index < state.phase or state.status is Status.COMPLETE:
        return "done"
    return "active" if index == state.phase else "pending"


def _note(route: Route) -> str:
    notes = []
    if route.devices is not None:
        notes.append(f"exactly {route.words}")
    if route.shadow != "off":
        notes.append("shadow" if route.shadow == "candidate" else "shadows control")
    if route.legacy_listener != "serve":
        notes.append(f"legacy {route.legacy_listener}s")
    if route.cohort:
        notes.append(f"{len(route.cohort)} by name")
    if on := [name for name, flag in route.components.items() if flag]:
        notes.append(f"{', '.join(on)} on")
    if route.pin_live_sessions:
        notes.append("live sessions pinned")
    return ", ".join(notes)

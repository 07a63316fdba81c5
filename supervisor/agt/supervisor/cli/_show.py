"""The command that shows: `status`."""

from datetime import UTC, datetime

import typer

from agt.supervisor.cli._options import Json, RunDir, control, print_json
from agt.supervisor.view import (
    AlertView,
    OverrideView,
    PhaseView,
    ProcessView,
    RehearsalView,
    RouterView,
    RuntimeView,
    View,
)

_MARKS = {"done": "v", "active": ">", "pending": ".", "rolled-back": "<"}
_VERDICT_MARKS = {"passed": "v", "pending": ".", "inconclusive": "?", "error": "!", "failed": "x"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(run_dir: RunDir = None, json: Json = False) -> None:
    """Say where the rollout stands, what its gates wait for, and how the processes are."""
    view = control(run_dir).view()
    if json:
        print_json(view)
    else:
        typer.echo("\n".join(status_lines(view)))


def status_lines(view: View) -> list[str]:
    """Write a view down for people."""
    lines = [f"{view.plan}: {view.status}{f' ({view.reason})' if view.reason else ''}"]
    killed = ", KILL SWITCH ON" if view.kill_switch else ""
    lines.append(f"{view.percentage:g} % on the candidate, squeeze {view.squeeze:g}x{killed}")
    if view.frozen:
        lines.append(view.frozen)
    sections = {
        "phases": [_phase_line(phase) for phase in view.phases],
        f"gates of {view.phase}": [
            f"{_VERDICT_MARKS[gate.verdict]} {gate.name}: {gate.verdict}, {gate.reason}" for gate in view.gates
        ],
        "way back": [_rehearsal_line(one) for one in view.rehearsals[-1:]],
        "routers": [_router_line(one) for one in view.routers],
        "environment": [
            f"{'!' if switch.overrides else ' '} {switch.router}: {switch.says}" for switch in view.switches
        ],
        "components": [f"{name}: {'on' if on else 'off'}" for name, on in sorted(view.components.items())],
        "overrides": [_override_line(one) for one in view.overrides],
        "network": [f"{f'{one.router}: ' if len(view.modes) > 1 else ''}mode {one.says}" for one in view.modes],
        "selector": [f"! {problem}" for problem in view.selector_problems],
        "traffic": [_runtime_line(runtime) for runtime in view.runtimes],
        "processes": [_process_line(process) for process in view.processes],
        "open alerts": [_alert_line(alert) for alert in view.alerts if alert.open],
    }
    for title, body in sections.items():
        if body:
            lines += ["", title, *(f"  {line}" for line in body)]
    return lines


def _phase_line(phase: PhaseView) -> str:
    soak = f", carried {phase.carried_s:.0f} of {phase.soak_s:.0f} s" if phase.state == "active" else ""
    note = f", {phase.note}" if phase.note else ""
    return f"{_MARKS[phase.state]} {phase.name}: {phase.percent:g} %, soak {phase.planned}{soak}{note}"


def _runtime_line(runtime: RuntimeView) -> str:
    measured = f"success {_percent(runtime.success)}, p99 {_milliseconds(runtime.p99_s)}"
    sessions = f"{runtime.sessions} live sessions{f' ({runtime.pinned} pinned)' if runtime.pinned else ''}"
    load = f"{runtime.devices} devices, {sessions}, {runtime.rate:.0f} msg/s"
    return f"{runtime.name}: {load}, {measured}, {runtime.in_flight} in flight"


def _rehearsal_line(one: RehearsalView) -> str:
    settled = "not settled" if one.settled_ms is None else f"back in {one.settled_ms:.0f} ms"
    return f"rehearsed {_time(one.at)} with {one.device}: {one.problem or settled}"


def _router_line(one: RouterView) -> str:
    if one.error:
        return f"! {one.router}: MISSING, {one.error}"
    settled = "settled" if one.settled else "still moving"
    killed = ", killed" if one.killed else ""
    stale = f", figures {one.age_s:.0f} s old" if one.age_s and not one.unmeasured else ""
    unmeasured = f", NOT MEASURED: {one.unmeasured}" if one.unmeasured else ""
    says = f"generation {one.generation}, {settled}, {one.devices:,} devices{killed}{stale}{unmeasured}"
    return f"{'!' if one.unmeasured else ' '} {one.router}: {says}"


def _process_line(one: ProcessView) -> str:
    pid = f" (pid {one.pid})" if one.pid else ""
    detail = f": {one.detail}" if one.detail else ""
    sooner = f"; try it now: agt component start {one.name}" if one.state == "held-down" else ""
    return f"{one.name}: {one.state}{pid}, restarts {one.restarts}{detail}{sooner}"


def _override_line(one: OverrideView) -> str:
    until = f", until {_time(one.expires_at)}" if one.expires_at is not None else ""
    return f"{one.device} on {one.runtime}, by {one.owner}{f': {one.reason}' if one.reason else ''}{until}"


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}Z"


def _alert_line(alert: AlertView) -> str:
    return f"{_time(alert.at)} {alert.severity:8} {alert.source}: {alert.message}{'' if alert.open else ' (resolved)'}"


def _percent(ratio: float | None) -> str:
    return "unknown" if ratio is None else f"{100 * ratio:.2f} %"


def _milliseconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{1000 * seconds:.0f} ms"

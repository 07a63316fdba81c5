"""The supervisor's own Prometheus metrics, written from the view at each scrape.

They are plain gauges of facts that the view already holds, so the text is written directly: importing a client library
for a dozen lines would double the supervisor's start.
"""

from collections.abc import Iterator
from typing import Final

from agt.supervisor.view import View

METRICS_TYPE: Final = "text/plain; version=0.0.4"

_STATUSES: Final = ("starting", "running", "held", "rolled-back", "complete", "killed")


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _sample(name: str, value: float, **labels: str) -> str:
    text = ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items())
    return f"{name}{{{text}}} {value:g}" if text else f"{name} {value:g}"


def _family(name: str, kind: str, says: str, samples: list[str]) -> Iterator[str]:
    yield f"# HELP {name} {says}"
    yield f"# TYPE {name} {kind}"
    yield from samples


def _lines(view: View, streams: int) -> Iterator[str]:
    yield from _family(
        "agt_rollout_status",
        "gauge",
        "1 for the status that the rollout is in.",
        [_sample("agt_rollout_status", view.status == status, plan=view.plan, status=status) for status in _STATUSES],
    )
    yield from _family(
        "agt_rollout_percentage",
        "gauge",
        "Percentage that the selector routes to the candidate.",
        [_sample("agt_rollout_percentage", view.percentage, plan=view.plan)],
    )
    yield from _family(
        "agt_rollout_phase_active",
        "gauge",
        "1 for the active phase.",
        [_sample("agt_rollout_phase_active", p.state == "active", plan=view.plan, phase=p.name) for p in view.phases],
    )
    yield from _family(
        "agt_kill_switch", "gauge", "1 while the kill switch is on.", [_sample("agt_kill_switch", view.kill_switch)]
    )
    yield from _family(
        "agt_error_budget_left",
        "gauge",
        "Share of an objective's error budget that is left.",
        [_sample("agt_error_budget_left", b.left, objective=b.objective) for b in view.budgets if b.left is not None],
    )
    yield from _family(
        "agt_error_budget_burn",
        "gauge",
        "How many times faster than allowed a budget is spent, in the window and in its twelfth.",
        [
            _sample("agt_error_budget_burn", rate, objective=b.objective, window=window)
            for b in view.budgets
            for window, rate in b.burn.items()
        ],
    )
    yield from _family(
        "agt_alerts_open",
        "gauge",
        "Open alerts in view by severity.",
        [
            _sample("agt_alerts_open", sum(a.open and a.severity == s for a in view.alerts), severity=s)
            for s in ("info", "warn", "degraded", "escalate")
        ],
    )
    yield from _family(
        "agt_component_ready",
        "gauge",
        "1 while the component is ready.",
        [_sample("agt_component_ready", p.state == "ready", component=p.name) for p in view.processes],
    )
    yield from _family(
        "agt_component_restarts_total",
        "counter",
        "Restarts of the component.",
        [_sample("agt_component_restarts_total", p.restarts, component=p.name) for p in view.processes],
    )
    yield from _costs(view)
    yield from _family(
        "agt_control_streams", "gauge", "Open streams of the control API.", [_sample("agt_control_streams", streams)]
    )


def _costs(view: View) -> Iterator[str]:
    for name, field, says in (
        ("agt_component_cpu_share", "cpu_share", "Share of one core over the last minute."),
        ("agt_component_resident_bytes", "rss_bytes", "Resident memory of the component."),
        ("agt_component_open_descriptors", "descriptors", "Open file descriptors of the component."),
    ):
        values = [(p.name, getattr(p, field)) for p in view.processes]
        yield from _family(
            name, "gauge", says, [_sample(name, value, component=one) for one, value in values if value is not None]
        )


def render_metrics(view: View, streams: int) -> str:
    """Return the metrics of a view in Prometheus's text format."""
    return "\n".join(_lines(view, streams)) + "\n"

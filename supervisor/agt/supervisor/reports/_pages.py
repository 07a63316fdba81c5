"""Reports as Markdown pages, for people; the JSON beside each has every number. Pure."""

from functools import singledispatch

from agt.supervisor.reports import _tables as md
from agt.supervisor.reports._completion import CompletionReport
from agt.supervisor.reports._incident import IncidentReport
from agt.supervisor.reports._retrospective import RetrospectiveReport
from agt.supervisor.reports._slo import SloReport
from agt.supervisor.rollout import format_duration
from agt.supervisor.versions import matrix_page
from agt.supervisor.view import RollbackView

TEMPLATE = ("What went well", "What could be improved", "Lessons learned", "Action items")
"""Document 004's sections for people."""


@singledispatch
def page(report: object) -> str:
    """Return a report's page."""
    raise TypeError(f"there is no page for {type(report).__name__}")


@page.register
def _slo(report: SloReport) -> str:
    title = f"{report.days_wanted}-day SLO compliance report"
    lines = md.head(report.heading, title)
    lines += [
        f"- Measured since: {md.moment(report.measured_from)}",
        f"- Days: {report.days_met} of {report.days_wanted} met, the last {report.days_in_a_row} in a row",
        f"- Compliant: {'yes' if report.compliant else 'no'}",
        "",
    ]
    lines += [*md.levels(report.levels), *md.incidents(report.incidents), *md.days(report.days)]
    lines += ["## Recommendations", "", *(f"- {md.cell(one)}" for one in report.recommendations), ""]
    return "\n".join(lines)


@page.register
def _incident(report: IncidentReport) -> str:
    lines = md.head(report.heading)
    lines += ["## What happened", "", f"{md.moment(report.at)}: {md.cell(report.title)}", ""]
    if report.rollback is not None:
        lines += [*_account(report.rollback), ""]
    lines += ["## Cause", "", md.cell(report.cause) if report.cause else "Not recorded yet.", ""]
    rows = [(md.moment(one.at), one.source, one.says) for one in report.timeline]
    lines += ["## Timeline", "", *md.table(("when", "source", "what"), rows, empty="Nothing was recorded.")]
    lines += ["## Alert ledger", ""]
    ledger = [
        (one.id, md.moment(one.created), one.severity, one.source, one.message, md.moment(one.resolved), one.policy)
        for one in report.alerts
    ]
    names = ("id", "raised", "severity", "source", "message", "resolved", "policy")
    lines += md.table(names, ledger, empty="No alert was raised.")
    lines += [*_supervisor(report), *md.levels(report.levels), "## Snapshots", ""]
    kept = [(one.id, md.moment(one.at), one.trigger, one.says) for one in report.snapshots]
    lines += md.table(("id", "taken", "why", "says"), kept, empty="None was taken in this time.")
    return "\n".join(lines)


@page.register
def _completion(report: CompletionReport) -> str:
    lines = md.head(report.heading)
    lines += [f"**{'Complete.' if report.complete else 'Not complete.'}**", "", "## Proofs", ""]
    lines += [
        f"- [{'x' if one.verdict == 'passed' else ' '}] {one.name}: {one.verdict}, {md.cell(one.says)}"
        for one in report.proofs
    ]
    lines += ["", *md.levels(report.levels), *md.incidents(report.incidents), *md.days(report.days), "## Sign-offs", ""]
    rows = [(one.phase, one.gate, one.by or "missing") for one in report.sign_offs]
    lines += md.table(("phase", "sign-off", "by"), rows, empty="The plan asks for none.")
    if report.versions is not None:
        lines.append("#" + matrix_page(report.versions))
    return "\n".join(lines)


@page.register
def _retrospective(report: RetrospectiveReport) -> str:
    lines = md.head(report.heading)
    lines += [f"Status: {report.status}, after {format_duration(report.took_s)}.", "", "## Phases", ""]
    rows = [
        (
            f"{one.phase} ({one.visit})",
            f"{one.planned} = {format_duration(one.planned_s)}",
            format_duration(one.took_s),
            md.moment(one.entered),
            one.ended_by or "it lasts",
        )
        for one in report.visits
    ]
    names = ("phase (visit)", "planned soak", "took", "entered", "ended by")
    lines += md.table(names, rows, empty="No phase was entered.")
    backs = [(one.number, md.moment(one.at), one.kind, one.says, one.cause or "not recorded") for one in report.backs]
    lines += ["## Ways back", "", *md.table(("journal", "when", "kind", "says", "cause"), backs, empty="None.")]
    drills = [(md.moment(one.created), one.message) for one in report.drills]
    lines += ["## Drills", "", *md.table(("when", "what"), drills, empty="None was run.")]
    lines += md.incidents(report.incidents)
    lines += ["## Waited for what was not the candidate's", "", *_listed(report.faults)]
    lines += ["## Forced over open gates", "", *_listed(report.forced), "## Operator actions", ""]
    lines += md.table(("action", "times"), list(report.actions.items()), empty="None.")
    for title in TEMPLATE:
        lines += [f"## {title}", "", ""]
    return "\n".join(lines)


def _account(back: RollbackView) -> list[str]:
    routed = "not confirmed by every router" if back.routed_ms is None else f"{back.routed_ms:,.0f} ms"
    settled = "not yet" if back.settled_ms is None else f"{back.settled_ms:,.0f} ms"
    return [
        f"- From {back.from_phase} to {back.to_phase}, by {md.cell(back.rule)}",
        f"- Routed: {routed}; settled: {settled}",
        f"- Moved {back.moved:,} devices, sent {back.resent:,} messages again, {back.indeterminate:,} indeterminate",
    ]


def _supervisor(report: IncidentReport) -> list[str]:
    found, state = report.supervisor, report.supervisor.state
    lines = ["## Supervisor at that moment", ""]
    if state is None:
        lines += ["The journal holds no state of that time.", ""]
    else:
        violated = ", ".join(f"{name} ({count} checks)" for name, count in state.breaches.items())
        lines += [
            f"- Decision {state.journal}, {md.moment(found.decided_at)}: {state.status.value}",
            f"- Selector generation {state.generation}, {state.percent:g} % on the candidate",
            f"- Reason: {md.cell(state.reason)}",
            f"- Violated rules: {violated or '-'}",
            "",
        ]
    gates = [(one.name, one.verdict, one.reason, one.samples) for one in found.gates]
    lines += md.table(("gate", "verdict", "reason", "samples"), gates, empty="No gates were judged.")
    lines += [f"Processes and routers, looked at {md.moment(found.pictured_at)}:", ""]
    processes = [(one.name, one.stage, one.state, one.restarts, one.detail) for one in found.processes]
    lines += md.table(("process", "stage", "state", "restarts", "detail"), processes, empty="No process is known.")
    routers = [(one.router, one.generation, one.settled, one.devices, one.error) for one in found.routers]
    return lines + md.table(
        ("router", "generation", "settled", "devices", "error"), routers, empty="No router is known."
    )


def _listed(found: tuple[str, ...]) -> list[str]:
    return [*(f"- {md.cell(one)}" for one in found or ("nothing",)), ""]

"""What a headless demo prints, and which exit status it deserves."""

from collections.abc import Sequence

import msgspec

from agt.chaos.checkers import Counts, Violation
from agt.chaos.demo._oracle import Finding, Role
from agt.chaos.demo._story import Story
from agt.supervisor.rollout import Plan, gate_windows
from agt.supervisor.view import AlertView


class GateReport(msgspec.Struct, frozen=True, kw_only=True):
    """One gate as it was seen last."""

    name: str
    verdict: str
    samples: int
    window: str
    """How far it looks back, as the plan writes it: `phase` for the whole of it, `now` where it is no span."""
    reason: str


class PhaseReport(msgspec.Struct, frozen=True, kw_only=True):
    """One stay in one phase; times in seconds since the run began."""

    name: str
    entered_s: float
    left_s: float | None
    verdict: str
    gates: tuple[GateReport, ...]
    share: float | None
    """Share of the messages that the candidate carried; null without messages."""


class RollbackReport(msgspec.Struct, frozen=True, kw_only=True, rename={"from_phase": "from", "to_phase": "to"}):
    """One way back that was taken."""

    at_s: float
    rule: str
    from_phase: str
    to_phase: str
    routed_ms: float | None
    settled_ms: float | None


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True):
    """One component."""

    restarts: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole run."""

    plan: str
    seed: int
    squeeze: float
    final_phase: str
    """The last phase, or `rolled-back`, `killed`."""
    phases: tuple[PhaseReport, ...]
    rollbacks: tuple[RollbackReport, ...]
    messages: dict[Role, Counts]
    ledger_agrees: bool
    processes: dict[str, ProcessReport]
    alerts: dict[str, int]


def visit_key(index: int, name: str) -> str:
    """Name one stay, since a phase can be entered more than once."""
    return f"{index}/{name}"


def make_report(
    story: Story, finding: Finding, alerts: Sequence[AlertView], *, plan: Plan, began: float, seed: int
) -> Report:
    """Put the report together."""
    view = story.last
    assert view is not None, "a run without a view has no report"
    counted: dict[str, int] = {}
    for alert in alerts:
        counted[alert.severity] = counted.get(alert.severity, 0) + 1
    return Report(
        plan=view.plan,
        seed=seed,
        squeeze=round(view.squeeze, 3),
        final_phase=view.phase if view.status not in {"rolled-back", "killed"} else view.status,
        phases=_phases(story, finding, plan, began),
        rollbacks=tuple(
            RollbackReport(
                at_s=round(rollback.at - began, 3),
                rule=rollback.rule,
                from_phase=rollback.from_phase,
                to_phase=rollback.to_phase,
                routed_ms=rollback.routed_ms,
                settled_ms=rollback.settled_ms,
            )
            for rollback in view.rollbacks
        ),
        messages=finding.counts,
        ledger_agrees=finding.ledger_agrees,
        processes={process.name: ProcessReport(restarts=process.restarts) for process in view.processes},
        alerts=counted,
    )


def shortcomings(report: Report, violations: Sequence[Violation] = (), *, complete: bool, faults: bool) -> list[str]:
    """Say in words why a run deserves exit status 1; an empty list is success.

    Args:
        report: What is printed.
        violations: What the oracle found; the counts in the report have all of it but broken ownership.
        complete: Whether the plan reached its end.
        faults: Whether faults were asked for: then doubt that was admitted is fine, and so is a way back.
    """
    candidate = report.messages["candidate"]
    found = [
        f"the candidate {word} {number} messages"
        for word, number in (
            ("lost", candidate.lost),
            ("duplicated", candidate.duplicated),
            ("misordered", candidate.out_of_order),
        )
        if number
    ]
    if shared := sum(violation.check == "owner" for violation in violations):
        found.append(f"two runtimes had messages of one device on their way at once, {shared} times")
    if not report.ledger_agrees:
        found.append("the ledger disagrees with what sources and devices wrote")
    if faults:
        return found
    doubtful = sum(counts.indeterminate for counts in report.messages.values())
    if doubtful:
        found.append(f"{doubtful} messages are indeterminate without any fault")
    if not complete:
        found.append(f"the plan did not reach its end: {report.final_phase}")
    return found


def _phases(story: Story, finding: Finding, plan: Plan, began: float) -> tuple[PhaseReport, ...]:
    windows = {phase.name: gate_windows(phase) for phase in plan.phases}
    return tuple(
        PhaseReport(
            name=visit.name,
            entered_s=round(visit.entered_at - began, 3),
            left_s=round(visit.left_at - began, 3) if visit.left_at is not None else None,
            verdict=visit.verdict,
            gates=tuple(
                GateReport(
                    name=gate.name,
                    verdict=gate.verdict,
                    samples=gate.samples,
                    window=windows.get(visit.name, {}).get(gate.name, ""),
                    reason=gate.reason,
                )
                for gate in visit.gates
            ),
            share=finding.shares.get(visit_key(index, visit.name)),
        )
        for index, visit in enumerate(story.visits)
    )

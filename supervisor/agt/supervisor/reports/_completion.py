"""The proof that a migration is complete: document 004's criteria, each with what it rests on. Pure.

A proof is passed, failed or not proven. What the records don't show is not proven; nothing is taken on trust.
"""

from typing import Final, Literal

import msgspec

from agt.supervisor.reports._archive import Archive, Decision
from agt.supervisor.reports._heading import Heading, day_s, heading
from agt.supervisor.reports._levels import Day, Level, Levels, in_a_row
from agt.supervisor.reports._trouble import Troubles, troubles
from agt.supervisor.rollout import Status, format_duration
from agt.supervisor.rollout.service_levels import gate_name
from agt.supervisor.versions import VersionMatrix

BUDGET_ABOVE: Final = 0.10
"""Document 004: more than 10 % of the error budget remains."""
DAYS: Final = 30
ProofVerdict = Literal["passed", "failed", "not proven"]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One criterion."""

    name: str
    verdict: ProofVerdict
    says: str


class SignOff(msgspec.Struct, frozen=True, kw_only=True):
    """One sign-off that the plan asks for."""

    phase: str
    gate: str
    by: str = ""
    """Empty when nobody signed."""


class CompletionReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that has to be true before legacy code goes."""

    heading: Heading
    days_wanted: int
    complete: bool
    """Every proof is passed."""
    proofs: tuple[Proof, ...]
    levels: tuple[Level, ...]
    days: tuple[Day, ...]
    incidents: Troubles
    sign_offs: tuple[SignOff, ...]
    versions: VersionMatrix | None = None


def completion_report(
    archive: Archive, *, now: float, days: int = DAYS, versions: VersionMatrix | None = None
) -> CompletionReport:
    """Return the proof over the last `days` days of the plan's calendar."""
    levels, end, length_s = Levels.of(archive), archive.ended, day_s(archive)
    since = whole_since(archive)
    start = max(since if since is not None else end, end - days * length_s)
    found, passed = levels.over(start, end), levels.days(start, end, length_s=length_s)
    incidents = troubles(levels, start=start, end=end)
    signed = sign_offs(archive)
    proofs = (
        _carried(since, end, days=days, length_s=length_s),
        _met(found, passed, days),
        _uncritical(incidents, since),
        _budget(found),
        _signed(signed),
        _finished(archive),
        _nobody_left(archive),
        _chained(archive),
        _versions(versions),
    )
    return CompletionReport(
        heading=heading(archive, "completion", start=start, end=end, now=now),
        days_wanted=days,
        complete=all(one.verdict == "passed" for one in proofs),
        proofs=proofs,
        levels=found,
        days=passed,
        incidents=incidents,
        sign_offs=signed,
        versions=versions,
    )


def whole_since(archive: Archive) -> float | None:
    """Return since when the candidate carries everything without a break; None when it doesn't now."""
    since = None
    for one in archive.decisions:
        if one.state is None:
            continue
        if one.state.percent < 100 or one.state.status in (Status.KILLED, Status.ROLLED_BACK):
            since = None
        elif since is None:
            since = one.at
    return since


def sign_offs(archive: Archive) -> tuple[SignOff, ...]:
    """Return each sign-off that the plan asks for, with the last one who gave it."""
    given = [one for one in archive.decisions if one.kind == "signed-off" and one.state is not None]
    return tuple(
        SignOff(phase=phase.name, gate=gate_name(gate), by=_who(given, place, gate_name(gate)))
        for place, phase in enumerate(archive.plan.phases)
        for gate in phase.gate
        if gate.sign_off
    )


def _who(given: list[Decision], place: int, gate: str) -> str:
    for one in reversed(given):
        if one.state is not None and one.state.phase == place and gate in one.state.sign_offs:
            return one.state.sign_offs[gate]
    return ""


def _carried(since: float | None, end: float, *, days: int, length_s: float) -> Proof:
    name = f"100 % on the candidate for {days} days"
    if since is None:
        return Proof(name=name, verdict="failed", says="the candidate does not carry everything")
    seen = (end - since) / length_s
    return _judged(name, seen + 1e-6 >= days, f"{seen:.1f} of {days} days without a break")


def _met(levels: tuple[Level, ...], days: tuple[Day, ...], wanted: int) -> Proof:
    name, row = f"every objective met on {wanted} days in a row", in_a_row(days)
    violated = [level.objective for level in levels if level.status == "violated"]
    if not levels:
        return Proof(name=name, verdict="not proven", says="the plan has no objectives")
    if violated:
        return Proof(name=name, verdict="failed", says=f"over the whole time violated: {', '.join(violated)}")
    last = next((day for day in reversed(days) if day.status != "met"), None)
    why = f"; before that a day was {last.status}: {last.says}" if last else ""
    if row < wanted and last is not None and last.status == "not measured":
        return Proof(name=name, verdict="not proven", says=f"{row} of {wanted}{why}")
    return _judged(name, row >= wanted, f"{row} of {wanted}{why}")


def _uncritical(found: Troubles, since: float | None) -> Proof:
    name = "no critical incident, and none open"
    says = f"{found.total} incident(s): {found.critical} critical, {found.open} open"
    if since is None:
        return Proof(name=name, verdict="not proven", says="there is no time at 100 % to speak of")
    return _judged(name, found.critical == 0 and found.open == 0, says)


def _budget(levels: tuple[Level, ...]) -> Proof:
    name = f"error budget above {BUDGET_ABOVE:.0%}"
    left = {level.objective: level.budget.remaining for level in levels if level.budget is not None}
    if not left:
        return Proof(name=name, verdict="not proven", says="no objective with a budget was measured")
    worst = min(left, key=lambda objective: left[objective])
    return _judged(name, left[worst] > BUDGET_ABOVE, f"{left[worst]:.1%} left of {worst}")


def _signed(found: tuple[SignOff, ...]) -> Proof:
    name, missing = "every sign-off given", [one for one in found if not one.by]
    if not found:
        return Proof(name=name, verdict="passed", says="the plan asks for none")
    says = ", ".join(f"{one.gate} of {one.phase}" for one in missing)
    return _judged(name, not missing, f"missing: {says}" if missing else f"{len(found)} given")


def _finished(archive: Archive) -> Proof:
    name = "the plan is carried out"
    state = archive.decisions[-1].state if archive.decisions else None
    if state is None:
        return Proof(name=name, verdict="not proven", says="nothing was decided yet")
    phase = archive.plan.phases[min(state.phase, len(archive.plan.phases) - 1)].name
    lasted = format_duration(archive.ended - archive.begun)
    says = f"complete after {lasted}" if state.status is Status.COMPLETE else f"it is {state.status.value}, in {phase}"
    return _judged(name, state.status is Status.COMPLETE, says)


def _nobody_left(archive: Archive) -> Proof:
    """Legacy users were counted by a gate, if the plan has one; its last verdict tells."""
    name = "nobody on the legacy path"
    asked = {gate_name(gate) for phase in archive.plan.phases for gate in phase.gate if gate.metric == "legacy_users"}
    if not asked:
        return Proof(name=name, verdict="not proven", says="the plan has no gate on legacy_users")
    for one in reversed(archive.decisions):
        seen = next((gate for gate in one.numbers.gates if gate.name in asked), None)
        if seen is not None:
            return _judged(name, seen.verdict == "passed", f"gate {seen.name}: {seen.verdict}, {seen.reason}")
    return Proof(name=name, verdict="not proven", says="no decision was made on it yet")


def _chained(archive: Archive) -> Proof:
    says = archive.chain.problem or f"{archive.chain.rows:,} rows, head {archive.chain.head}"
    return _judged("the audit is whole", archive.chain.whole, says)


def _versions(matrix: VersionMatrix | None) -> Proof:
    name = "the version matrix is complete"
    if matrix is None:
        return Proof(name=name, verdict="not proven", says="none was given: --versions FILE")
    missing = ", ".join(matrix.missing)
    return _judged(name, matrix.complete, f"missing: {missing}" if missing else f"{len(matrix.rows)} components")


def _judged(name: str, holds: bool, says: str) -> Proof:  # noqa: FBT001 - the middle word of a sentence of three.
    return Proof(name=name, verdict="passed" if holds else "failed", says=says)

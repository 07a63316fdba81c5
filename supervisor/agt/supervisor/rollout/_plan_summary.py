"""A plan at one speed, in words and numbers: what `agt plan show` prints, before anything runs. Pure."""

import math

import msgspec

from agt.supervisor.components import start_order
from agt.supervisor.evidence import split_alpha
from agt.supervisor.rollout._durations import format_duration
from agt.supervisor.rollout._gates import gate_name
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_check import kinds_of
from agt.supervisor.rollout._plan_file import Bounds, Gate, Phase, Rule, When
from agt.supervisor.rollout._statistics import tests_in


class PhaseSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One rung."""

    name: str
    route: str
    """The share: `10 %`, `7 devices`."""
    soak: str
    """As the plan writes it."""
    soak_s: float
    """At this speed."""
    begins_s: float
    """Seconds from the start, if every phase is left as soon as its soak is carried."""
    back_to: str
    """Where `previous_phase` goes; `control` from the first."""
    gates: tuple[str, ...]
    recurring: tuple[str, ...] = ()
    alpha: float | None = None
    """What each statistical condition may spend at the first visit; None where the phase has none."""


class RuleSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One rule."""

    name: str
    when: str
    then: str
    checks: int
    """How many in a row it has to be violated."""
    phases: tuple[str, ...] = ()
    """Empty means everywhere."""
    incident: str = ""


class CheckSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One named check."""

    name: str
    kind: str
    every_s: float
    """At this speed."""
    asked_by: tuple[str, ...]
    """Phases whose gates or rules ask for it, `preflight`, and phases in which it recurs."""
    says: str = ""


class PlanSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A whole plan at one speed."""

    name: str
    control: str
    candidate: str
    squeeze: float
    check_every_s: float
    latency_limit_s: float
    total_soak_s: float
    alpha: float
    phases: tuple[PhaseSummary, ...]
    rules: tuple[RuleSummary, ...] = ()
    checks: tuple[CheckSummary, ...] = ()
    preflight: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    """In start order, with their stage."""
    freezes: tuple[str, ...] = ()


def summary_of(plan: Plan) -> PlanSummary:
    """Return what a plan does at its speed."""
    return PlanSummary(
        name=plan.name,
        control=plan.control,
        candidate=plan.candidate,
        squeeze=plan.squeeze,
        check_every_s=plan.check_interval_s,
        latency_limit_s=plan.latency_limit_s,
        total_soak_s=plan.total_soak_s,
        alpha=plan.file.statistics.alpha,
        phases=tuple(_phase(plan, index) for index in range(len(plan.phases))),
        rules=tuple(_rule(plan, rule) for rule in plan.rules),
        checks=tuple(
            CheckSummary(
                name=check.name,
                kind=kinds_of(check)[0],
                every_s=plan.recheck_s(check.name),
                asked_by=_asked_by(plan, check.name),
                says=check.says,
            )
            for check in plan.file.check
        ),
        preflight=plan.file.preflight,
        components=tuple(f"{spec.stage}: {spec.name}" for spec in start_order(plan.components)),
        freezes=tuple(f"{span.start} to {span.end} ({span.zone}): {span.reason}" for span in plan.file.freeze),
    )


def summary_lines(found: PlanSummary) -> list[str]:
    """Write a summary down for people."""
    soak = format_duration(found.total_soak_s)
    speed = "" if found.squeeze == 1 else f", {found.squeeze:,.0f} times faster than written"
    every = format_duration(found.check_every_s)
    lines = [
        f"{found.name}: {found.control} to {found.candidate}, checked every {every}{speed}",
        f"{soak} of soak, slow is over {found.latency_limit_s * 1000:,.0f} ms",
    ]
    sections = {
        "phases": [_phase_line(found, phase) for phase in found.phases],
        "rules": [_rule_line(rule) for rule in found.rules],
        "checks": [
            f"{one.name}: {one.kind}, every {format_duration(one.every_s)}, for {', '.join(one.asked_by) or 'nobody'}"
            for one in found.checks
        ],
        "preflight": list(found.preflight),
        "frozen": list(found.freezes),
        "processes": list(found.components),
    }
    for title, body in sections.items():
        if body:
            lines += ["", title, *(f"  {line}" for line in body)]
    if any(phase.alpha is not None for phase in found.phases):
        lines += ["", f"alpha {found.alpha:g} over the whole plan, halved with each visit of a phase"]
    return lines


def _phase(plan: Plan, index: int) -> PhaseSummary:
    phase, back = plan.phases[index], plan.back_from(index)
    return PhaseSummary(
        name=phase.name,
        route=phase.route.words,
        soak=phase.soak,
        soak_s=plan.soak_s(phase),
        begins_s=math.fsum(plan.soak_s(one) for one in plan.phases[:index]),
        back_to="control" if back is None else plan.phases[back].name,
        gates=tuple(_with_bound(gate) for gate in phase.gate),
        recurring=phase.recurring,
        alpha=_alpha(plan, phase),
    )


def _alpha(plan: Plan, phase: Phase) -> float | None:
    tests = tests_in(plan, phase)
    if not tests:
        return None
    carrying = sum(1 for one in plan.phases if tests_in(plan, one))
    return split_alpha(plan.file.statistics.alpha, phases=carrying, tests=tests).alpha


def _rule(plan: Plan, rule: Rule) -> RuleSummary:
    return RuleSummary(
        name=rule.name,
        when=_when(rule.when),
        then=rule.then,
        checks=plan.checks(rule),
        phases=rule.phases,
        incident=rule.incident,
    )


def _when(when: When) -> str:
    if when.worse_by is not None:
        return f"shown worse by {when.worse_by:.2%}"
    if when.alerts:
        return f"an open {when.alerts} alert"
    if when.check or when.objective:
        return f"{when.check} failed" if when.check else f"objective {when.objective} violated"
    return _with_bound(Gate(**{name: getattr(when, name) for name in Bounds.__struct_fields__}))


def _with_bound(gate: Gate) -> str:
    """Return a gate's name, with the bound of a comparison, which the name leaves out."""
    if gate.name or (gate.ratio is None and gate.plus_percent is None):
        return gate_name(gate)
    bound = f"{gate.ratio:g} times" if gate.ratio is not None else f"{gate.plus_percent:g} % above"
    return f"{gate.metric} at most {bound} {gate.against}"


def _asked_by(plan: Plan, name: str) -> tuple[str, ...]:
    phases = [phase.name for phase in plan.phases if name in (*phase.recurring, *(gate.check for gate in phase.gate))]
    rules = [f"rule {rule.name}" for rule in plan.rules if rule.when.check == name]
    return (*(["preflight"] if name in plan.file.preflight else []), *phases, *rules)


def _phase_line(found: PlanSummary, phase: PhaseSummary) -> str:
    soak = phase.soak if found.squeeze == 1 else f"{phase.soak} ({format_duration(phase.soak_s)})"
    alpha = "" if phase.alpha is None else f"; alpha {phase.alpha:.2g} a test"
    recurring = f"; again and again: {', '.join(phase.recurring)}" if phase.recurring else ""
    gates = ", ".join(phase.gates) or "no gates"
    return f"{phase.name}: {phase.route}, soak {soak}; {gates}{recurring}{alpha}; back to {phase.back_to}"


def _rule_line(rule: RuleSummary) -> str:
    where = f"in {', '.join(rule.phases)}" if rule.phases else "in every phase"
    row = f"for {rule.checks} checks" if rule.checks > 1 else "at once"
    incident = f", opens a {rule.incident} incident" if rule.incident else ""
    return f"{rule.name}: {rule.then} on {rule.when} {row} {where}{incident}"

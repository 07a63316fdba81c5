"""The second pass over a plan, for signals: a condition on what nobody would ever say could only wait for ever."""

from collections.abc import Iterable, Iterator

from agt.supervisor.rollout._metrics import BASELINE_METRICS, DAEMON_COUNTS, DAEMON_LEVELS, OF_COMPONENTS
from agt.supervisor.rollout._plan_file import Bounds, PlanFile
from agt.supervisor.rollout._shape import Problem

_OF_DAEMON = (*DAEMON_COUNTS, *DAEMON_LEVELS)


def baseline_problems(plan: PlanFile) -> Iterator[Problem]:
    """Yield every comparison with a baseline that nobody will have kept by then."""
    keeps = [index for index, phase in enumerate(plan.phase) if phase.baseline or not phase.route.sends]
    first = keeps[0] if keeps else len(plan.phase)
    names = [phase.name for phase in plan.phase]
    asked: list[tuple[str, Bounds, int]] = [
        (f"phase[{p}].gate[{g}]", gate, p) for p, phase in enumerate(plan.phase) for g, gate in enumerate(phase.gate)
    ]
    for index, rule in enumerate(plan.rule):
        places = [names.index(name) for name in rule.phases if name in names] or [len(names)]
        asked.append((f"rule[{index}].when", rule.when, min(places)))
    for path, bounds, place in asked:
        if bounds.against != "baseline":
            continue
        if bounds.metric not in BASELINE_METRICS:
            known = ", ".join(BASELINE_METRICS)
            yield Problem(f"{path}.against", f"no baseline is kept of {bounds.metric}", f"it is kept of {known}")
        elif place <= first:
            yield Problem(
                f"{path}.against", "no earlier phase keeps a baseline", "set baseline = true in one, or begin with 0 %"
            )


def sign_off_problems(plan: PlanFile) -> Iterator[Problem]:
    """Yield every list of signers for nothing to sign."""
    for p, phase in enumerate(plan.phase):
        for g, gate in enumerate(phase.gate):
            if gate.signers and not gate.sign_off:
                yield Problem(f"phase[{p}].gate[{g}].signers", "there is nothing to sign", 'add sign_off = "who"')


def signal_problems(plan: PlanFile, conditions: Iterable[tuple[str, Bounds]]) -> Iterator[Problem]:
    """Yield every condition on a number that has no source in this plan."""
    for path, bounds in conditions:
        if bounds.metric in _OF_DAEMON and not plan.runtime_status.source:
            yield Problem(
                f"{path}.metric",
                f"{bounds.metric} is what the candidate's daemon says, and none is named",
                'add [runtime_status] source = "unix:daemon.sock?send=status"',
            )
        if bounds.metric in OF_COMPONENTS and not plan.component:
            yield Problem(
                f"{path}.metric",
                f"{bounds.metric} are counted of components, and there are none",
                "add a [[component]]",
            )
    for index, objective in enumerate(plan.objective):
        if objective.metric in (*_OF_DAEMON, *OF_COMPONENTS):
            yield Problem(f"objective[{index}].metric", f"{objective.metric} is no service level", "ask in a gate")

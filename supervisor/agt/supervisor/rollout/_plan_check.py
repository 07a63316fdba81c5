"""The second pass over a plan: whether what it says makes sense, as small functions that each report all they find."""

from collections.abc import Callable, Iterator
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agt.supervisor.actions import is_step
from agt.supervisor.measure import split_address
from agt.supervisor.resources import RESOURCES
from agt.supervisor.rollout._durations import parse_checks, parse_duration
from agt.supervisor.rollout._freeze_span import span_of
from agt.supervisor.rollout._metrics import INSTANT, METRICS, OF_WINDOWS
from agt.supervisor.rollout._plan_file import CHECK_KINDS, Bounds, Check, Gate, Objective, PlanFile
from agt.supervisor.rollout._plan_signals import baseline_problems, sign_off_problems, signal_problems
from agt.supervisor.rollout._shape import Problem, nearest
from agt.supervisor.sinks import sink_problem

NUMBERS: Final = ("at_least", "above", "at_most", "below", "equals")
"""The keys that compare with a number."""


def meaning_problems(plan: PlanFile) -> list[Problem]:
    """Return everything that contradicts itself or names what isn't there."""
    return [problem for look in _LOOKS for problem in look(plan)]


def bounds_given(bounds: Bounds | Objective) -> list[str]:
    """Return which of the number keys are set."""
    return [key for key in NUMBERS if getattr(bounds, key) is not None]


def kinds_of(check: Check) -> list[str]:
    """Return every kind of check that a table gives; a sound one gives exactly one."""
    return [name for name in CHECK_KINDS if getattr(check, name)]


def conditions(plan: PlanFile) -> Iterator[tuple[str, Bounds]]:
    """Yield every condition with its path: gates first, then rules."""
    for p, phase in enumerate(plan.phase):
        for g, gate in enumerate(phase.gate):
            yield f"phase[{p}].gate[{g}]", gate
    for r, rule in enumerate(plan.rule):
        yield f"rule[{r}].when", rule.when


def _durations(plan: PlanFile) -> Iterator[Problem]:
    texts = [("checks_every", plan.checks_every)]
    texts += [(f"phase[{index}].soak", phase.soak) for index, phase in enumerate(plan.phase)]
    texts += [(f"objective[{index}].window", objective.window) for index, objective in enumerate(plan.objective)]
    texts += [
        (f"{path}.{key}", getattr(bounds, key))
        for path, bounds in conditions(plan)
        for key in ("window", "short_window")
        if getattr(bounds, key)
    ]
    texts += [
        (f"check[{index}].{key}", getattr(check, key))
        for index, check in enumerate(plan.check)
        for key in ("every", "timeout", "snapshot")
        if getattr(check, key)
    ]
    texts += [
        (f"check[{index}].way_back.{key}", getattr(check.way_back, key))
        for index, check in enumerate(plan.check)
        if check.way_back is not None
        for key in ("within", "at_most")
    ]
    texts += [(f"snapshots.{key}", getattr(plan.snapshots, key)) for key in ("every", "max_age")]
    texts += [(f"measure.{key}", getattr(plan.measure, key)) for key in ("max_age", "timeout")]
    for path, text in texts:
        try:
            if parse_duration(text) <= 0:
                yield Problem(path, f"{text!r} is no time at all", "write a duration above zero")
        except ValueError as error:
            yield Problem(path, str(error))
    for index, rule in enumerate(plan.rule):
        try:
            parse_checks(rule.when.violated_for, check_interval_s=1.0)
        except ValueError as error:
            yield Problem(f"rule[{index}].when.violated_for", str(error))


def _names(plan: PlanFile) -> Iterator[Problem]:
    if plan.runtimes.control == plan.runtimes.candidate:
        yield Problem("runtimes.candidate", f"{plan.runtimes.candidate!r} is control's name too")
    lists = {
        "phase": [one.name for one in plan.phase],
        "rule": [one.name for one in plan.rule],
        "objective": [one.name for one in plan.objective],
        "drill": [one.name for one in plan.drill],
        "check": [one.name for one in plan.check],
        "sink": [one.name for one in plan.sink],
    }
    for table, names in lists.items():
        for index, name in enumerate(names):
            if name in names[:index]:
                yield Problem(f"{table}[{index}].name", f"{name!r} is there twice")
    for index, objective in enumerate(plan.objective):
        if objective.name in {"all", "any"}:
            yield Problem(f"objective[{index}].name", f"{objective.name!r} has a meaning of its own")


def _references(plan: PlanFile) -> Iterator[Problem]:
    phases = [phase.name for phase in plan.phase]
    for index, phase in enumerate(plan.phase):
        if phase.back_to and phase.back_to not in phases[:index]:
            yield Problem(
                f"phase[{index}].back_to", f"no earlier phase {phase.back_to!r}", nearest(phase.back_to, phases[:index])
            )
    for index, rule in enumerate(plan.rule):
        for name in rule.phases:
            if name not in phases:
                yield Problem(f"rule[{index}].phases", f"no phase {name!r}", nearest(name, phases))
    objectives = [objective.name for objective in plan.objective]
    for path, bounds in conditions(plan):
        known = [*objectives, "all", "any"]
        if bounds.objective and bounds.objective not in known:
            yield Problem(f"{path}.objective", f"no objective {bounds.objective!r}", nearest(bounds.objective, known))
        elif bounds.objective and not objectives:
            yield Problem(f"{path}.objective", "the plan has no objectives", "add an [[objective]]")


def _routes(plan: PlanFile) -> Iterator[Problem]:
    for index, phase in enumerate(plan.phase):
        route, path = phase.route, f"phase[{index}].route"
        if route.default == "candidate" and route.percent:
            yield Problem(path, "the candidate as default and a percentage contradict each other", "drop one of them")
        if route.devices is not None:
            for key in [key for key in ("percent", "cohort") if getattr(route, key)]:
                yield Problem(f"{path}.{key}", "stands beside a number of devices", "drop one of them")
            if route.default == "candidate":
                yield Problem(path, "the candidate as default and a number contradict each other", "drop one of them")
        if route.shadow == "candidate" and route.share == 100:
            yield Problem(f"{path}.shadow", "nothing is left on control to mirror", "shadow = 'control' or 'off'")
        if not is_step(route.percent):
            yield Problem(f"{path}.percent", f"{route.percent} is finer than 0.01", "round it")


def _conditions(plan: PlanFile) -> Iterator[Problem]:
    for path, bounds in conditions(plan):
        kinds = [key for key in ("metric", "objective", "alerts", "check", "sign_off") if getattr(bounds, key, None)]
        if len(kinds) != 1:
            wanted = (
                "metric, objective, alerts, check or sign_off"
                if isinstance(bounds, Gate)
                else "metric, objective, alerts or check"
            )
            said = " and ".join(kinds) if kinds else "nothing"
            yield Problem(path, f"asks for {said}", f"a condition needs exactly one of {wanted}")
        if bounds.metric:
            yield from _metric_problems(path, bounds, observed=plan.legacy_observed)
        elif bounds_given(bounds) or bounds.against:
            yield Problem(path, "has a bound and no metric", "name the metric")
        if bounds.consecutive > 1 and not bounds.window:
            yield Problem(f"{path}.consecutive", "counts windows of no length", 'say how long one is: window = "1d"')
        if bounds.consecutive > 1 and (bounds.check or bounds.alerts or bounds.metric in INSTANT):
            yield Problem(f"{path}.consecutive", "only holds for what is counted over a window")


def _freezes(plan: PlanFile) -> Iterator[Problem]:
    for index, span in enumerate(plan.freeze):
        try:
            start, end = span_of(span)
        except (ZoneInfoNotFoundError, OSError):
            yield Problem(f"freeze[{index}].zone", f"no time zone {span.zone!r}", "such as 'Europe/Berlin'")
        except ValueError as error:
            yield Problem(f"freeze[{index}]", str(error).lower(), "write 2026-12-20 or 2026-12-20T18:00")
        else:
            if end <= start:
                yield Problem(f"freeze[{index}].end", "lies before its start")


def _signals(plan: PlanFile) -> Iterator[Problem]:
    yield from signal_problems(plan, conditions(plan))
    yield from baseline_problems(plan)
    yield from sign_off_problems(plan)


def _metric_problems(path: str, bounds: Bounds, *, observed: bool) -> Iterator[Problem]:
    metric = METRICS.get(bounds.metric)
    if metric is None:
        yield Problem(f"{path}.metric", f"no metric {bounds.metric!r}", nearest(bounds.metric, METRICS))
        return
    numbers = bounds_given(bounds)
    if is_statistical(bounds) or bounds.metric == "failure_ratio":
        yield from _statistical_problems(path, bounds)
    elif bounds.against:
        if numbers or (bounds.ratio is None) == (bounds.plus_percent is None):
            yield Problem(path, "a comparison needs exactly one of ratio and plus_percent, and no number")
        if not metric.per_runtime and not (bounds.metric in RESOURCES and bounds.against == "baseline"):
            yield Problem(f"{path}.against", f"{bounds.metric} is not measured by runtime")
    elif len(numbers) != 1:
        said = " and ".join(numbers) or "no bound"
        yield Problem(path, f"{bounds.metric} with {said}", f"give exactly one of {', '.join(NUMBERS)}, or `against`")
    unseen = not observed and bounds.metric not in ("samples", *RESOURCES)
    if unseen and (bounds.against or bounds.runtime == "control"):
        yield Problem(path, "control is not observed, so there is nothing to compare with", "set legacy_observed")


def is_statistical(bounds: Bounds) -> bool:
    """Tell whether a condition asks what the traffic shows."""
    return bounds.worse_by is not None or bounds.not_worse_by is not None


def _statistical_problems(path: str, bounds: Bounds) -> Iterator[Problem]:
    wanted = "not_worse_by" if isinstance(bounds, Gate) else "worse_by"
    given = [key for key in ("worse_by", "not_worse_by", "ratio", "plus_percent") if getattr(bounds, key) is not None]
    if bounds.metric != "failure_ratio" or bounds.against != "control" or bounds.runtime != "candidate":
        yield Problem(path, f"only failure_ratio against control can be {wanted}", 'against = "control"')
    elif given != [wanted] or bounds_given(bounds):
        kind = "gate" if isinstance(bounds, Gate) else "rule"
        yield Problem(path, f"a {kind} on failure_ratio needs {wanted} and nothing else", f"{wanted} = 0.01")


def _objectives(plan: PlanFile) -> Iterator[Problem]:
    for index, objective in enumerate(plan.objective):
        path = f"objective[{index}]"
        if objective.metric not in METRICS:
            yield Problem(f"{path}.metric", f"no metric {objective.metric!r}", nearest(objective.metric, METRICS))
        elif objective.metric == "failure_ratio":
            yield Problem(f"{path}.metric", "is compared with control and no service level", "use success_ratio")
        elif objective.metric in (*OF_WINDOWS, *RESOURCES):
            yield Problem(f"{path}.metric", f"{objective.metric} is what gates and rules ask for, and no service level")
        elif objective.metric == "error_budget_left":
            yield Problem(f"{path}.metric", "an error budget is what an objective has, not what it is")
        if len(bounds_given(objective)) != 1:
            yield Problem(path, f"give exactly one of {', '.join(NUMBERS)}")


def _gates(plan: PlanFile) -> Iterator[Problem]:
    for index, phase in enumerate(plan.phase):
        if not phase.gate and index < len(plan.phase) - 1:
            yield Problem(
                f"phase[{index}]", f"{phase.name!r} has no gate", "no data must never pass: add a [[phase.gate]]"
            )
    for index, rule in enumerate(plan.rule):
        position = {phase.name: place for place, phase in enumerate(plan.phase)}
        if rule.then == "previous_phase" and 0 in [position.get(name) for name in rule.phases or position]:
            says = f"rule {rule.name!r} goes back a phase, and {plan.phase[0].name!r} has none before it"
            yield Problem(f"rule[{index}].phases", says, "name the phases it is for")


def _checks(plan: PlanFile) -> Iterator[Problem]:
    names = [check.name for check in plan.check]
    asked = [(f"preflight[{index}]", name) for index, name in enumerate(plan.preflight)]
    asked += [
        (f"phase[{p}].recurring[{index}]", name)
        for p, phase in enumerate(plan.phase)
        for index, name in enumerate(phase.recurring)
    ]
    asked += [(f"{path}.check", bounds.check) for path, bounds in conditions(plan) if bounds.check]
    for path, name in asked:
        if name not in names:
            yield Problem(path, f"no check {name!r}", nearest(name, names) or "add a [[check]]")
    for index, check in enumerate(plan.check):
        kinds = kinds_of(check)
        if len(kinds) != 1:
            said = " and ".join(kinds) if kinds else "nothing"
            yield Problem(f"check[{index}]", f"looks at {said}", f"give exactly one of {', '.join(CHECK_KINDS)}")
        if check.hours is not None:
            try:
                ZoneInfo(check.hours.zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                yield Problem(
                    f"check[{index}].hours.zone", f"no time zone {check.hours.zone!r}", "such as 'Europe/Berlin'"
                )


def _resources(plan: PlanFile) -> Iterator[Problem]:
    names = [one.name for one in plan.component]
    for path, bounds in conditions(plan):
        if bounds.metric in RESOURCES and not names:
            yield Problem(f"{path}.metric", f"{bounds.metric} is of components, and the plan has none")
        elif bounds.component and bounds.metric not in RESOURCES:
            yield Problem(f"{path}.component", f"is only for {', '.join(RESOURCES)}")
        elif bounds.component and bounds.component not in names:
            yield Problem(f"{path}.component", f"no component {bounds.component!r}", nearest(bounds.component, names))


def _windows(plan: PlanFile) -> Iterator[Problem]:
    budgets = [one.name for one in plan.objective]
    for path, bounds in conditions(plan):
        own = {"burn_rate": ("short_window", "budget"), "latency_windows_breached": ("limit_seconds",)}
        for metric, keys in own.items():
            for key in [key for key in keys if getattr(bounds, key) and bounds.metric != metric]:
                yield Problem(f"{path}.{key}", f"is only for {metric}", f'metric = "{metric}"')
        if bounds.metric not in OF_WINDOWS:
            continue
        if not bounds.window:
            yield Problem(f"{path}.window", f"{bounds.metric} is about windows of no length", 'window = "1h"')
        if bounds.runtime == "control":
            yield Problem(f"{path}.runtime", f"{bounds.metric} is the candidate's", "leave it out")
        if bounds.budget and bounds.budget not in budgets:
            yield Problem(f"{path}.budget", f"no objective {bounds.budget!r}", nearest(bounds.budget, budgets))
        success = any(one.metric == "success_ratio" for one in plan.objective)
        if bounds.metric == "burn_rate" and not (bounds.budget or success):
            yield Problem(path, "no objective on success_ratio, so there is no budget to burn", "budget = 'its name'")


def _measure(plan: PlanFile) -> Iterator[Problem]:
    settings = plan.measure
    if not settings.prometheus:
        given = [key for key in ("matchers", "token_file") if getattr(settings, key)]
        for key in given:
            yield Problem(f"measure.{key}", "is for a Prometheus server, and none is named", "set measure.prometheus")
        return
    try:
        split_address(settings.prometheus)
    except ValueError as error:
        yield Problem("measure.prometheus", str(error), "prometheus = 'http://127.0.0.1:9090'")
    if any(mark in settings.matchers for mark in "{}\n"):
        yield Problem("measure.matchers", "are given without braces", """matchers = 'job="agt"'""")


def _sinks(plan: PlanFile) -> Iterator[Problem]:
    for index, sink in enumerate(plan.sink):
        key, why = sink_problem(sink)
        if why:
            yield Problem(f"sink[{index}].{key}", why)


_LOOKS: Final[tuple[Callable[[PlanFile], Iterator[Problem]], ...]] = (
    _durations,
    _measure,
    _resources,
    _windows,
    _names,
    _references,
    _routes,
    _conditions,
    _signals,
    _freezes,
    _checks,
    _objectives,
    _gates,
    _sinks,
)

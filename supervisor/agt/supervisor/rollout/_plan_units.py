"""Numbers in a unit that isn't the metric's: `99.9` for a ratio, `500` for seconds, `0.10` for a percentage.

What can't be is a problem. What may be meant, but rarely is, is a remark: `agt plan check` prints it and the plan is
sound all the same.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agt.supervisor.components import ComponentSpec, expand
from agt.supervisor.resources import RESOURCES
from agt.supervisor.rollout._metrics import METRICS
from agt.supervisor.rollout._plan_check import bounds_given, conditions
from agt.supervisor.rollout._plan_file import Bounds, Objective, PlanFile
from agt.supervisor.rollout._shape import Problem

LONG_S: Final = 60.0
"""A latency that is allowed to be longer was probably written in milliseconds."""
_BELOW_ZERO: Final = "error_budget_left"
"""The one ratio that may be negative: a budget can be overspent."""


def unit_problems(plan: PlanFile) -> Iterator[Problem]:
    """Yield every ratio that is none."""
    for path, bounds in _with_bounds(plan):
        metric = METRICS.get(bounds.metric)
        if metric is None or metric.kind != "ratio" or bounds.metric in RESOURCES:
            continue  # Components may use more than one core.
        for key in bounds_given(bounds):
            value = getattr(bounds, key)
            if value > 1 or (value < 0 and bounds.metric != _BELOW_ZERO):
                yield Problem(f"{path}.{key}", "a ratio is between 0 and 1", _as_ratio(value))


def remarks(plan: PlanFile, base: Path) -> list[Problem]:
    """Return what is allowed and probably not meant; `base` is the plan's own folder."""
    return [*_long_latencies(plan), *_small_shares(plan), *_missing_files(plan, base)]


def _as_ratio(value: float) -> str:
    return f"{value:g} % is {value / 100:g}" if 1 < value <= 100 else "99.9 % is 0.999"


def _long_latencies(plan: PlanFile) -> Iterator[Problem]:
    for path, bounds in _with_bounds(plan):
        metric = METRICS.get(bounds.metric)
        keys = bounds_given(bounds) if metric is not None and metric.kind == "seconds" else []
        if isinstance(bounds, Bounds) and bounds.limit_seconds is not None:
            keys.append("limit_seconds")
        for key in keys:
            value = getattr(bounds, key)
            if value > LONG_S:
                yield Problem(f"{path}.{key}", f"{value:g} seconds is long", f"{value:g} ms is {value / 1000:g}")


def _small_shares(plan: PlanFile) -> Iterator[Problem]:
    for index, phase in enumerate(plan.phase):
        percent = phase.route.percent
        if 0 < percent < 1:
            says = f"{percent:g} is {percent:g} %, less than one device in a hundred"
            yield Problem(f"phase[{index}].route.percent", says, f"{percent * 100:g} % is {percent * 100:g}")


def _missing_files(plan: PlanFile, base: Path) -> Iterator[Problem]:
    for index, spec in enumerate(plan.component):
        script = _script(spec)
        if script and not (base / script).exists():
            yield Problem(f"component[{index}].command", f"there is no {base / script}", "paths are beside the plan")


def _script(spec: ComponentSpec) -> str:
    """Return the Python script that a command names; other arguments may be anything, and `{run}` comes later."""
    if len(spec.command) < 2 or "{run}" in spec.command[1]:
        return ""
    word = expand(spec.command[1], run=Path())
    return word if word.endswith(".py") and not word.startswith("-") else ""


def _with_bounds(plan: PlanFile) -> Iterator[tuple[str, Bounds | Objective]]:
    yield from ((f"objective[{index}]", one) for index, one in enumerate(plan.objective))
    yield from conditions(plan)

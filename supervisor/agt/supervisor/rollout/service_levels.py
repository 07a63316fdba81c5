"""The judgement of service levels, for whoever asks about a time that is over: reports. Nothing here decides."""

from agt.supervisor.rollout._gates import Look, budget_left, gate_name, judge_objective
from agt.supervisor.rollout._metrics import format_value
from agt.supervisor.rollout._plan_check import bounds_given
from agt.supervisor.rollout._plan_file import Objective

_SIGNS = {"at_least": ">=", "above": ">", "at_most": "<=", "below": "<", "equals": "="}

__all__ = ("Look", "Objective", "budget_left", "gate_name", "judge_objective", "limit_of", "shown")


def limit_of(objective: Objective) -> tuple[str, float]:
    """Return which bound an objective has, and its number."""
    (key,) = bounds_given(objective)
    limit: float = getattr(objective, key)
    return key, limit


def shown(objective: Objective, value: float | None = None) -> str:
    """Return a value of the objective's metric as people read it; without one, its target: `>= 99.90 %`."""
    key, limit = limit_of(objective)
    if value is not None:
        return format_value(objective.metric, value)
    return f"{_SIGNS[key]} {format_value(objective.metric, limit)}"

"""A plan carried out: read and checked, judged by pure functions, decided by a pure step, performed by one runner."""

from agt.supervisor.rollout._durations import format_duration, parse_duration
from agt.supervisor.rollout._gates import gate_name, gate_windows
from agt.supervisor.rollout._plan import Plan, PlanInvalid, load_plan, parse_plan
from agt.supervisor.rollout._plan_file import Drill, Phase, PlanFile, Route, Rule
from agt.supervisor.rollout._plan_summary import PlanSummary, summary_lines, summary_of
from agt.supervisor.rollout._runner import Rollout
from agt.supervisor.rollout._shape import Problem
from agt.supervisor.rollout._state import Event, State, Status
from agt.supervisor.rollout._verdict import Judgement, Verdict

__all__ = (
    "Drill",
    "Event",
    "Judgement",
    "Phase",
    "Plan",
    "PlanFile",
    "PlanInvalid",
    "PlanSummary",
    "Problem",
    "Rollout",
    "Route",
    "Rule",
    "State",
    "Status",
    "Verdict",
    "format_duration",
    "gate_name",
    "gate_windows",
    "load_plan",
    "parse_duration",
    "parse_plan",
    "summary_lines",
    "summary_of",
)

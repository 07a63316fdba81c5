"""The second pass over a plan, for signals: a condition on what nobody would ever say could only wait for ever."""

from collections.abc import Iterable, Iterator

from agt.supervisor.rollout._metrics import DAEMON_COUNTS, DAEMON_LEVELS, OF_COMPONENTS
from agt.supervisor.rollout._plan_file import Bounds, PlanFile
from agt.supervisor.rollout._shape import Problem

_OF_DAEMON = (*DAEMON_COUNTS, *DAEMON_LEVELS)


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

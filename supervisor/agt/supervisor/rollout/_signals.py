"""Numbers that gates can name and no window of traffic has: open incidents, who is still on control, what happened.

What routers count is only known when every router has said it: a gate that asks for no session on control must not pass
because the router that has the last of them is silent.
"""

from collections.abc import Callable, Mapping, Sequence

from agt.supervisor.measure import Reading, RouterSeen, RouterStatus
from agt.supervisor.rollout._metrics import DAEMON_COUNTS, OF_COMPONENTS
from agt.supervisor.rollout._plan import Plan


def happenings_of(plan: Plan, times: Callable[[str], Sequence[float]]) -> dict[str, Sequence[float]]:
    """Return when what is counted over windows has happened; nothing of components where the plan has none."""
    kinds = (*DAEMON_COUNTS, *(OF_COMPONENTS if plan.components else ()))
    return {kind: times(kind) for kind in kinds}


def of_components(plan: Plan) -> Mapping[str, Reading]:
    """Return why nothing is known of components, where the plan has none."""
    why = Reading(None, why="the plan has no [[component]]")
    return {} if plan.components else dict.fromkeys(OF_COMPONENTS, why)


def signals_of(plan: Plan, routers: tuple[RouterSeen, ...], *, incidents: int) -> dict[str, Reading]:
    """Return what every signal is now; `routers` as one check has seen them, `incidents` those that are open."""
    return {
        "incidents": Reading(float(incidents), samples=1),
        "legacy_users": _added(plan, routers, lambda status: len(status.legacy_users)),
        "sessions_left_on_control": _added(plan, routers, lambda status: _sessions(status, plan.control)),
    }


def _added(plan: Plan, routers: tuple[RouterSeen, ...], count: Callable[[RouterStatus], int | None]) -> Reading:
    """Add up what all routers say; no number when one of them says nothing."""
    counts = [count(router.status) if router.status is not None else None for router in routers]
    known = [one for one in counts if one is not None]
    silent = len(plan.routers) - len(known)
    if silent:
        return Reading(None, why=f"{silent} of {len(plan.routers)} routers say nothing of it")
    return Reading(float(sum(known)), samples=1)


def _sessions(status: RouterStatus, runtime: str) -> int | None:
    found = status.runtimes.get(runtime, {}).get("sessions")
    return found if isinstance(found, int) else None

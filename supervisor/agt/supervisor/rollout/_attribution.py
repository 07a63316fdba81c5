"""Whose fault is it? What isn't the candidate's holds the rollout and is not blamed on it.

Five things are not the candidate's fault: a router that doesn't answer, a Prometheus server that should have counted
and has nothing young enough to say, a router that was started anew (what was in its memory is gone, and its devices
dial in again), a router whose own event loop is late (it gets no processor, so it is late on every path), and control
being sick at the same time (then it is the network, the gateway or the devices).
While one of them stands, windows start over, so that nothing from that time is ever counted against the candidate;
the rollout goes on after a clean window, or after `PATIENCE` windows without one, so that the rules get to judge a
candidate that stays sick. A candidate that is far sicker than control is to blame all the same: a few replies that
control misses are what a stalled candidate leaves behind on devices that were moving.
"""

from dataclasses import dataclass
from typing import Final, Literal

from agt.supervisor.measure import RouterSeen
from agt.supervisor.rollout._gates import Look, judge_objective
from agt.supervisor.rollout._plan import WINDOW_FLOOR_S, Plan
from agt.supervisor.rollout._state import State
from agt.supervisor.rollout._verdict import Verdict

LAG_SHARE: Final = 0.25
"""A router whose loop is late by more than this fraction of the latency limit can't be told from a slow candidate."""
SICK_SHARE: Final = 0.01
"""Control is sick when more than this share of its messages, beyond twice its baseline, goes unanswered."""
SICK_RATIO: Final = 0.25
"""Control is sick *too* when it is at least this fraction as sick as the candidate."""
SICK_CHECKS: Final = 5
"""How many checks back control's health looks; short, so that it is seen no later than the candidate's."""
SICK_SAMPLES: Final = 20
"""Fewer messages on control say nothing."""
PATIENCE: Final = 5
"""Clean windows' worth of waiting before the rules judge again although no window was clean."""
MEASUREMENTS: Final = "measurements"
"""Source of the fault that a router answers and nobody has counted what it does."""
FEW_GROUPS: Final = 0.0625
"""Share of the groups of devices that are a few: two of 32."""
MOST_LOST: Final = 0.9
"""Nearly all that failed: so much of it in a few groups is those devices' fault."""
FEW_LOST: Final = 20
"""Fewer lost messages show no pattern."""
DEVICES: Final = "devices"
"""Source of the fault that a few devices are away."""
UNANSWERED: Final = "unanswered_ratio"
"""Key of control's unanswered share in the baseline."""


Blame = Literal["gateway", "control", "environment"]
"""Whose fault it is, when it isn't the candidate's; `environment` is what both paths need: devices, network."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not the candidate's fault."""

    source: str
    """What alerts name: `gateway.sock`, a runtime's name."""
    reason: str
    blame: Blame = "gateway"


def clean_window_s(plan: Plan) -> float:
    """Return how long nothing may be wrong before the rollout goes on."""
    return max(WINDOW_FLOOR_S, 2 * plan.check_interval_s)


def find_fault(state: State, seen: tuple[RouterSeen, ...], look: Look) -> Fault | None:
    """Return the fault of gateway or control that stands at this check, None if there is none."""
    for router in seen:
        if router.status is None or router.sample is None:
            return Fault(router.socket if router.status is None else MEASUREMENTS, router.error)
        known = state.routers.get(router.socket)
        if known and known != router.status.router:
            return Fault(router.socket, f"{router.socket} was started anew; waits for a clean window")
        if router.status.generation < state.applied_generation and state.applied_at is not None:
            return Fault(router.socket, f"{router.socket} fell back to generation {router.status.generation}")
        if router.sample is not None and router.sample.loop_lag_s > LAG_SHARE * look.plan.latency_limit_s:
            late = f"{router.socket} is starved: its own loop was {router.sample.loop_lag_s * 1000:,.0f} ms late"
            return Fault(router.socket, f"{late}, so it is not blamed on {look.plan.candidate}")
    return _of_control(look) or _of_few_devices(state, look)


def _of_control(look: Look) -> Fault | None:
    """Return control's own fault, or that of what both paths need, when control is sick."""
    share = unanswered_share(look)
    if share is None or share <= _tolerated(look):
        return None
    control, says = look.plan.control, f"{share:.1%} unanswered or slow"
    if _candidates_share(look) > SICK_SHARE:
        says = f"{control} is sick too: {says}, so it is not blamed on {look.plan.candidate}"
        return Fault(control, says, "environment")
    return Fault(control, f"{control} is sick and {look.plan.candidate} is not: {says}", "control")


def _of_few_devices(state: State, look: Look) -> Fault | None:
    """Return the fault of a few devices: nearly all that failed did so in a group or two.

    Groups are made by a hash: a fault of the candidate's strikes them all, a few devices that are away strike few. That
    excuses for as long as `PATIENCE` lasts, once in a route: then the rules judge, whoever it is that stays away.
    """
    excused = state.excused_since is None or look.now - state.excused_since <= PATIENCE * clean_window_s(look.plan)
    if not excused or all(judge_objective(one, look).verdict is not Verdict.FAILED for one in look.plan.objectives):
        return None
    start = _recently(look, look.since or look.now)
    groups = [group for group in look.readings.groups(look.plan.candidate, start=start) if group[0] > 0]
    bad = sorted((lost for _, lost in groups), reverse=True)
    few = round(len(groups) * FEW_GROUPS)
    lost = sum(bad)
    if not few or lost < FEW_LOST or sum(bad[:few]) < MOST_LOST * lost:
        return None
    says = (
        f"{sum(bad[:few]) / lost:.0%} of what {look.plan.candidate} lost is in {few} of {len(groups)} groups of devices"
    )
    return Fault(DEVICES, f"a few devices are away: {says}", "environment")


def unanswered_share(look: Look) -> float | None:
    """Return control's share of missing, overdue or slow replies over the last checks; None where that says nothing.

    Slow ones count as they do for the candidate, so that devices which answer late on both paths are nobody's fault.
    """
    plan, timeline = look.plan, look.readings.timeline
    if not look.readings.control_observed or look.since is None:
        return None
    start = _recently(look, look.since)
    window = timeline.window(start=start, end=look.now)
    if window is None:
        return None
    counters, older = window.of(plan.control), timeline.gauges(plan.control).older_than
    late = older[min(older)] if older else 0.0
    answered, missing = counters.observed_replies, counters.observed_missing
    total = answered + missing + late
    if total < SICK_SAMPLES:
        return None
    return max((missing + late) / total, look.readings.slow_share(plan.control, start=start) or 0.0)


def _tolerated(look: Look) -> float:
    """Return the share of unanswered messages on control that proves nothing about control."""
    return max(2 * look.baseline.get(UNANSWERED, 0.0) + SICK_SHARE, SICK_RATIO * _candidates_share(look))


def _candidates_share(look: Look) -> float:
    return look.readings.slow_share(look.plan.candidate, start=_recently(look, look.since or look.now)) or 0.0


def _recently(look: Look, since: float) -> float:
    return max(since, look.now - max(1.0, SICK_CHECKS * look.plan.check_interval_s))


def is_clean(state: State, look: Look) -> bool:
    """Return whether a suspended rollout may go on: a whole window without fault and without a violated objective."""
    assert state.suspended_since is not None, "only a suspended rollout waits for a clean window"
    plan = look.plan
    if look.since is None or look.now - look.since < clean_window_s(plan):
        return False
    if look.now - state.suspended_since > PATIENCE * clean_window_s(plan):
        return True
    return all(judge_objective(one, look).verdict is not Verdict.FAILED for one in plan.objectives)

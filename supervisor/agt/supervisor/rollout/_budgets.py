"""Error budgets, and how fast they burn: pure functions from readings to numbers.

A budget is what an objective allows to go wrong. `spent` is actual / allowed, so 1 - spent is left, and over a window
it is the burn rate: 1 spends the budget in exactly the objective's period, 14.4 spends 2 % of a 30-day budget in one
hour. A long window says that it matters, a short one (a twelfth) that it still goes on, and the slower of the two is
what counts: Google, The Site Reliability Workbook (2018), chapter 5, "Multiwindow, Multi-Burn-Rate Alerts", with its
table of 14.4 (1 h and 5 min) and 6 (6 h and 30 min) for pages and 1 (3 d and 6 h) for tickets.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from agt.supervisor.measure import Reading, Readings
from agt.supervisor.rollout._metrics import METRICS
from agt.supervisor.rollout._plan import WINDOW_FLOOR_S, Plan
from agt.supervisor.rollout._plan_check import bounds_given
from agt.supervisor.rollout._plan_file import Bounds, Objective

SHARES: Final[Mapping[str, float]] = {"p50_seconds": 0.5, "p95_seconds": 0.05, "p99_seconds": 0.01}
"""Share of messages that may be slower than a latency objective's limit."""
SHORT_SHARE: Final = 12
"""A short window is this fraction of its long one, where a plan names none."""
SAMPLES_LEAST: Final = 50
"""On fewer messages in the long window nothing is said, where a plan gives no other number."""
SHOWN_WINDOWS: Final = ("1h", "6h", "3d")
"""Long windows that the view shows the burn of."""

FAST_BURN: Final = 6.0
"""A check in which errors come so many times faster than allowed violates the objective by itself, for a rule."""
FAST_ERRORS: Final = 10
"""Fewer errors in one check burn nothing."""


def burns_fast(objective: Objective, plan: Plan, readings: Readings, *, since: float) -> float | None:
    """Return how fast the budget burnt in the last check, if so fast that no rule may wait for the long window.

    A month's window takes twenty minutes to notice that everything fails. None when nothing is wrong, or too little is
    known.
    """
    start = max(since, readings.now - max(WINDOW_FLOOR_S, 1.5 * plan.check_interval_s))
    samples = readings.read("samples", plan.candidate, start=start)
    rate, total = spent(objective, plan, readings, start=start), samples.samples + samples.stuck
    if rate is None or rate <= FAST_BURN or total < SAMPLES_LEAST:
        return None
    return rate if rate * _allowed(objective) * total >= FAST_ERRORS else None


def _allowed(objective: Objective) -> float:
    """Return the share of messages that may go wrong."""
    if objective.metric in SHARES:
        return SHARES[objective.metric]
    (key,) = bounds_given(objective)
    limit: float = getattr(objective, key)
    return 1.0 - limit if key in ("at_least", "above") else limit


def spent(objective: Objective, plan: Plan, readings: Readings, *, start: float) -> float | None:
    """Return actual errors / allowed errors since `start`; None without data, or for an objective on a count."""
    if METRICS[objective.metric].kind == "count":
        return None
    if objective.metric in SHARES:
        slow = readings.slow_share(plan.candidate, start=start)
        return None if slow is None else slow / SHARES[objective.metric]
    value = readings.read(objective.metric, plan.candidate, start=start).value
    if value is None:
        return None
    (key,) = bounds_given(objective)
    limit: float = getattr(objective, key)
    actual, allowed = (1.0 - value, 1.0 - limit) if key in ("at_least", "above") else (value, limit)
    if allowed <= 0:
        return 0.0 if actual <= 0 else 2.0
    return actual / allowed


def burn(
    objective: Objective, plan: Plan, readings: Readings, *, since: float, long_s: float, short_s: float
) -> float | None:
    """Return how many times faster than allowed the budget is spent, in both windows; None without data in one.

    Args:
        objective: Whose budget.
        plan: Names the candidate.
        readings: Up to now.
        since: No window reaches back further: the candidate carries traffic since then.
        long_s: The long window, in seconds.
        short_s: The short one.
    """
    rates = [
        spent(objective, plan, readings, start=max(since, readings.now - seconds)) for seconds in (long_s, short_s)
    ]
    known = [rate for rate in rates if rate is not None]
    return min(known) if len(known) == len(rates) else None


def burn_reading(bounds: Bounds, plan: Plan, readings: Readings, *, since: float) -> Reading:
    """Return what `burn_rate` is for one condition: of the budget that it names, or of the worst on success."""
    long_s = plan.window_s(bounds.window)
    short_s = plan.window_s(bounds.short_window) if bounds.short_window else long_s / SHORT_SHARE
    rates = [
        rate
        for one in budgets_of(plan, bounds.budget)
        if (rate := burn(one, plan, readings, since=since, long_s=long_s, short_s=short_s)) is not None
    ]
    ended = readings.read("samples", plan.candidate, start=max(since, readings.now - long_s))
    least = bounds.samples or SAMPLES_LEAST
    if not rates or ended.samples < least:
        why = f"{ended.samples:,} of {least:,} samples" if rates else "no messages in both windows"
        return Reading(None, ended.samples, why=why)
    return Reading(max(rates), ended.samples)  # What is stuck is among the errors already.


def budgets_of(plan: Plan, name: str) -> Iterable[Objective]:
    """Return the objectives whose budget a condition means."""
    return [one for one in plan.objectives if (one.name == name if name else one.metric == "success_ratio")]


def burn_shown(objective: Objective, plan: Plan, readings: Readings, *, since: float | None) -> dict[str, float]:
    """Return the burn by long window, as far as there is data."""
    if since is None:
        return {}
    rates = {
        window: burn(
            objective,
            plan,
            readings,
            since=since,
            long_s=plan.window_s(window),
            short_s=plan.window_s(window) / SHORT_SHARE,
        )
        for window in SHOWN_WINDOWS
    }
    return {window: rate for window, rate in rates.items() if rate is not None}

"""Rolling latency windows as a metric: how many in a row were breached, by the histograms of the routers.

The contract is document 001's (`agt.supervisor.contracts.LatencyWindow` keeps it for one path with its own samples): a
window counts once, windows share no samples, one with too few samples neither breaks a streak nor prolongs it, and
three breaches degrade while a fourth rolls back. Windows stand end to end from where the phase's counts begin, so the
answer is the same however often and from whichever supervisor it is asked. A p95 out of buckets is exact to its bucket.
"""

from typing import Final

from agt.supervisor.measure import Reading, Readings
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._plan_file import Bounds

SAMPLES_LEAST: Final = 200
"""A window with fewer samples says nothing, where a plan gives no other number."""
WINDOWS_MAX: Final = 64
"""Windows that are looked back over."""


def windows_breached(bounds: Bounds, plan: Plan, readings: Readings, *, since: float) -> Reading:
    """Return how many of the newest complete windows were breached in a row; no number before the first that counts.

    Args:
        bounds: Its `window`, `samples` (in each window) and `limit_seconds`.
        plan: Names the candidate, and the limit where the condition has none.
        readings: Up to now.
        since: Where the first window begins.
    """
    window_s, least = plan.window_s(bounds.window), bounds.samples or SAMPLES_LEAST
    limit_s = plan.latency_limit_s if bounds.limit_seconds is None else bounds.limit_seconds
    complete = int(max(0.0, readings.now - since) / window_s)
    breached = counted = samples = 0
    for number in range(complete, max(0, complete - WINDOWS_MAX), -1):
        end = since + number * window_s
        found = readings.at(end).read("p95_seconds", plan.candidate, start=end - window_s)
        if found.value is None or found.samples < least:
            continue
        counted, samples = counted + 1, samples + found.samples
        if found.value <= limit_s:
            break
        breached += 1
    if not counted:
        return Reading(None, samples, why=f"no window of {bounds.window} with {least:,} samples yet")
    return Reading(float(breached), samples)

"""The traffic of one runtime through one gateway, as counters: how much is sent, what becomes of it, what is in flight.

A fluid with noise: counts of a check are drawn, single messages are not, so that months take seconds. What stalls stays
in flight until its deadline and only then counts as failed, since that is what makes a stalled path hard to see.
"""

import math
import random
from dataclasses import dataclass, field
from typing import Final

from agt.chaos.rehearsal._conditions import BASE_FAILS, Path
from agt.supervisor.measure import RuntimeCounters, RuntimeGauges

DEADLINE_S: Final = 30.0
"""When a message that nobody answers is given up."""
GROUPS: Final = 32
"""Groups of devices, as routers count them."""
LIMITS_S: Final = (0.5, 0.8, 1.5, 5.0)
"""Ages of messages in flight that routers tell."""
FAST: Final = ((0.05, 0.1), (0.1, 0.55), (0.25, 0.992), (0.5, 1.0))
"""How a sound path answers: cumulative share by latency in seconds (FACTS.md, section 1: p50 89 ms, p99 242 ms)."""
BOUNDS_S: Final = (0.05, 0.1, 0.25, 0.5, 0.8, 1.0, 1.5, 2.5, 5.0, 10.0, math.inf)


@dataclass(slots=True)
class Flow:
    """One runtime's counters at one gateway."""

    dice: random.Random
    slow_s: float
    """Slower than this counts as bad in the groups."""
    sums: dict[str, float] = field(default_factory=dict)
    latency: dict[float, float] = field(default_factory=lambda: dict.fromkeys(BOUNDS_S, 0.0))
    ended: list[float] = field(default_factory=lambda: [0.0] * GROUPS)
    bad: list[float] = field(default_factory=lambda: [0.0] * GROUPS)
    stalled_s: float = 0.0
    in_flight: float = 0.0
    older: dict[float, float] = field(default_factory=dict)

    def passes(self, rate: float, seconds: float, path: Path) -> None:
        """Let so many messages a second pass for so long."""
        share = min(1.0, max(1, round(GROUPS * path.groups)) / GROUPS)
        sent = self._drawn(rate * seconds)
        late = self._drawn(sent * path.slow * share)
        stalled_rate = rate * path.stalls * share
        given_up = self._stall(stalled_rate, seconds)
        failed = min(sent, self._drawn(sent * path.fails * share))
        background = min(sent - failed, self._drawn(sent * BASE_FAILS))
        good = max(0.0, sent - failed - background - stalled_rate * seconds)
        late = min(late, good)
        bad = failed + given_up
        self._add(accepted=sent, delivered=good, failed=bad + background, sent=sent, resent=sent * path.resends)
        self._add(undecodable=sent * path.undecodable, refused=sent * path.refused)
        for bound in BOUNDS_S:
            self.latency[bound] += _share_below(bound) * (good - late) + (late if path.slow_s <= bound else 0.0)
        self._group(good, background, bad, late if path.slow_s > self.slow_s else 0.0, share)
        slow_rate = rate * path.slow * share
        self.older = {
            limit: round(self._older_than(limit, stalled_rate) + slow_rate * max(0.0, path.slow_s - limit))
            for limit in LIMITS_S
        }
        self.in_flight = stalled_rate * min(self.stalled_s, DEADLINE_S) + rate * 0.1

    def counters(self) -> RuntimeCounters:
        """Return what has been counted."""
        one = self.sums.get
        return RuntimeCounters(
            accepted=one("accepted", 0.0),
            delivered=one("delivered", 0.0),
            indeterminate=one("failed", 0.0),
            sent=one("sent", 0.0),
            retransmits=one("resent", 0.0),
            decode_errors=one("undecodable", 0.0),
            queue_full=one("refused", 0.0),
            observed_replies=one("delivered", 0.0),
            observed_missing=one("failed", 0.0),
            latency=dict(self.latency),
            group_ended=tuple(self.ended),
            group_bad=tuple(self.bad),
        )

    def gauges(self) -> RuntimeGauges:
        """Return what is in flight."""
        return RuntimeGauges(in_flight=self.in_flight, older_than=dict(self.older))

    def forget(self) -> None:
        """Begin again at zero, as a gateway does that was started anew."""
        self.sums.clear()
        self.latency = dict.fromkeys(BOUNDS_S, 0.0)
        self.ended, self.bad = [0.0] * GROUPS, [0.0] * GROUPS
        self.stalled_s, self.older = 0.0, {}

    def _stall(self, stalled_rate: float, seconds: float) -> float:
        """Return how many stalled messages were given up in this time."""
        if not stalled_rate:
            self.stalled_s = 0.0
            return 0.0
        before = min(self.stalled_s, DEADLINE_S)
        self.stalled_s += seconds
        return stalled_rate * (seconds - (min(self.stalled_s, DEADLINE_S) - before))

    def _older_than(self, limit: float, stalled_rate: float) -> float:
        return stalled_rate * max(0.0, min(self.stalled_s, DEADLINE_S) - limit)

    def _group(self, good: float, background: float, bad: float, late: float, share: float) -> None:
        struck = max(1, round(GROUPS * share))
        for group in range(GROUPS):
            ours = (bad + late) / struck if group < struck else 0.0
            lost = bad / struck if group < struck else 0.0
            self.ended[group] += (good + background) / GROUPS + lost
            self.bad[group] += ours + background / GROUPS

    def _drawn(self, mean: float) -> float:
        """Draw a count around a mean: nearly Poisson, in one draw."""
        if mean <= 0:
            return 0.0
        if mean > 30:
            return float(max(0, round(self.dice.normalvariate(mean, math.sqrt(mean)))))
        limit, product, count = math.exp(-mean), self.dice.random(), 0
        while product > limit:
            product *= self.dice.random()
            count += 1
        return float(count)

    def _add(self, **counts: float) -> None:
        for name, count in counts.items():
            self.sums[name] = self.sums.get(name, 0.0) + count


def _share_below(bound: float) -> float:
    return max((share for limit, share in FAST if limit <= bound), default=0.0)

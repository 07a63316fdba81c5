"""Ten thousand diallers and a gateway that was started again, in virtual time: the cores of redialling and pacing."""

import heapq
import random
from bisect import bisect_right
from dataclasses import dataclass, field

from agt.transport._pacing import ConnectBudget, Pacer
from agt.transport._redial import Ending, Redial

BASE_S, MAX_S, JITTER, SPREAD_MAX_S = 0.25, 5.0, 0.5, 10.0


@dataclass
class Crowd:
    """At time 0 the gateway dies with everybody connected; at `down_s` it is back, with an empty memory."""

    size: int
    seed: int
    budget: ConnectBudget
    down_s: float
    advertised: str = "true"
    """What devices were told to spread over: `true` (all of them), `growing` (those before them) or `nothing`."""
    connect_timeout_s: float = 0.0
    """How long an attempt takes that nobody answers; 0 where the machine is up and refuses."""
    back_at: list[float] = field(default_factory=list)
    """When each came back, in seconds from the gateway's return."""
    dialled_at: list[float] = field(default_factory=list)
    """When each attempt was made, from the same."""

    def run(self) -> "Crowd":
        """Let them all come back."""
        rng = random.Random(self.seed)
        pacer = Pacer(self.budget, now=self.down_s)
        redials = [
            Redial(random.Random(rng.getrandbits(64)), base_s=BASE_S, max_s=MAX_S, spread_max_s=SPREAD_MAX_S)
            for _ in range(self.size)
        ]
        round_trips_s = [rng.uniform(0.001, 0.25) for _ in range(self.size)]
        dials = []
        for device, redial in enumerate(redials):
            heard_at = rng.uniform(0, 0.05)
            pause_s = redial.next_pause_s(Ending.SHARED, spread_s=self._spread_s(device, pacer))
            dials.append((heard_at + pause_s, 1, device))
        heapq.heapify(dials)
        while dials:
            now, greeting, device = heapq.heappop(dials)
            round_trip_s = round_trips_s[device]
            if greeting and now < self.down_s:
                again = now + (self.connect_timeout_s or round_trip_s)
                again += redials[device].next_pause_s(Ending.FAILED)
                heapq.heappush(dials, (again, 1, device))
            elif greeting:
                self.dialled_at.append(now - self.down_s)
                heapq.heappush(dials, (now + 1.5 * round_trip_s, 0, device))  # Connected, then hello.
            else:
                wait_s = pacer.admit(now)
                if not wait_s:
                    self.back_at.append(now - self.down_s)
                    continue
                pause_s = redials[device].next_pause_s(Ending.FAILED, retry_after_s=wait_s)
                heapq.heappush(dials, (now + round_trip_s / 2 + pause_s, 1, device))
        return self

    @property
    def bound_s(self) -> float:
        """The bound of docs/architecture/reconnect.md, from the gateway's return to the last one's."""
        rate = self.budget.connects_per_s
        spread_s = min(self.size / rate, SPREAD_MAX_S)
        first_s = max(spread_s, MAX_S * (1 + JITTER) + self.connect_timeout_s)
        return first_s + self.size / rate + 4 * 0.25

    def share_back_within_s(self, share: float) -> float:
        """When that share of them was back."""
        return sorted(self.back_at)[int(share * self.size) - 1]

    def most_in(self, window_s: float) -> int:
        """The most that were let in within any window."""
        return max(bisect_right(self.back_at, start + window_s) - place for place, start in enumerate(self.back_at))

    def _spread_s(self, device: int, pacer: Pacer) -> float:
        if self.advertised == "nothing":
            return 0.0
        return pacer.drain_s(self.size if self.advertised == "true" else device + 1)

"""When a dead component is started again: pure arithmetic on the contract of docs/reference/facts.md, 3.

Delays start at 1 s and double to at most 30 s, each drawn from +-20 % around its value. The fifth failure within ten
minutes trips a hold-down of five minutes (and, at the caller, an `escalate` alert). A failure during hold-down answers
with the time left and changes nothing; when it has passed, the history is cleared. So does a success: ready and
healthy for 30 s without a break, so that a component that gets ready and then crashes still counts up. A budget of 0
means no limit. Nothing here waits: `now` comes with each call (seconds, any monotonic origin).
"""

from collections import deque
from dataclasses import dataclass
from random import Random

from agt.supervisor.components._past import Failures
from agt.supervisor.components._spec import RestartPolicy


@dataclass(frozen=True, slots=True)
class RestartAfter:
    """Start it again after this delay."""

    delay_s: float
    failures: int
    """How many count so far, this one among them."""


@dataclass(frozen=True, slots=True)
class HeldDown:
    """Start nothing until the hold-down has passed."""

    left_s: float
    tripped: bool
    """Whether this failure began the hold-down: the one moment to raise the alert."""
    failures: int


class RestartHistory:
    """One component's failures and what follows from them."""

    def __init__(self, policy: RestartPolicy, rng: Random, past: Failures | None = None) -> None:
        """Begin with nothing, or go on from what an earlier supervisor has left."""
        self._policy, self._rng = policy, rng
        past = past or Failures()
        self._failed_at: deque[float] = deque(past.failed_at, maxlen=max(policy.budget, 1))
        self._in_a_row = past.in_a_row
        self._ready_at = past.ready_at
        self._held_until = past.held_until

    @property
    def failures_so_far(self) -> Failures:
        """Where the policy stands, to be remembered."""
        return Failures(
            failed_at=tuple(self._failed_at),
            in_a_row=self._in_a_row,
            ready_at=self._ready_at,
            held_until=self._held_until,
        )

    def record_end(self, now: float) -> None:
        """Note that the component isn't ready any more, and that this is no failure: somebody wanted it."""
        self._settle(now)
        self._ready_at = None

    def forget(self) -> None:
        """Begin anew: an operator starts it, who knows why it failed."""
        self._failed_at.clear()
        self._in_a_row = 0
        self._ready_at = self._held_until = None

    def record_ready(self, now: float) -> None:
        """Note that the component is ready and healthy from now on."""
        if self._ready_at is None:
            self._ready_at = now

    def record_failure(self, now: float) -> RestartAfter | HeldDown:
        """Note that the component died, or never got ready, and say what to do."""
        self._settle(now)
        if self._held_until is not None:
            return HeldDown(self._held_until - now, tripped=False, failures=len(self._failed_at))
        self._ready_at = None
        self._forget_before(now - self._policy.window_s)
        self._failed_at.append(now)
        self._in_a_row += 1
        if self._policy.budget and len(self._failed_at) >= self._policy.budget:
            self._held_until = now + self._policy.hold_down_s
            return HeldDown(self._policy.hold_down_s, tripped=True, failures=len(self._failed_at))
        return RestartAfter(self._delay_s(), failures=self._in_a_row)

    def hold_down_left_s(self, now: float) -> float:
        """Seconds until the hold-down has passed; 0 when there is none."""
        self._settle(now)
        return self._held_until - now if self._held_until is not None else 0.0

    def failures(self, now: float) -> int:
        """How many failures count against the budget now."""
        self._settle(now)
        self._forget_before(now - self._policy.window_s)
        return len(self._failed_at)

    def _settle(self, now: float) -> None:
        """Let what has become true by now take effect: a success, or the end of a hold-down."""
        succeeded = self._ready_at is not None and now - self._ready_at >= self._policy.healthy_after_s
        served = self._held_until is not None and now >= self._held_until
        if succeeded or served:
            self._failed_at.clear()
            self._in_a_row = 0
            self._held_until = None

    def _forget_before(self, limit: float) -> None:
        while self._failed_at and self._failed_at[0] <= limit:
            self._failed_at.popleft()
        if not self._failed_at:
            self._in_a_row = 0

    def _delay_s(self) -> float:
        policy = self._policy
        # The exponent is bounded before it is raised: with no limit on restarts it would overflow in time.
        doublings = min(self._in_a_row - 1, 64)
        base_s = min(policy.delay_initial_s * 2.0**doublings, policy.delay_max_s)
        drawn_s = base_s * self._rng.uniform(1 - policy.jitter, 1 + policy.jitter)
        return min(drawn_s, policy.delay_max_s)

"""How many callers a listener takes in a second, and when the others shall come back.

Theory of operation. Ten thousand devices that lost one gateway dial it again at the same time, and whatever it costs
to take one in, it costs ten thousand times. A token bucket bounds that: in any `t` seconds at most `burst + rate * t`
callers are let in. A caller that finds no token is not simply sent away, since it would come back with all the others:
it is given the next free *slot*, one slot each `1 / rate` seconds, and told to come back then. Slots are all different,
so those who keep to them arrive just as fast as tokens do, and the crowd is through after about `crowd / rate` seconds
(docs/architecture/reconnect.md has the bound and where it comes from). Nothing is remembered of those who were
sent away: whoever takes a token first has it, and a slot that nobody used is not lost, since its token stays (up to
`burst`).

Callers on a wire that has no word for "later" can be held instead: their token is taken in advance.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

SLOTS_AHEAD_S = 60.0
"""How far ahead slots are given out. A flood of callers who never come back can't send the others away for longer."""
_WHOLE = 1 - 1e-6
"""A token is there when it is there but for rounding: who comes exactly at its slot must find one."""


class ConnectBudget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast a listener takes callers in; what is over it comes back later, waits, or is let go."""

    connects_per_s: Annotated[float, Meta(gt=0)] = 1000.0
    """Callers taken in each second, over time."""
    connect_burst: Annotated[int, Meta(ge=1)] = 500
    """Callers taken in at once after a quiet time."""
    hold_max_s: Annotated[float, Meta(ge=0)] = 2.0
    """How long a caller may be kept waiting whose wire has no word for "later"; one that would wait longer is closed.
    Legacy devices dial again by themselves, after 2.6 s on average."""


class Pacer:
    """One listener's budget; told the time, it never waits."""

    __slots__ = ("_burst", "_filled_at", "_rate", "_slot_at", "_tokens", "admitted", "sent_away")

    def __init__(self, budget: ConnectBudget, *, now: float) -> None:
        """Start with a full bucket."""
        self._rate, self._burst = budget.connects_per_s, float(budget.connect_burst)
        self._tokens = self._burst
        self._filled_at = self._slot_at = now
        self.admitted = 0
        """Callers let in so far, or held for a token that is theirs."""
        self.sent_away = 0
        """Callers told to come back, or let go."""

    def admit(self, now: float) -> float:
        """Let a caller in (0.0), or say after how many seconds it shall come back."""
        self._fill(now)
        if self._tokens >= _WHOLE:
            self._tokens -= 1
            self.admitted += 1
            return 0.0
        self.sent_away += 1
        step = 1 / self._rate
        first = now + (1 - self._tokens) * step
        self._slot_at = max(self._slot_at + step, first)
        if self._slot_at - now > SLOTS_AHEAD_S:
            self._slot_at = first  # Every slot is given out; begin to give them out a second time.
        return self._slot_at - now

    def hold(self, now: float, longest_s: float) -> float | None:
        """Take a token that may still be to come, and return how many seconds to wait for it.

        None when that would be longer than `longest_s`: no token is taken then.
        """
        self._fill(now)
        wait_s = max(0.0, (1 - self._tokens) / self._rate)
        if wait_s > longest_s:
            self.sent_away += 1
            return None
        self._tokens -= 1
        self.admitted += 1
        return wait_s

    def drain_s(self, crowd: int) -> float:
        """Return over how many seconds so many callers should spread when they all come back."""
        return crowd / self._rate

    def _fill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled_at) * self._rate)
        self._filled_at = max(self._filled_at, now)

"""Keeps a router's time: says when something is due, does it, and waits for the next.

`run` is the only coroutine of a router. Whoever drives a router by hand (the simulated world, tests) calls
`next_deadline` and `handle_timer` instead.
"""

from typing import Final

from agt.router._bell import Bell
from agt.router._lag import LoopLag
from agt.router._roster import Roster
from agt.router._state import RouterState

LOOK_S: Final = 0.25
"""How often devices are looked at that time alone can move: an attachment came up, an override expired."""


class Timekeeper:
    """Calls each part when its time has come."""

    def __init__(self, state: RouterState, roster: Roster, bell: Bell) -> None:
        self._state, self._roster, self._bell = state, roster, bell
        self._lag = LoopLag()
        self._look_at = 0.0

    @property
    def lag_s(self) -> float:
        """The loop's worst recent delay."""
        return self._lag.worst_s(self._state.clock())

    def next_deadline(self) -> float:
        """When `handle_timer` should be called next, on the router's clock."""
        state = self._state
        if state.shadow.waiting:
            return state.clock()
        return min(self._look_at, state.mover.poll_at, state.shadow.next_deadline())

    def handle_timer(self) -> None:
        """Do what has come due."""
        state, now = self._state, self._state.clock()
        state.mover.poll(now=now)
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._roster.look(now=now)
        state.shadow.pump()
        self._flush()
        state.count_carried()

    async def run(self) -> None:
        """Keep time until cancelled."""
        clock = self._state.clock
        try:
            while True:
                self._bell.arm()  # Before looking, so that no ring is lost.
                self._lag.tick(clock())
                self.handle_timer()
                due = min(self.next_deadline(), self._lag.due or 0.0)
                await self._bell.wait(due - clock())
        finally:
            self._flush()

    def _flush(self) -> None:
        if self._state.ledger.journal is not None:
            self._state.ledger.journal.flush()

"""When a dialler dials again: at once where that is right, later where the peer or the crowd asks for it.

Four ways to be without a connection, four answers:

- *It was healthy, and ended for a reason of its own* (a gap, damage, a newer claim, silence): dial at once. On a lossy
  network every connection is short and still worth it.
- *It was healthy, and ended for everybody* (closed without a word, or the peer said that it shuts down): all the others
  are dialling too. So the first dial is spread over as many seconds as the peer said it needs for all of us.
- *The peer said when*: then. A slot of its own is what keeps the crowd apart, so nothing is added.
- *Nothing came of it*: pauses that double up to a maximum, with jitter.

What a peer asks for is bounded by our own limits: one that says "in a year" is asked again in a minute.
"""

import enum
from typing import TYPE_CHECKING

from agt.transport._backoff import Backoff
from agt.transport._events import Dropped

if TYPE_CHECKING:
    from random import Random

RETRY_AFTER_MAX_S = 60.0
"""The longest that a peer can send us away for, in seconds."""


class Ending(enum.Enum):
    """How a connection, or an attempt at one, ended."""

    FAILED = enum.auto()
    """There was no connection, or nobody said hello on it, or it broke before it did any good."""
    OWN = enum.auto()
    """It did its work, and ended for a reason that concerns this connection only."""
    SHARED = enum.auto()
    """It did its work, and ended for everybody else too: the peer has died, or shuts down."""


class Redial:
    """The pauses before one dialler's attempts."""

    __slots__ = ("_backoff", "_rng", "_spread_max_s")

    def __init__(self, rng: "Random", *, base_s: float, max_s: float, spread_max_s: float) -> None:
        """Start with no failures.

        Args:
            rng: draws jitter and spread; injected so that a run can be repeated.
            base_s: pause after the first failure, in seconds; doubles each time.
            max_s: the longest such pause before jitter, in seconds.
            spread_max_s: the most seconds over which a first dial is spread, whatever the peer says.

        Raises:
            ValueError: when a setting makes no sense.
        """
        self._rng = rng
        self._backoff = Backoff(rng, base_s=base_s, max_s=max_s)
        self._spread_max_s = spread_max_s

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._backoff.failures

    def next_pause_s(self, ending: Ending, *, retry_after_s: float = 0.0, spread_s: float = 0.0) -> float:
        """Return how long to wait before dialling again, in seconds.

        Args:
            ending: how the last attempt or connection ended.
            retry_after_s: when the peer asked to be dialled again, from now; 0 when it didn't.
            spread_s: over how many seconds the peer wants its diallers spread when all of them come back.
        """
        if ending is not Ending.FAILED:
            self._backoff.healthy()
        if retry_after_s > 0:
            return self._told(retry_after_s)
        if ending is Ending.FAILED:
            return self._backoff.next_pause_s()
        return self._rng.uniform(0, min(spread_s, self._spread_max_s)) if ending is Ending.SHARED else 0.0

    def pause_after(self, dropped: Dropped | None, *, useful: bool, spread_s: float = 0.0) -> float:
        """Return how long to wait before dialling again, in seconds, after what a driver has seen.

        Args:
            dropped: why the connection ended; None when there was none.
            useful: whether it did its work: the peer said hello, and it lasted or got a message through.
            spread_s: as the peer said it on its latest connection.
        """
        ending = Ending.FAILED
        if dropped is not None and useful:
            ending = Ending.SHARED if dropped.everyone else Ending.OWN
        return self.next_pause_s(
            ending, retry_after_s=dropped.retry_after_s if dropped is not None else 0.0, spread_s=spread_s
        )

    def _told(self, retry_after_s: float) -> float:
        if retry_after_s <= RETRY_AFTER_MAX_S:
            return retry_after_s
        # Whoever was told more than our limit has no slot of its own any more, so it makes room by chance.
        return RETRY_AFTER_MAX_S * (1 + self._rng.uniform(0, 0.5))

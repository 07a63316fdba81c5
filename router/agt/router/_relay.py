"""Ties the handle that a sender holds to the handle of the path that carried the message in the end.

A message that changed paths has two handles: the sender's, and the new path's. The first ends as the second does, but
that one in doubt stays so: it may have arrived by the old path, though the new one never wrote it.
"""

from collections.abc import Callable

from agt.transport import Delivery, Outcome


class Relay:
    """Settles the outer handle when the inner one settles."""

    __slots__ = ("_clock", "_outer", "_resends", "_since")

    def __init__(self, outer: Delivery, *, resends: int, since: float, clock: Callable[[], float]) -> None:
        self._outer, self._resends, self._since, self._clock = outer, resends, since, clock

    def __call__(self, inner: Delivery) -> None:
        assert inner.outcome is not None, "only a settled handle calls back"
        doubted = self._resends > 0 and inner.outcome is Outcome.NOT_DELIVERED
        self._outer.runtime = inner.runtime
        self._outer.settle(
            Outcome.INDETERMINATE if doubted else inner.outcome,
            reason=inner.reason,
            latency_s=max(inner.latency_s, self._clock() - self._since),
            resends=inner.resends + self._resends,
        )

"""The handle of one message on its way: cheap to make, settled exactly once.

A handle is the very object that the link works on (`Outgoing`), with what waiting for it needs. A waker is made only
for who waits for a message that has not ended; callbacks serve everyone else, so that a million unawaited sends cost
no million wakers.
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, Protocol

import anyio

from agt.transport._outcome import Outcome
from agt.transport._outgoing import Outgoing

_DELIVERED: Final = Outcome.DELIVERED  # An enumeration's members are slow to look up, and this one is often.


class Tally(Protocol):
    """Counts how many messages ended, by the run: for who must know of each, at next to no cost for any."""

    def delivered(self, deliveries: "Sequence[Delivery]") -> None:
        """Count messages that were delivered together; what their handles' callbacks do has been done."""
        ...

    def ended(self, delivery: "Delivery") -> None:
        """Count one that has ended otherwise, or by itself."""
        ...


class Delivery(Outgoing, eq=False):
    """What became, or will become, of one message; awaitable, and true when it was delivered."""

    runtime: str = ""
    """The runtime whose path made the last attempt, where a router chose it."""
    item: Any = None
    """What its sender wants to find again with the handle, whatever that is."""
    tally: Tally | None = None
    """Who counts its end, once; set by whoever sent it, before it has ended."""
    _then: "list[Callable[[Delivery], None]] | None" = None

    def settle(self, outcome: Outcome, *, reason: str = "", latency_s: float = 0.0, resends: int | None = None) -> None:
        """End the message; called once by whoever carries it.

        Args:
            outcome: how it ended.
            reason: why, when not delivered.
            latency_s: seconds from send to its end.
            resends: how often it was sent again, where that isn't counted here already.
        """
        assert self.outcome is None, "a delivery settles once"
        self.outcome, self.reason, self.latency_s = outcome, reason, latency_s
        if resends is not None:
            self.resends = resends
        if self.tally is not None:
            self.tally.ended(self)
        if self._then is not None:
            self._call_back()

    def add_done_callback(self, callback: "Callable[[Delivery], None]") -> None:
        """Call back when settled, at once if it already is; callbacks must not raise."""
        if self.outcome is not None:
            callback(self)
        elif self._then is None:
            self._then = [callback]
        else:
            self._then.append(callback)

    def remove_done_callback(self, callback: "Callable[[Delivery], None]") -> None:
        """Forget a callback; a no-op when it isn't there."""
        if self._then is not None and callback in self._then:
            self._then.remove(callback)

    async def wait(self) -> "Delivery":
        """Wait until the message has ended and return this handle."""
        return await self

    def __await__(self) -> Generator[Any, Any, "Delivery"]:
        if self.outcome is None:
            try:
                future = asyncio.get_running_loop().create_future()
            except RuntimeError:
                yield from self._wait_elsewhere().__await__()
                return self
            wake = partial(_wake, future)
            if self._then is None:
                self._then = [wake]
            else:
                self._then.append(wake)
            try:
                yield from future
            finally:
                if self.outcome is None:  # Its waiter was cancelled.
                    self.remove_done_callback(wake)
        return self

    def __bool__(self) -> bool:
        return self.outcome is _DELIVERED

    def __repr__(self) -> str:
        state = self.outcome.value if self.outcome else "on its way"
        return f"<Delivery {state}{': ' + self.reason if self.reason else ''}>"

    async def _wait_elsewhere(self) -> None:
        """Wait on a loop that has no futures."""
        event = anyio.Event()

        def wake(_: Delivery) -> None:
            event.set()

        self.add_done_callback(wake)
        try:
            await event.wait()
        finally:
            self.remove_done_callback(wake)

    def _call_back(self) -> None:
        callbacks, self._then = self._then, None
        for callback in callbacks or ():
            callback(self)


def settle_delivered(deliveries: Sequence[Delivery], now: float) -> None:
    """End messages, at least one, as delivered at `now`: `settle`, for a run of them in one loop."""
    tally, mixed = deliveries[0].tally, False
    for delivery in deliveries:
        assert delivery.outcome is None, "a delivery settles once"
        delivery.outcome = _DELIVERED
        delivery.latency_s = now - delivery.accepted_at
        if delivery.tally is not tally:
            mixed = True
        if delivery._then is not None:  # noqa: SLF001 - the class's own loop
            delivery._call_back()  # noqa: SLF001 - as above
    if mixed:
        for tally, run in groupby(deliveries, key=attrgetter("tally")):
            if tally is not None:
                tally.delivered(list(run))
    elif tally is not None:
        tally.delivered(deliveries)


def _wake(future: "asyncio.Future[None]", _: object) -> None:
    if not future.done():  # Its waiter may have been cancelled in this very turn.
        future.set_result(None)

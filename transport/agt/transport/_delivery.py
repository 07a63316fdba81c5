"""The handle of one message on its way: cheap to make, settled exactly once.

A handle is the very object that the link works on (`Outgoing`), with what waiting for it needs. An event is made only
by those who wait for one message; callbacks serve everyone else, so that a million unawaited sends cost no million
wakers.
"""

from collections.abc import Callable, Generator
from typing import Any

import anyio

from agt.transport._outcome import Outcome
from agt.transport._outgoing import Outgoing


class Delivery(Outgoing, eq=False):
    """What became, or will become, of one message; awaitable, and true when it was delivered."""

    runtime: str = ""
    """The runtime whose path made the last attempt, where a router chose it."""
    _callbacks: "list[Callable[[Delivery], None]] | None" = None

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
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            callback(self)

    def add_done_callback(self, callback: "Callable[[Delivery], None]") -> None:
        """Call back when settled, at once if it already is; callbacks must not raise."""
        if self.outcome is not None:
            callback(self)
        elif self._callbacks is None:
            self._callbacks = [callback]
        else:
            self._callbacks.append(callback)

    def remove_done_callback(self, callback: "Callable[[Delivery], None]") -> None:
        """Forget a callback; a no-op when it isn't there."""
        if self._callbacks is not None and callback in self._callbacks:
            self._callbacks.remove(callback)

    async def wait(self) -> "Delivery":
        """Wait until the message has ended and return this handle."""
        if self.outcome is None:
            event = anyio.Event()

            def wake(_: Delivery) -> None:
                event.set()

            self.add_done_callback(wake)
            try:
                await event.wait()
            finally:
                self.remove_done_callback(wake)
        return self

    def __await__(self) -> Generator[Any, Any, "Delivery"]:
        return self.wait().__await__()

    def __bool__(self) -> bool:
        return self.outcome is Outcome.DELIVERED

    def __repr__(self) -> str:
        state = self.outcome.value if self.outcome else "on its way"
        return f"<Delivery {state}{': ' + self.reason if self.reason else ''}>"

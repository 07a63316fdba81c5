"""The handle of one message on its way: cheap to make, settled exactly once.

A handle costs a few slots. An event is made only by those who wait for one message; callbacks serve everyone
else, so that a million unawaited sends cost no million wakers.
"""

from collections.abc import Callable, Generator
from typing import Any

import anyio

from agt.transport._outcome import Outcome


class Delivery:
    """What became, or will become, of one message; awaitable, and true when it was delivered."""

    __slots__ = ("_callbacks", "latency_s", "outcome", "reason", "resends", "runtime")

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        """None while on its way."""
        self.reason = ""
        """Why, when it was not delivered."""
        self.latency_s = 0.0
        """Seconds from send to settlement."""
        self.resends = 0
        """How often it was sent again."""
        self.runtime = ""
        """The runtime whose path made the last attempt, where a router chose it."""
        self._callbacks: list[Callable[[Delivery], None]] = []

    @property
    def done(self) -> bool:
        """Whether the message has ended."""
        return self.outcome is not None

    def settle(self, outcome: Outcome, *, reason: str = "", latency_s: float = 0.0, resends: int = 0) -> None:
        """End the message; called once by whoever carries it."""
        assert self.outcome is None, "a delivery settles once"
        self.outcome, self.reason, self.latency_s, self.resends = outcome, reason, latency_s, resends
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def add_done_callback(self, callback: "Callable[[Delivery], None]") -> None:
        """Call back when settled, at once if it already is; callbacks must not raise."""
        if self.done:
            callback(self)
        else:
            self._callbacks.append(callback)

    def remove_done_callback(self, callback: "Callable[[Delivery], None]") -> None:
        """Forget a callback; a no-op when it isn't there."""
        if callback in self._callbacks:
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

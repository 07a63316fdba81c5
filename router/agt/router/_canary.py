"""The documents' `CanaryRouter`: one line that sends each device's messages one way or the other.

It only chooses; moves, holding and the ledger are `Router`'s. What the chosen side returns is handed on as it is.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from agt.router._decision import Decision, Situation, Subject, choose, decide_in
from agt.router._errors import SelectorInvalid
from agt.router._problem import Problem
from agt.router._selector import Route, Runtimes, Selector
from agt.router._selector_text import check_selector

CANARY_RUNTIMES = Runtimes(control="legacy", candidate="new")
"""The sides' names where only a percentage is given."""


@runtime_checkable
class ReliableSender(Protocol):
    """A side that confirms, as `ReliableTransport` does."""

    def send_reliable(self, data: bytes) -> Awaitable[Any]:
        """Send and answer when confirmed."""
        ...


@runtime_checkable
class PlainSender(Protocol):
    """A side that only sends, as `LegacyTransport` does."""

    def send(self, data: bytes) -> Awaitable[Any]:
        """Send and hope."""
        ...


class CanaryRouter:
    """Chooses between two sides for each device.

    Args:
        legacy: The control side: anything with `send_reliable` or `send`.
        new: The candidate side, likewise.
        canary_pct: Share of devices on the new side, 0 to 100.
        selector: Decides instead of `canary_pct`; a function is asked again for each message.
        environment: Variables that may lower the share (`CANARY_PERCENTAGE`), as `os.environ` has them.

    Raises:
        SelectorInvalid: when the percentage or the selector makes no sense.
        TypeError: when a side can't send.
    """

    def __init__(
        self,
        legacy: ReliableSender | PlainSender,
        new: ReliableSender | PlainSender,
        canary_pct: float | None = None,
        *,
        selector: Selector | Callable[[], Selector | None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if (canary_pct is None) == (selector is None):
            raise SelectorInvalid((Problem("canary_pct", "give either canary_pct or selector"),), "CanaryRouter")
        self._send_legacy, self._send_new = _sender(legacy), _sender(new)
        self._environment = dict(environment or {})
        self._source = selector if callable(selector) else None
        if canary_pct is not None:
            selector = _selector_at(canary_pct)
        self._selector: Selector | None = None if callable(selector) else selector
        if self._selector is not None:
            check_selector(self._selector, origin="CanaryRouter")
        self._situation = Situation(self._selector, environment=self._environment, runtimes=CANARY_RUNTIMES)

    @property
    def canary_pct(self) -> float:
        """Share of devices on the new side, 0 to 100; may be set while messages flow."""
        situation = self._current()
        return situation.selector.percentage if situation.selector else 0.0

    @canary_pct.setter
    def canary_pct(self, percentage: float) -> None:
        selector = _selector_at(percentage)
        check_selector(selector, origin="CanaryRouter")
        self._source = None
        self._use(selector)

    def send(self, device_id: str, message: bytes) -> Awaitable[Any]:
        """Send one message; returns the chosen side's own awaitable."""
        situation = self._current()
        chosen = choose(situation, Subject(device_id))
        send = self._send_new if chosen == situation.runtimes.candidate else self._send_legacy
        return send(message)

    def decide(self, device_id: str) -> Decision:
        """Say where a device's messages go, and why."""
        return decide_in(self._current(), Subject(device_id))

    def _current(self) -> Situation:
        if self._source is not None:
            selector = self._source()
            if selector is not self._selector:
                self._use(selector)
        return self._situation

    def _use(self, selector: Selector | None) -> None:
        self._selector = selector
        self._situation = Situation(selector, environment=self._environment, runtimes=CANARY_RUNTIMES)


def _selector_at(percentage: float) -> Selector:
    if not 0 <= percentage <= 100:
        raise SelectorInvalid(
            (Problem("canary_pct", f"{percentage} is not a percentage from 0 to 100"),), "CanaryRouter"
        )
    return Selector(runtimes=CANARY_RUNTIMES, runtime=Route(enabled=True, percentage=float(percentage)))


def _sender(side: ReliableSender | PlainSender) -> Callable[[bytes], Awaitable[Any]]:
    if isinstance(side, ReliableSender):
        return side.send_reliable
    if isinstance(side, PlainSender):
        return side.send
    raise TypeError(f"{type(side).__name__} has neither send_reliable nor send")

"""Many messages given to a link in one call, and one thing to wait for."""

from collections.abc import Callable, Generator, Sequence
from operator import attrgetter
from typing import Any, overload

from agt.transport._delivery import Delivery
from agt.transport._errors import MessageTooLarge, QueueFull
from agt.transport._link import Link
from agt.transport._outcome import Outcome
from agt.transport._outgoing import Outgoing

_outcome_of = attrgetter("outcome")


class DeliveryBatch(Sequence[Delivery]):
    """The handles of messages that were sent together; awaitable, and true when all of them were delivered."""

    __slots__ = ("_deliveries",)

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self._deliveries = deliveries

    @property
    def done(self) -> bool:
        """Whether all have ended."""
        return self._pending() is None

    @property
    def delivered(self) -> int:
        """How many have been delivered."""
        return list(map(_outcome_of, self._deliveries)).count(Outcome.DELIVERED)

    def __await__(self) -> Generator[Any, Any, "DeliveryBatch"]:
        # Messages end in order but for exceptions: one waker, on the last, is mostly all that is needed.
        while (pending := self._pending()) is not None:
            yield from pending.__await__()
        return self

    def __bool__(self) -> bool:
        return self.delivered == len(self._deliveries)

    def __len__(self) -> int:
        return len(self._deliveries)

    @overload
    def __getitem__(self, index: int) -> Delivery: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Delivery]: ...
    def __getitem__(self, index: int | slice) -> Delivery | Sequence[Delivery]:
        return self._deliveries[index]

    def __repr__(self) -> str:
        return f"<DeliveryBatch {self.delivered} of {len(self)} delivered>"

    def _pending(self) -> Delivery | None:
        deliveries = self._deliveries
        if not deliveries or deliveries[-1].outcome is None:
            return deliveries[-1] if deliveries else None
        outcomes = list(map(_outcome_of, deliveries))
        return deliveries[outcomes.index(None)] if None in outcomes else None


def send_run(link: Link, payloads: Sequence[bytes], *, now: float, deadline: float) -> Sequence[Outgoing]:
    """Give a link many messages, all or none: in one call where it has one for that (`send_run`), else one by one.

    Raises:
        QueueFull: when there is no room for all; those that were taken already end as cancelled.
        MessageTooLarge: when the wire can't carry one of them.
    """
    in_one: Callable[..., Sequence[Outgoing]] | None = getattr(link, "send_run", None)
    if in_one is not None:
        return in_one(payloads, now=now, deadline=deadline)
    taken: list[Outgoing] = []
    try:
        taken.extend(link.send(payload, now=now, deadline=deadline) for payload in payloads)
    except (MessageTooLarge, QueueFull):
        for message in taken:
            link.cancel(message, now=now)
        raise
    return taken

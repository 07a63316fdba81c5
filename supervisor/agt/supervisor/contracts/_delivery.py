"""Delivery tokens: each delivery has one, a resend carries the same one, and a second ack moves nothing.

What is not acknowledged within two seconds is sent again; the fifth attempt that nobody acknowledges ends the delivery
as `ack_retry_exhausted`, and its source is degraded until one of its deliveries is acknowledged.
"""

import enum
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

COMMITTED_MAX: Final = 10_000
"""Committed tokens that are remembered, to answer a second ack; at the documents' rates hours of traffic."""
OPEN_MAX: Final = 10_000
"""Deliveries that may wait for their ack at a time."""


class AckAnswer(enum.Enum):
    """What an acknowledgement is answered with."""

    COMMITTED = "committed"
    ALREADY_COMMITTED = "already_committed"
    """Acknowledged before: nothing moves."""
    ACK_RETRY_EXHAUSTED = "ack_retry_exhausted"
    """Given up before the ack came."""
    UNKNOWN = "unknown_token"
    """Never issued here, or forgotten."""


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """The contract's numbers."""

    ack_timeout_s: float = 2.0
    attempts: int = 5
    """With the first."""


@dataclass(frozen=True, slots=True)
class Resend:
    """A delivery to be sent again, or given up."""

    token: str
    source: str
    attempt: int
    """1 is the first sending."""
    exhausted: bool
    """Whether this is the end instead: raise `ack_retry_exhausted`."""


@dataclass(slots=True)
class _Open:
    source: str
    attempt: int
    due: float


class Deliveries:
    """All deliveries of one gateway."""

    def __init__(self, limits: DeliveryLimits | None = None) -> None:
        self._limits = limits or DeliveryLimits()
        self._open: OrderedDict[str, _Open] = OrderedDict()
        self._ended: OrderedDict[str, AckAnswer] = OrderedDict()
        self._degraded: set[str] = set()

    @property
    def degraded(self) -> frozenset[str]:
        """Sources with an exhausted delivery and no ack since."""
        return frozenset(self._degraded)

    @property
    def waiting(self) -> int:
        """Deliveries without an ack."""
        return len(self._open)

    def issue(self, token: str, source: str, *, now: float) -> bool:
        """Note a first sending; false when the token is in use or was, or too many deliveries wait: don't send it."""
        if token in self._open or token in self._ended or len(self._open) >= OPEN_MAX:
            return False
        self._open[token] = _Open(source, 1, now + self._limits.ack_timeout_s)
        return True

    def acknowledge(self, token: str) -> AckAnswer:
        """Take an ack; only the first of a token moves anything."""
        delivery = self._open.pop(token, None)
        if delivery is None:
            ended = self._ended.get(token)
            if ended is AckAnswer.COMMITTED:
                return AckAnswer.ALREADY_COMMITTED
            return ended or AckAnswer.UNKNOWN
        self._degraded.discard(delivery.source)
        self._end(token, AckAnswer.COMMITTED)
        return AckAnswer.COMMITTED

    def withdraw(self, token: str) -> bool:
        """Take back a delivery whose receiver began anew; what it still needs is delivered under tokens of its own.

        Its ack, if one comes yet, is that of an unknown token. False when it doesn't wait.
        """
        return self._open.pop(token, None) is not None

    def recovered(self, source: str) -> None:
        """Note that the receiver has everything that this source was given up with, by the receiver's own cursor."""
        self._degraded.discard(source)

    def due(self, *, now: float) -> Iterator[Resend]:
        """Yield what has waited too long: to be sent again under the same token, or given up."""
        late = [token for token, delivery in self._open.items() if delivery.due <= now]
        for token in late:
            delivery = self._open[token]
            if delivery.attempt >= self._limits.attempts:
                del self._open[token]
                self._degraded.add(delivery.source)
                self._end(token, AckAnswer.ACK_RETRY_EXHAUSTED)
                yield Resend(token, delivery.source, delivery.attempt, exhausted=True)
                continue
            delivery.attempt += 1
            delivery.due = now + self._limits.ack_timeout_s
            yield Resend(token, delivery.source, delivery.attempt, exhausted=False)

    def next_due(self) -> float | None:
        """Return when something is due next; None when nothing waits."""
        return min((delivery.due for delivery in self._open.values()), default=None)

    def _end(self, token: str, answer: AckAnswer) -> None:
        self._ended[token] = answer
        if len(self._ended) > COMMITTED_MAX:
            self._ended.popitem(last=False)

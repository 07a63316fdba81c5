"""Messages that the peer's application was too busy for: when they are offered again, and which are out on offer.

The receiver counts how often it was busy for a message, and says so in every statement; a statement with the count
that is known already was made before the last offer, unless that got lost. It is taken for lost once a round trip is
over: offering a message twice does no harm.
"""

import math

from agt.transport._outgoing import Outgoing


class Postponed:
    """The postponed messages of one channel."""

    __slots__ = ("offer_at", "on_offer", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[int, Outgoing] = {}
        """Those that are not on offer now, by sequence; nothing new is written while there are any."""
        self.on_offer: dict[int, float] = {}
        """Those that are, by sequence, and since when."""
        self.offer_at = math.inf
        """When those that wait are offered again."""

    def refused(self, message: Outgoing, times: int, retry_at: float, now: float, timeout_s: float) -> bool:
        """Take in that the peer was busy for a message `times` times; true when that is news."""
        sequence = message.sequence
        if times > message.refusals:
            message.refusals = times
            self.on_offer.pop(sequence, None)
            self.waiting[sequence] = message
            # The latest word counts: a queue that is refused message by message is offered again as a whole.
            self.offer_at = retry_at if self.offer_at == math.inf else max(self.offer_at, retry_at)
            return True
        offered_at = self.on_offer.get(sequence)
        if offered_at is not None and now - offered_at > timeout_s:
            self.waiting[sequence] = message
            self.offer_at = min(self.offer_at, now)
        return False

    def holds(self, message: Outgoing) -> bool:
        """Whether the peer provably has no copy of this message, nor is one on its way: it has refused each of them."""
        return message.sequence in self.waiting and message.resends < message.refusals

    def drop(self, message: Outgoing) -> None:
        """Offer a message no more."""
        self.waiting.pop(message.sequence, None)
        self.on_offer.pop(message.sequence, None)
        if not self.waiting:
            self.offer_at = math.inf

    def take(self, now: float) -> list[Outgoing]:
        """Return what is offered now, in order."""
        messages = [message for _, message in sorted(self.waiting.items()) if not message.ending]
        self.waiting.clear()
        self.offer_at = math.inf
        self.on_offer.update((message.sequence, now) for message in messages)
        return messages

    def settled_through(self, base: int) -> None:
        """Forget what has ended."""
        for sequence in [sequence for sequence in (*self.waiting, *self.on_offer) if sequence <= base]:
            self.waiting.pop(sequence, None)
            self.on_offer.pop(sequence, None)
        if not self.waiting:
            self.offer_at = math.inf

    def connection_lost(self) -> None:
        """Take every offer that is out for lost; the next statement says which were."""
        self.on_offer = dict.fromkeys(self.on_offer, -math.inf)

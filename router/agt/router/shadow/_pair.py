"""One mirrored message: its handles and replies, until all are there or its time is up."""

import math
from collections.abc import Callable, Mapping
from typing import Final

from agt.router._path import Message
from agt.router.shadow._fields import LATENCY, OUTCOME, Extractor, Leaf, reply_leaves
from agt.router.shadow._twin import Answered
from agt.transport import Delivery, Outcome

WELL: Final = "well"
"""What `delivered` and `written` are compared as: the latter is the best that a legacy path can say."""
UNANSWERED: Final = "unanswered"
"""How a message ended that its twin never answered in time."""


class Pair:
    """A message that one runtime carried, and its copies."""

    __slots__ = (
        "_finished",
        "_left",
        "act",
        "awaits_reply",
        "carried",
        "carrying",
        "deadline",
        "floor",
        "message",
        "mirrored",
        "reply",
        "reply_latency_s",
        "tried",
    )

    def __init__(self, tried: str, message: Message, carried: Delivery, *, awaits_reply: bool = False) -> None:
        self.tried, self.message, self.carried = tried, message, carried
        self.carrying = carried.runtime
        """Which runtime had it when it was mirrored; empty when nobody said."""
        self.act = ""
        self.mirrored: Delivery | None = None
        self.floor: Delivery | None = None
        self.awaits_reply = awaits_reply
        """Whether somebody will tell what the device replied where the message was carried."""
        self.reply: bytes | None = None
        self.reply_latency_s: float | None = None
        self.deadline = math.inf
        self._left = 0
        self._finished: Callable[[Pair], None] | None = None

    def follow(self, finished: "Callable[[Pair], None]") -> None:
        """Call back once when every answer is there, perhaps at once; a settled handle costs nothing but a count."""
        handles = [handle for handle in (self.carried, self.mirrored, self.floor) if handle is not None]
        self._finished = finished
        self._left = len(handles) + (self.awaits_reply and self.reply is None)
        for handle in handles:
            handle.add_done_callback(self._ended)

    def replied(self, reply: bytes, latency_s: float | None) -> None:
        """Take what the device replied where the message was carried; the first one counts."""
        if self.reply is None:
            self.reply, self.reply_latency_s = reply, latency_s
            if self._finished is not None and self.awaits_reply:
                self._ended(None)

    def abandon(self) -> None:
        """Stop following: its time is up."""
        self._finished = None
        for handle in (self.carried, self.mirrored, self.floor):
            if handle is not None:
                handle.remove_done_callback(self._ended)

    @property
    def void(self) -> bool:
        """Whether nothing can be compared: it never ended where it was carried, or the tried runtime carried it."""
        return self.carried.outcome is None or self.carried.runtime == self.tried

    @property
    def error(self) -> bool:
        """Whether it ended well where it was carried and not where it was mirrored."""
        return _ended(self.carried) == WELL != _ended(self.mirrored)

    def leaves(self, other: Delivery, extract: Extractor) -> tuple[dict[str, Leaf], dict[str, Leaf]]:
        """Return what was carried and what another handle says, with the same fields where both know them."""
        ours, theirs = _leaf(OUTCOME, _ended(self.carried)), _leaf(OUTCOME, _ended(other))
        latency_s, other_s = self._carried_latency(), other.latency_s if other.outcome is Outcome.DELIVERED else None
        if latency_s is not None and other_s is not None:
            ours |= _leaf(LATENCY, latency_s)
            theirs |= _leaf(LATENCY, other_s)
        if self.awaits_reply and isinstance(other, Answered):
            ours |= self._reply(self.reply, extract)
            theirs |= self._reply(other.reply, extract)
        return ours, theirs

    def _carried_latency(self) -> float | None:
        if self.reply_latency_s is not None:
            return self.reply_latency_s
        return self.carried.latency_s if self.carried.outcome is Outcome.DELIVERED else None

    def _reply(self, reply: bytes | None, extract: Extractor) -> Mapping[str, Leaf]:
        return _leaf("reply", "(none)") if reply is None else reply_leaves(extract, self.message, reply)

    def _ended(self, _: Delivery | None) -> None:
        self._left -= 1
        if self._left == 0 and self._finished is not None:
            finished, self._finished = self._finished, None
            finished(self)


def _leaf(name: str, value: object) -> dict[str, Leaf]:
    return {name: Leaf(name, value)}


def _ended(delivery: Delivery | None) -> str:
    if delivery is None or delivery.outcome is None:
        return UNANSWERED
    return WELL if delivery.outcome in (Outcome.DELIVERED, Outcome.WRITTEN) else delivery.outcome.value

"""Telling a resend from a repeat on purpose.

Devices send identical packets deliberately, seconds apart. A memory of minutes would throw most of that traffic
away. So a packet counts as a resend only where the peer could have made one: same connection, same bytes, while our
answer to the first copy is not written yet, or within one retry window after it was.
"""

import enum
import math
from collections import OrderedDict


class Copy(enum.Enum):
    """What a packet is to those seen before it on the same connection."""

    NEW = enum.auto()
    """Its bytes were not seen, or so long ago that they are forgotten."""
    UNANSWERED = enum.auto()
    """A resend whose first copy is still being processed: one answer will do for both."""
    ANSWERED = enum.auto()
    """A resend of what was answered just now: the answer was lost or late, so answer again."""
    LATE = enum.auto()
    """Same bytes, past the window: repeated on purpose, or a resend that nobody can recognise any more."""


class ResendWindow:
    """The memory of one connection: which packets were seen, and when they were answered."""

    __slots__ = ("_answered_at", "_limit", "_window_s")

    def __init__(self, window_s: float = 0.5, *, limit: int = 1000) -> None:
        """Start empty.

        Args:
            window_s: how long after our answer a resend can still come, in seconds.
            limit: how many packets are remembered; the oldest go first.
        """
        self._window_s, self._limit = window_s, limit
        self._answered_at: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        """How many packets are remembered."""
        return len(self._answered_at)

    def classify(self, data: bytes, *, now: float) -> Copy:
        """Say what a packet is, and remember it as unanswered if it is to be processed (NEW, LATE)."""
        answered_at = self._answered_at.get(data)
        if answered_at is not None and now - answered_at <= self._window_s:
            return Copy.UNANSWERED if answered_at == math.inf else Copy.ANSWERED
        self._answered_at[data] = math.inf
        self._answered_at.move_to_end(data)
        while len(self._answered_at) > self._limit:
            self._answered_at.popitem(last=False)
        return Copy.NEW if answered_at is None else Copy.LATE

    def answered(self, data: bytes, *, now: float) -> None:
        """Note that our answer to a packet is being written; the window runs from here."""
        if data in self._answered_at:
            self._answered_at[data] = now

    def forget(self, data: bytes) -> None:
        """Treat the next copy as new: this one was refused."""
        self._answered_at.pop(data, None)

    def clear(self) -> None:
        """Forget everything: the connection is gone."""
        self._answered_at.clear()

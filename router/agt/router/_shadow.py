"""Mirrored messages: what the other runtime would have done, without acting on the world.

Messages that one runtime carried are handed to a *twin* of the device on the other one, and the two endings are
compared. Without a twin nothing is sent and only counted (a decision, no act). Mirroring happens after the
carrying path has its message, from a bounded queue that sheds and counts, in turns of its own: whatever the twin
does, control is not slowed.
"""

from collections import deque
from collections.abc import Mapping
from typing import Protocol

import msgspec

from agt.router._path import Message
from agt.transport import Delivery, Outcome

SHADOW_QUEUE_MAX = 1000
"""Messages that wait for their twin."""
SHADOW_BATCH = 100
"""Messages handed to twins in one turn of the loop."""


class Twin(Protocol):
    """A stand-in device that takes mirrored writes."""

    def send(self, message: Message) -> Delivery:
        """Take a mirrored message.

        Raises:
            QueueFull: when the twin has no room for it; it counts as shed and never as a difference, as does
                whatever else a broken twin raises.
        """
        ...


class ShadowCounts(msgspec.Struct, kw_only=True):
    """What the shadow saw."""

    compared: int = 0
    """Messages whose two endings are known."""
    differences: int = 0
    """Of these, how many ended well on one runtime only."""
    decided: int = 0
    """Messages that had no twin, so that only the decision was counted."""
    shed: int = 0
    """Messages not mirrored, because the queue was full or the twin failed."""


class Shadow:
    """Mirrors to twins by runtime, and compares counts."""

    def __init__(self, twins: Mapping[str, Twin] | None = None, *, queue_max: int = SHADOW_QUEUE_MAX) -> None:
        self.twins: dict[str, Twin] = dict(twins or {})
        """Where mirrored messages go, by the runtime that is tried out."""
        self.counts = ShadowCounts()
        self._queue: deque[tuple[str, Message, Delivery]] = deque()
        self._queue_max = queue_max
        self._comparing = 0

    @property
    def waiting(self) -> int:
        """Messages that wait to be mirrored."""
        return len(self._queue)

    def offer(self, runtime: str, message: Message, carried: Delivery) -> None:
        """Queue a message for the twin of a runtime; sheds rather than waits."""
        if runtime not in self.twins:
            self.counts.decided += 1
        elif len(self._queue) + self._comparing >= self._queue_max:
            self.counts.shed += 1
        else:
            self._queue.append((runtime, message, carried))

    def pump(self) -> None:
        """Hand some queued messages to their twins; called between turns of the loop."""
        for _ in range(min(SHADOW_BATCH, len(self._queue))):
            runtime, message, carried = self._queue.popleft()
            twin = self.twins.get(runtime)
            if twin is None:
                self.counts.decided += 1
                continue
            try:
                mirrored = twin.send(message)
            except Exception:  # noqa: BLE001 - a broken twin must never reach control.
                self.counts.shed += 1
                continue
            self._comparing += 1
            _Pair(self, carried, mirrored)

    def compare(self, carried: Delivery, mirrored: Delivery) -> None:
        """Count one pair whose endings are both known."""
        self._comparing -= 1
        self.counts.compared += 1
        self.counts.differences += _ended_well(carried) != _ended_well(mirrored)


class _Pair:
    """Waits for both endings of one message."""

    __slots__ = ("_carried", "_left", "_mirrored", "_shadow")

    def __init__(self, shadow: Shadow, carried: Delivery, mirrored: Delivery) -> None:
        self._shadow, self._carried, self._mirrored, self._left = shadow, carried, mirrored, 2
        carried.add_done_callback(self._ended)
        mirrored.add_done_callback(self._ended)

    def _ended(self, _: Delivery) -> None:
        self._left -= 1
        if self._left == 0:
            self._shadow.compare(self._carried, self._mirrored)


def _ended_well(delivery: Delivery) -> bool:
    """Tell good endings from bad ones; `written` is the best that a legacy path can say."""
    return delivery.outcome in (Outcome.DELIVERED, Outcome.WRITTEN)

"""How much an outbox holds: messages behind the oldest unanswered one, and their bytes.

Kept by segment and not by message, since a segment is what the disk gives back; only messages that ended early are
looked at singly, so that what gave way leaves its room at once.
"""

from collections import deque


class ChannelLedger:
    """One channel's share."""

    __slots__ = ("_ended_early", "_segments", "base", "bytes", "stored_through", "submitted_through")

    def __init__(self, base: int = 0) -> None:
        self.base = base
        """Through which sequence everything has ended and is forgotten here."""
        self.submitted_through = base
        """Through which sequence everything was given to the store."""
        self.stored_through = base
        """Through which sequence everything is durable."""
        self.bytes = 0
        """Of the payloads that may still have to be sent."""
        self._segments: deque[tuple[int, int]] = deque()
        self._ended_early: dict[int, int] = {}

    def submitted(self, last: int, size: int) -> None:
        """Note that messages through `last`, of `size` bytes since the last call, are on their way to the disk."""
        self.submitted_through = last
        self._segments.append((last, size))

    def ended(self, sequence: int, size: int) -> None:
        """Note that a message will not be sent (again): its bytes are free."""
        self.bytes -= size
        self._ended_early[sequence] = size

    def settled(self, base: int) -> bool:
        """Forget what everything up to `base` took; true when that is news."""
        if base <= self.base:
            return False
        self.base = base
        freed = 0
        while self._segments and self._segments[0][0] <= base:
            freed += self._segments.popleft()[1]
        for sequence in [sequence for sequence in self._ended_early if sequence <= base]:
            # Its segment frees it (again), now or when the rest of it has ended.
            freed -= self._ended_early.pop(sequence)
        self.bytes -= freed
        return True

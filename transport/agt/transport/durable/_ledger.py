"""How much an outbox holds: messages behind the oldest unanswered one, and their bytes.

Kept by segment and not by message, since a segment is what the disk gives back; only messages that ended early are
looked at singly, so that what gave way leaves its room at once.
"""

from collections import deque

from agt.transport._outgoing import Outgoing


class ChannelLedger:
    """One channel's share."""

    __slots__ = (
        "_ended_early",
        "_segments",
        "accepted",
        "accepted_bytes",
        "accepted_ended",
        "base",
        "bytes",
        "stored_through",
        "submitted_through",
    )

    def __init__(self, base: int = 0) -> None:
        self.base = base
        """Through which sequence everything has ended and is forgotten here."""
        self.submitted_through = base
        """Through which sequence everything was given to the store."""
        self.stored_through = base
        """Through which sequence everything is durable."""
        self.bytes = 0
        """Of the payloads that may still have to be sent."""
        self.accepted: list[Outgoing] = []
        """Messages that were not given to the store yet."""
        self.accepted_bytes = 0
        """Bytes of theirs that may have to be sent."""
        self.accepted_ended = 0
        """How many of them have ended already."""
        self._segments: deque[tuple[int, int]] = deque()
        self._ended_early: dict[int, int] = {}

    def accept(self, message: Outgoing, size: int) -> None:
        """Take in a message."""
        self.bytes += size
        self.accepted_bytes += size
        self.accepted.append(message)

    def restored(self, last: int, size: int) -> None:
        """Note what was there from the start."""
        self.bytes = size
        self.submitted_through = self.stored_through = last
        self._segments.append((last, size))

    def submit(self) -> list[Outgoing]:
        """Return what was accepted since the last call: it is on its way to the disk."""
        messages, self.accepted = self.accepted, []
        self.submitted_through = messages[-1].sequence
        self._segments.append((self.submitted_through, self.accepted_bytes))
        self.accepted_bytes = self.accepted_ended = 0
        return messages

    def ended(self, sequence: int, size: int) -> bool:
        """Note that a message will not be sent (again): its bytes are free; true when the store has to be told."""
        self.bytes -= size
        if sequence > self.submitted_through:
            self.accepted_bytes -= size
            self.accepted_ended += 1
            return False
        self._ended_early[sequence] = size
        return True

    def failed(self, messages: list[Outgoing]) -> None:
        """Take back what was on its way, and is not durable."""
        self.submitted_through = self.stored_through
        while self._segments and self._segments[-1][0] > self.stored_through:
            self.accepted_bytes += self._segments.pop()[1]
        for sequence in [sequence for sequence in self._ended_early if sequence > self.stored_through]:
            self.accepted_bytes -= self._ended_early.pop(sequence)
        self.accepted[:0] = messages
        self.accepted_ended = sum(bool(message.ending) for message in self.accepted)

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

"""Which message an acknowledgement belongs to, on a wire whose acknowledgements say little.

An ack is matched by its type and, where it carries one, its id; ids repeat and wrap, so several messages with the
same key can be outstanding, and they are answered in order. One matcher serves one connection: an ack never
outlives the connection it was sent on.
"""

from collections import deque

Key = tuple[int, int | None]
"""Type of the ack and the id it repeats; None for types without one."""


class AckMatcher:
    """First in, first out within each key."""

    __slots__ = ("_size", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[Key, deque[int]] = {}
        self._size = 0

    def __len__(self) -> int:
        """How many messages wait for an ack."""
        return self._size

    def expect(self, key: Key, message: int) -> None:
        """Wait for one ack of this key on behalf of a message."""
        self._waiting.setdefault(key, deque()).append(message)
        self._size += 1

    def match(self, key: Key) -> int | None:
        """Return the message that this ack answers and stop waiting for it; None when nothing waits."""
        waiting = self._waiting.get(key)
        if not waiting:
            return None
        message = waiting.popleft()
        self._size -= 1
        if not waiting:
            del self._waiting[key]
        return message

    def forget(self, key: Key, message: int) -> None:
        """Stop waiting on behalf of a message; a no-op when nothing waits for it."""
        waiting = self._waiting.get(key)
        if not waiting or message not in waiting:
            return
        waiting.remove(message)
        self._size -= 1
        if not waiting:
            del self._waiting[key]

    def clear(self) -> None:
        """Forget everything: the connection is gone."""
        self._waiting.clear()
        self._size = 0

"""A request sent twice is done once: receipts remembered by key, in a bounded map.

Only receipts are remembered. A refusal changed nothing, so asking again with the same key may well succeed; and going
back is never answered from memory at all (the app does not come here for it), because it must always act.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from agt.supervisor.actions import Action
from agt.supervisor.view import Receipt

MAX_KEYS: Final = 1000


class KeyConflict(Exception):
    """Raised when a key comes again with another request."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the key {key!r} was used for another request")
        self.key = key


class _Entry:
    __slots__ = ("action", "done", "receipt")

    def __init__(self, action: Action) -> None:
        self.action = action
        self.done = anyio.Event()
        self.receipt: Receipt | None = None


class Receipts:
    """The last `max_keys` receipts by idempotency key, oldest dropped first."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._max_keys = max_keys

    def __len__(self) -> int:
        return len(self._entries)

    async def once(self, action: Action, act: Callable[[Action], Awaitable[Receipt]]) -> Receipt:
        """Act, or answer the receipt of the same request; a twin that is still running is waited for.

        Raises:
            KeyConflict: When the key belongs to another request.
        """
        assert action.key, "only requests with a key are remembered"
        while (entry := self._entries.get(action.key)) is not None:
            if entry.action != action:
                raise KeyConflict(action.key)
            await entry.done.wait()
            if entry.receipt is not None:
                return entry.receipt
        entry = self._entries[action.key] = _Entry(action)
        try:
            entry.receipt = await act(action)
            return entry.receipt
        finally:
            if entry.receipt is None:
                del self._entries[action.key]
            entry.done.set()
            self._trim()

    def _trim(self) -> None:
        while len(self._entries) > self._max_keys:
            oldest = next((key for key, entry in self._entries.items() if entry.receipt is not None), None)
            if oldest is None:
                return  # All still running; their number is bounded by the server's concurrency limit.
            del self._entries[oldest]

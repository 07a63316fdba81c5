"""How a store's thread calls back into the event loop that waits for it."""

import asyncio
from collections.abc import Callable
from typing import Protocol


class CallSoon(Protocol):
    """Has a function called soon by the thread that owns the links; may be used from any thread."""

    def __call__(self, callback: Callable[[], object], /) -> object:
        """Arrange the call; raises `RuntimeError` when that thread's loop has ended."""
        ...


def running_loop() -> CallSoon:
    """Return this for the running event loop, asyncio's or trio's."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        from trio.lowlevel import current_trio_token  # noqa: PLC0415  # Only where trio runs already.

        return current_trio_token().run_sync_soon

"""Wait for a condition over shared state: whoever changes the state rings, whoever waits looks again."""

from collections.abc import Callable

import anyio


class Bell:
    """Wakes everyone who waits, each time it rings."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def ring(self) -> None:
        """Let everyone who waits look again."""
        self._event.set()
        self._event = anyio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once the condition holds; it is looked at now and after each ring."""
        while not holds():
            await self._event.wait()

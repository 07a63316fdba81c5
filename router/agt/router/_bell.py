"""Wakes the one coroutine that keeps a router's time, from synchronous code on the same loop."""

import anyio


class Bell:
    """Rung by whoever made something due; rings before the first `arm` are nobody's, and lost."""

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def ring(self) -> None:
        """Wake the waiter; again and again is the same as once."""
        if self._event is not None:
            self._event.set()

    def arm(self) -> None:
        """Count rings from now on; before looking at what is due, so that none is lost between."""
        self._event = anyio.Event()

    async def wait(self, seconds: float) -> None:
        """Wait for a ring since `arm`, at most this long."""
        assert self._event is not None, "a bell is armed before somebody waits for it"
        with anyio.move_on_after(max(0.0, seconds)):
            await self._event.wait()

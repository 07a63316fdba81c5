"""Answers that take their time: first in, first out, one small task per attachment."""

from collections import deque
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import ByteSendStream

WAITING_MAX = 1000
"""Answers that may wait; a device that can't keep up forgets the newest, as small firmware does."""


class Replies:
    """Calls back for each answer when it is due, never out of order."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Callable[[], Awaitable[None]]]] = deque()
        self._wake = anyio.Event()
        self._last = 0.0

    def after(self, delay_s: float, answer: Callable[[], Awaitable[None]]) -> None:
        """Give an answer in `delay_s` seconds, or as soon as those before it are given."""
        if len(self._waiting) < WAITING_MAX:
            self._last = max(self._last, anyio.current_time() + delay_s)
            self._waiting.append((self._last, answer))
            self._wake.set()

    async def run(self) -> None:
        """Give answers until cancelled, or until giving one fails."""
        while True:
            while not self._waiting:
                self._wake = anyio.Event()
                await self._wake.wait()
            due, answer = self._waiting[0]
            await anyio.sleep_until(due)
            self._waiting.popleft()
            await answer()


def sending(stream: ByteSendStream, data: bytes) -> Callable[[], Awaitable[None]]:
    """Make an answer of bytes."""

    async def send() -> None:
        await stream.send(data)

    return send

"""A daemon's hand on the terminals: what it was told to type goes there in batches, and who asked is told when it did.

The terminals keep a watermark for each session, so a batch whose answer was lost is simply sent again.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import anyio

from agt.chaos.demo._talk import Lines

WAITING_MAX: Final = 10_000
"""Commands that may wait for the terminals; beyond, they are not taken, and nobody is told that they were done."""
BATCH_MAX: Final = 500
REDIAL_S: Final = 0.2


class Hand:
    """Types into sessions on behalf of one daemon."""

    def __init__(self, socket: Path, *, path: str) -> None:
        """Prepare.

        Args:
            socket: Where the terminals are asked.
            path: The daemon's name, for their log.
        """
        self._socket, self._path = socket, path
        self._waiting: deque[tuple[tuple[str, int, int], Callable[[], None]]] = deque()
        self._wake = anyio.Event()

    def type(self, session: str, number: int, value: int, done: Callable[[], None]) -> None:
        """Type a command soon; `done` is called when the session has it, and never when there is no such session."""
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append(((session, number, value), done))
            self._wake.set()

    async def run(self) -> None:
        """Type until cancelled, dialling again when the terminals are gone."""
        while True:
            try:
                async with await anyio.connect_unix(self._socket) as stream:
                    lines = Lines(stream)
                    while True:
                        await self._some(lines)
            except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
                await anyio.sleep(REDIAL_S)

    async def _some(self, lines: Lines) -> None:
        while not self._waiting:
            self._wake = anyio.Event()
            await self._wake.wait()
        batch = [self._waiting[index] for index in range(min(len(self._waiting), BATCH_MAX))]
        acts = [act for act, _ in batch]
        question: dict[str, Any] = {"op": "act", "path": self._path, "acts": acts}
        await lines.write(question)
        answers = (await lines.read()).get("done", ())
        for known in answers:  # Only what was answered leaves the queue.
            _, done = self._waiting.popleft()
            if known:
                done()

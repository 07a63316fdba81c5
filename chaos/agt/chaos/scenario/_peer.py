"""Starts, kills and restarts the receiver's process."""

import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import Process

READY_LINE = b"ready\n"
"""What the receiver says on standard output once it receives."""
READY_WITHIN_S = 15.0


class Receiver(AbstractAsyncContextManager["Receiver"]):
    """A receiver in a real process; alive inside its `async with`."""

    def __init__(self, folder: Path) -> None:
        self.socket, self.log = folder / "receiver.sock", folder / "effects.jsonl"
        self.kills = 0
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it and wait until it receives.

        Raises:
            RuntimeError: when it doesn't come up.
        """
        command = [sys.executable, "-m", "agt.chaos.scenario._receiver", str(self.socket), str(self.log)]
        self._process = await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=None)
        assert self._process.stdout is not None, "opened with a pipe"
        try:
            with anyio.fail_after(READY_WITHIN_S):
                said = await self._process.stdout.receive()
        except (TimeoutError, anyio.EndOfStream) as problem:
            raise RuntimeError("the receiver did not come up") from problem
        if said != READY_LINE:
            raise RuntimeError(f"the receiver said {said[:100]!r} instead of being ready")

    async def kill(self) -> None:
        """Kill it without a warning, as part of the scenario."""
        self.kills += 1
        await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with anyio.CancelScope(shield=True):
                await process.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

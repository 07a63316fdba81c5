"""One source of events in the fleet's process: gathers what its devices report, numbers it, and serves the gateway.

It registers at the gateway with that start's nonce, says hello and then a heartbeat now and then, says when there is
more, and answers what it is asked for. The log goes on whether a gateway is there or not.
"""

import contextlib
import time
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from agt.chaos.demo._talk import Lines
from agt.chaos.demo.events._log import EventLog, InvalidCursor
from agt.chaos.demo.events._times import EventTimes

TICK_S: Final = 0.2
"""How often what was gathered is numbered and written."""
TICK_EVENTS: Final = 50
"""Events that one tick writes; what is over waits, and only the newest state of a device counts meanwhile."""
FETCH_MAX: Final = 200
"""Events that one answer carries."""
REDIAL_S: Final = 0.2


class EventSource:
    """Events of some of a fleet's devices."""

    def __init__(self, name: str, log: EventLog, *, identity: Path, times: EventTimes) -> None:
        """Prepare; `run` serves.

        Args:
            name: What the gateway knows it by.
            log: Where its events are kept; closed by the caller.
            identity: The socket of the process that it lives in: a source that moves has to register again.
            times: Its rhythm.
        """
        self.name, self._log, self._identity, self._times = name, log, str(identity), times
        self._states: dict[str, tuple[float, str, int, int]] = {}
        self._grown = anyio.Event()
        self.refusing = 0
        """So many fetches yet are answered with an invalid cursor: a fault to try what follows."""

    def note(self, device: str, value: int, number: int) -> None:
        """Take note that a device has another state."""
        self._states.pop(device, None)  # To the end of the queue: what waits longest goes first.
        self._states[device] = (time.time(), device, value, number)

    async def run(self, gateway: Path, nonce: Path) -> None:
        """Write events and serve the gateway until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write)
            while True:
                try:
                    await self._serve(gateway, nonce)
                except* (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                    pass  # The gateway is gone, or not there yet.
                await anyio.sleep(REDIAL_S)

    def flush(self) -> bool:
        """Number and write what was gathered, as much as one tick takes; False when the disk refuses."""
        names = list(self._states)[:TICK_EVENTS]
        if not names:
            return True
        if not self._log.append([self._states[name] for name in names]):
            return False
        for name in names:
            del self._states[name]
        return True

    async def _write(self) -> None:
        while True:
            await anyio.sleep(TICK_S)
            before = self._log.newest
            self.flush()
            if self._log.newest != before:
                self._grown.set()

    async def _serve(self, gateway: Path, nonce: Path) -> None:
        known = await anyio.Path(nonce).read_text(encoding="ascii")
        async with await anyio.connect_unix(gateway) as stream:
            lines = Lines(stream)
            await lines.write({"register": self.name, "socket": self._identity, "nonce": known.strip()})
            if "admitted" not in await lines.read():
                return  # Of an earlier start, say; the next nonce will do.
            writing = anyio.Lock()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._say_more, lines, writing)
                while True:
                    question = await lines.read()
                    async with writing:
                        await lines.write({**self._answer(question), "id": question.get("id")})

    async def _say_more(self, lines: Lines, writing: anyio.Lock) -> None:
        """Say where the log ends: when it has grown, and otherwise as a heartbeat."""
        while True:
            async with writing:
                await lines.write({"newest": self._log.newest})
            with anyio.move_on_after(self._times.heartbeat_s):
                await self._grown.wait()
            self._grown = anyio.Event()

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        if "fetch" not in question:
            return {"rows": msgspec.to_builtins(self._log.rows), "through": self._log.newest}
        after = int(question["fetch"])
        if self.refusing:
            self.refusing -= 1
            return {"invalid": after}
        with contextlib.suppress(InvalidCursor):
            return {"events": msgspec.to_builtins(self._log.after(after, FETCH_MAX))}
        return {"invalid": after}

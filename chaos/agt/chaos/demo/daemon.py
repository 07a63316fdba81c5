"""The demo's daemon as a process: projections of the fleet, listed on `daemon.sock`.

`python -m agt.chaos.demo.daemon`; started by the supervisor behind the gateway. `{"op": "list", "runtime": R}`
answers `{"version", "devices"}`, `{"op": "status"}` answers `{"version", "owners"}` and how events, cursors and sources
stand (`agt.chaos.demo.events`). The gateway delivers events on the same socket; what is durable is in
`daemon.checkpoint`.
"""

import signal
import sys
from typing import Any

import anyio
import httpx
import msgspec

from agt.chaos.demo._files import DemoFiles, demo_files
from agt.chaos.demo._projection import Projection
from agt.chaos.demo._talk import serve_questions
from agt.chaos.demo.events import EventTimes, Keeper
from agt.router.notifying import notify

LOOK_S = 0.5
"""How often the gateway is asked."""


class Daemon:
    """Keeps the projection in step with the gateway."""

    def __init__(self, files: DemoFiles) -> None:
        """Go on from the checkpoint.

        Raises:
            ValueError: when it is damaged, or a clock of the events is none.
        """
        self._files = files
        self._keeper = Keeper(files.checkpoint, EventTimes.from_environment())
        self._projection = Projection()
        self._ready = False

    async def run(self) -> None:
        """Serve until cancelled; ready once the gateway was seen."""
        transport = httpx.AsyncHTTPTransport(uds=str(self._files.gateway_api))
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=5.0) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(self._keeper.run)
            tasks.start_soon(serve_questions, self._files.listings_socket, self._answer)
            while True:
                await self._look(client)
                await anyio.sleep(LOOK_S)

    async def _look(self, client: httpx.AsyncClient) -> None:
        try:
            response = await client.get("/devices")
            response.raise_for_status()
            devices = response.json()
        except (httpx.HTTPError, ValueError):
            return  # The gateway is being restarted; what was seen last stays.
        self._projection.project(devices["devices"] if isinstance(devices, dict) else devices)
        if not self._ready:
            self._ready = True
            notify("READY=1")

    async def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        operation = question.get("op")
        if operation == "list":
            devices = self._projection.listing(str(question.get("runtime", "")))
            return {"version": self._projection.version, "devices": msgspec.to_builtins(devices)}
        if operation == "status":
            return {
                "version": self._projection.version,
                "owners": self._projection.owners,
                **self._keeper.status(),
            }
        if operation in self._keeper.operations:
            return await self._keeper.answer(question)
        raise ValueError(
            f"unknown operation {operation!r}; there are list, status, {', '.join(self._keeper.operations)}"
        )


async def live(daemon: Daemon) -> None:
    """Run until told to end."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(daemon.run)
            async for _ in signals:
                notify("STOPPING=1")
                tasks.cancel_scope.cancel()
                break


def main() -> int:
    """Start the daemon."""
    try:
        daemon = Daemon(demo_files())
    except ValueError as problem:
        sys.stderr.write(f"daemon: {problem}\n")
        return 1
    anyio.run(live, daemon)
    return 0


if __name__ == "__main__":
    sys.exit(main())

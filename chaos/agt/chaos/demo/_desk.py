"""The gateway's side of `sources.sock`: commands in, what became of them out.

Answers are gathered for a moment. The ledger's journal goes to the kernel before the answers do, so that nobody was
ever told what the ledger doesn't know, whenever the gateway is killed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketStream

from agt.chaos.demo._names import endpoint_of
from agt.chaos.demo._talk import Lines
from agt.router import Message, Router
from agt.transport import Delivery
from agt.transport.wires.cync import power_command

GATHER_S = 0.02
"""How long answers are gathered."""
DEADLINE_S = 15.0
"""After so many seconds a source no longer wants its command carried out."""
MESH_TARGET = 0x50
"""The part of a cync device that the demo's commands switch."""


class Desk:
    """Takes commands from the sources and tells them how each ended."""

    def __init__(self, router: Router, path: Path) -> None:
        self._router, self._path = router, path

    async def run(self) -> None:
        """Serve until cancelled."""
        await anyio.Path(self._path).unlink(missing_ok=True)
        async with await anyio.create_unix_listener(self._path, mode=0o600) as listener:
            await listener.serve(self._converse)

    async def _converse(self, stream: SocketStream) -> None:
        told: list[list[Any]] = []
        wake = anyio.Event()

        def settled(device: str, number: int) -> Callable[[Delivery], None]:
            def tell(delivery: Delivery) -> None:
                assert delivery.outcome is not None, "only a settled handle calls back"
                told.append([device, number, delivery.outcome, delivery.runtime, delivery.resends, delivery.reason])
                wake.set()

            return tell

        async def answer(lines: Lines) -> None:
            nonlocal wake
            while True:
                await wake.wait()
                await anyio.sleep(GATHER_S)
                wake = anyio.Event()
                batch, told[:] = told[:], []
                if journal := self._router.ledger.journal:
                    journal.flush()
                await lines.write({"told": batch})

        async def listen(lines: Lines) -> None:
            while True:
                self._take(await lines.read(), settled)

        async with stream:
            lines = Lines(stream)
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(answer, lines)
                    await listen(lines)
            except* (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # The fleet is gone; what was on its way still ends, and nobody is there to be told.

    def _take(self, said: dict[str, Any], settled: Callable[[str, int], Callable[[Delivery], None]]) -> None:
        """Forget devices that have gone for good, and send what is to be sent."""
        for device in said.get("gone", ()):
            self._router.detach(device)
        for device, number, value in said.get("send", ()):
            message = Message(device, number, payload_for(device, number, value), deadline_s=DEADLINE_S)
            self._router.send(message).add_done_callback(settled(device, number))


def payload_for(device: str, number: int, value: int) -> bytes:
    """Put a command as the device's wire wants it; cync devices are those that are named by their endpoint."""
    if len(device) == 8 and "-" not in device:
        return power_command(endpoint_of(device), MESH_TARGET, on=bool(value), number=number).data
    return b"set %d %d" % (number, value)

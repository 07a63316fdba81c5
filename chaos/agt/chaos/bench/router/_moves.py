"""Changes of route for many devices at once: raised, lowered, killed, each with messages in flight on every device.

A real router on a real clock with scripted paths in one process: what is measured is the router's own work and its
deadlines, not a network's. Processes and sockets are what `agt demo` and the tests of processes have.
"""

import gc
import time
from collections.abc import Callable

import anyio

from agt.chaos.bench.router._decisions import RUNTIMES
from agt.chaos.bench.router._tasks import Moved, Moves, MoveTask
from agt.router import MemorySelector, Message, MoveBatch, MoveLimits, Route, Router, Selector
from agt.router.testing import ScriptedPath


async def move(task: MoveTask) -> Moves:
    """Measure each kind of change once."""
    fleet = _Fleet(task)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fleet.router.run)
        moves = Moves(
            raised=await fleet.change(lambda: fleet.route(100.0)),
            lowered=await fleet.change(lambda: fleet.route(0.0)),
            killed=await fleet.kill(answers=True),
            killed_silent=await fleet.kill(answers=False),
        )
        tasks.cancel_scope.cancel()
        return moves
    raise AssertionError("the task group lets nothing pass")


class _Fleet:
    """A router and its devices, each with a path on either runtime."""

    def __init__(self, task: MoveTask) -> None:
        self._source = MemorySelector(_at(0.0))
        self.router = Router(self._source, runtimes=RUNTIMES, limits=MoveLimits(back_drain_s=task.drain_s))
        self._in_flight = task.in_flight
        self._sent = 0
        self._paths: list[ScriptedPath] = []
        self._names = [f"device-{number:06}" for number in range(task.devices)]
        for name in self._names:
            control = ScriptedPath(time.monotonic, legacy=True)
            candidate = ScriptedPath(time.monotonic)
            self._paths += (control, candidate)
            self.router.attach(name, {RUNTIMES.control: control, RUNTIMES.candidate: candidate})

    def route(self, percentage: float) -> MoveBatch:
        """Send this share to the candidate."""
        return self.router.apply(_at(percentage))

    async def kill(self, *, answers: bool) -> Moved:
        """Kill with everybody on the candidate; afterwards a selector is put back."""
        self._source.put(_at(100.0))
        self.router.observe(self._source.read())
        await self._settle(self.router.apply(_at(100.0)), answers=True)
        return await self.change(self.router.kill, answers=answers)

    async def change(self, change: Callable[[], MoveBatch], *, answers: bool = True) -> Moved:
        """Put messages in flight, change the route, and wait until the last old path has been settled."""
        for name in self._names:
            for _ in range(self._in_flight):
                self._sent += 1
                self.router.send(Message(name, self._sent, b"on"))
        gc.collect()
        return await self._settle(change(), answers=answers)

    async def _settle(self, batch: MoveBatch, *, answers: bool) -> Moved:
        if answers:
            self._answer()
        receipt = await batch.settled()
        self._answer()
        assert receipt.routed_ms is not None, "what is settled has been routed"
        assert receipt.settled_ms is not None, "a settled batch says when"
        return Moved(routed_ms=receipt.routed_ms, settled_ms=receipt.settled_ms)

    def _answer(self) -> None:
        for path in self._paths:
            path.arrive()
            path.answer()


def _at(percentage: float) -> Selector:
    return Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=percentage))

"""One connection through the proxy: two sockets, two lanes, four small tasks."""

from collections.abc import Awaitable, Callable
from random import Random

import anyio

from agt.chaos.proxy._framing import WireName, make_splitter, peer_in
from agt.chaos.proxy._lane import Lane
from agt.chaos.proxy._rules import Direction, Flow, Rules
from agt.chaos.proxy._socket import RawSocket

RngFor = Callable[[str, Direction], Random]
"""Makes a lane's generator once the peer is known: the same peer's same connection draws the same faults."""


class Pump:
    """Drives one lane: reads its source, sends what is due, waits for what is not."""

    def __init__(
        self,
        lane: Lane,
        source: RawSocket,
        sink: RawSocket,
        enter: Callable[[Lane, bytes, float], None],
        spent: Callable[[], None],
    ) -> None:
        self.lane = lane
        self._source, self._sink, self._enter, self._spent = source, sink, enter, spent
        self._wake = anyio.Event()
        self._room = anyio.Event()
        self._sending = False

    def wake(self) -> None:
        """Look again at what is due."""
        self._wake.set()

    async def read(self) -> None:
        """Carry bytes from the source into the lane until it ends."""
        while data := await self._source.receive():
            now = anyio.current_time()
            for frame in self.lane.split(data):
                self._enter(self.lane, frame, now)
            await self._flush()
            self.wake()
            while self.lane.full:
                self._room = anyio.Event()
                await self._room.wait()
        self.lane.end(anyio.current_time())
        self.wake()

    async def write(self) -> None:
        """Send what becomes due until the source has ended and everything has gone on."""
        while self._sending or not self.lane.finished(anyio.current_time()):
            self._wake = anyio.Event()
            due = float("inf") if self._sending else self.lane.next_due()
            if due <= anyio.current_time():
                await self._flush()
                continue
            with anyio.CancelScope(deadline=due):
                await self._wake.wait()
        self._sink.half_close()
        if self.lane.spent:
            self._spent()

    async def _flush(self) -> None:
        if self._sending:
            return  # Whoever is sending takes this along.
        self._sending = True
        try:
            while data := self.lane.take(anyio.current_time()):
                self._room.set()
                await self._sink.send(data)
        finally:
            self._sending = False
            self.wake()


class ProxiedConnection:
    """Relays one client to the target under the proxy's rules."""

    def __init__(self, wire: WireName, rules: Rules, rng_for: RngFor) -> None:
        self.wire: WireName = wire
        self._rng_for = rng_for
        rng = rng_for("", "to_target")
        self._lanes = (
            Lane(Flow(wire, "to_target"), make_splitter(wire), rules, rng),
            Lane(Flow(wire, "to_client"), make_splitter(wire), rules, rng),
        )
        self._pumps: tuple[Pump, ...] = ()
        self._named = False
        self._severed = anyio.Event()

    @property
    def peer(self) -> str:
        """Who dialled; empty until the first frame has said it."""
        return self._lanes[0].flow.peer

    @property
    def severed(self) -> bool:
        """Whether a fault has ended this connection."""
        return any(lane.severed for lane in self._lanes)

    def refresh(self) -> None:
        """Ask the standing faults again."""
        now = anyio.current_time()
        for lane in self._lanes:
            lane.refresh(now)
        for pump in self._pumps:
            pump.wake()
        if self.severed:
            self._severed.set()

    async def run(self, client: RawSocket, target: RawSocket) -> None:
        """Relay until both sides have ended, one of them reset, or a fault ended it; closes both sockets."""
        up, down = self._lanes
        end = self._severed.set
        self._pumps = (Pump(up, client, target, self._enter, end), Pump(down, target, client, self._enter, end))
        clean = False
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, tasks.cancel_scope)
                async with anyio.create_task_group() as pumps:
                    for pump in self._pumps:
                        pumps.start_soon(self._until_reset, pump.read)
                        pumps.start_soon(self._until_reset, pump.write)
                clean = not self._severed.is_set()
                tasks.cancel_scope.cancel()
        finally:
            for sock in (client, target):
                if clean:
                    sock.close()
                else:
                    sock.reset()

    async def _watch(self, scope: anyio.CancelScope) -> None:
        await self._severed.wait()
        scope.cancel()

    async def _until_reset(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except OSError:
            self._severed.set()  # One side is gone: what is held goes nowhere, and the other side shall know.

    def _enter(self, lane: Lane, frame: bytes, now: float) -> None:
        if not self._named and lane is self._lanes[0]:
            self._name(peer_in(self.wire, frame))
        if self.severed:
            return  # Cut as soon as it said who it is: the target never hears of it.
        lane.enter(frame, now)
        if lane.severed:
            self._severed.set()

    def _name(self, peer: str) -> None:
        self._named = True
        for lane in self._lanes:
            lane.flow.peer = peer
            lane.rng = self._rng_for(peer, lane.flow.direction)
        self.refresh()

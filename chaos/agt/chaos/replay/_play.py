"""One run of a script over loopback sockets: a device for each part, a controller in the same process, one path.

The control path writes and hopes, as today; the candidate path sends reliably. Both sides answer by the protocol on
both. Devices dial one after another, so that the log knows which connection is whose even where a hello got lost.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

import anyio
import anyio.lowlevel
from anyio.abc import SocketAttribute, SocketStream, TaskGroup

from agt.chaos.faults import Drop, Duplicate
from agt.chaos.proxy import FaultProxy
from agt.chaos.replay._end import End, not_delivered
from agt.chaos.replay._script import Line, Part, Script
from agt.transport import ConnectionUnavailable, Delivery, Outcome
from agt.transport.wires.cync import DATA, FROM_DEVICE, HELLO, TYPES, UNKNOWN_TIME, CyncConfig, CyncLink

DEADLINE_S = 30.0
"""How long a reliable message may take."""
ACK_TIMEOUT_S = 0.4
"""The longest single wait for an ack: below the resend window, so that a resend comes while it can be recognised."""
FIRST_ACK_TIMEOUT_S = 0.3
"""The wait before anything was measured."""
SETTLE_PAUSE_S = 0.05
"""How long a bare ack's doubled copy may trail it."""
HOLD_SLACK_S = 0.1
"""Beyond the resend window, for identical packets sent on purpose; two clocks never read the same."""
HELLO_WAIT_S = 1.0
"""How long a message waits for the hello of its connection before it is given up as not delivered."""
QUIET_S = 0.5
"""After this without a byte the replies that are missing are not coming."""
LAST_WORDS_S = 0.1
"""How long answers to answers may still be under way once everything is settled."""
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Settings:
    """How a replay is run."""

    drop: float = 0.0
    """Share of packets that vanish."""
    duplicate: float = 0.0
    """Share of packets that arrive twice."""
    seed: int = 1
    max_retries: int | None = 3
    speed: float | None = None
    """Multiple of the capture's own pace; None is as fast as the protocol allows."""

    @property
    def faulty(self) -> bool:
        """Whether a proxy stands between the two sides."""
        return self.drop > 0 or self.duplicate > 0


@dataclass(slots=True)
class Exchange:
    """One direction of one connection: what was sent, what became of it, and what arrived."""

    lines: list[Line]
    sender: End
    receiver: End
    deliveries: list[tuple[Line, Delivery]] = field(default_factory=list)
    """What became of each message, as far as its sender was told."""


@dataclass(slots=True)
class Run:
    """The log of one run."""

    exchanges: list[Exchange] = field(default_factory=list)


class Stage:
    """Where one run happens."""

    def __init__(
        self, script: Script, settings: Settings, *, reliable: bool, on_progress: Callable[[int], None]
    ) -> None:
        """Prepare a run; `await stage.run()` plays it, once.

        Args:
            script: who says what.
            settings: faults, seed, retries and pace.
            reliable: the candidate path when true, else the control path.
            on_progress: called with the number of messages that have been dealt with.
        """
        self._script = script
        self._settings = settings
        self._reliable = reliable
        self._on_progress = on_progress
        self._done = 0
        self._last_activity = 0.0
        self._started_at = 0.0
        self._controllers: list[End] = []
        self._devices: list[End] = []
        self._accepted = [anyio.Event() for _ in script.parts]
        self._run = Run()

    async def run(self) -> Run:
        """Play the script and return the log."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port: int = listener.extra(SocketAttribute.local_port)  # noqa: S610 - a socket, not a query
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self._accept)
            if self._settings.faulty:
                async with self._proxy(port) as proxy:
                    await self._play_all(tasks, proxy.port)
            else:
                await self._play_all(tasks, port)
            tasks.cancel_scope.cancel()
        return self._run

    def _proxy(self, port: int) -> FaultProxy:
        # The same seed for both paths: as long as they send alike, the same packets are struck.
        proxy = FaultProxy(("127.0.0.1", port), wire="cync", rng=Random(self._settings.seed))
        if self._settings.drop:
            proxy.add(Drop(), probability=self._settings.drop)
        if self._settings.duplicate:
            proxy.add(Duplicate(), probability=self._settings.duplicate)
        return proxy

    async def _accept(self, stream: SocketStream) -> None:
        index = len(self._controllers)
        link = CyncLink("controller", self._config(hand_on=FROM_DEVICE, part=self._script.parts[index]))
        end = End(link, on_activity=self._note_activity)
        self._controllers.append(end)
        self._accepted[index].set()
        await end.run(stream)

    async def _play_all(self, tasks: TaskGroup, port: int) -> None:
        for index in range(len(self._script.parts)):
            end = End(CyncLink("device", self._config()), on_activity=self._note_activity)
            self._devices.append(end)
            tasks.start_soon(end.run, await anyio.connect_tcp("127.0.0.1", port))
            await self._accepted[index].wait()
        await anyio.wait_all_tasks_blocked()  # Every link has its connection.
        self._started_at = self._last_activity = anyio.current_time()
        async with anyio.create_task_group() as feeders:
            for part, device, controller in zip(self._script.parts, self._devices, self._controllers, strict=True):
                feeders.start_soon(self._play_part, part, device, controller)
        await self._settle()

    def _config(self, *, hand_on: frozenset[int] = frozenset({DATA}), part: Part | None = None) -> CyncConfig:
        bodies = _time_answers(part) if part is not None else None
        return CyncConfig(
            max_retries=self._settings.max_retries,
            ack_timeout_s=ACK_TIMEOUT_S,
            first_ack_timeout_s=FIRST_ACK_TIMEOUT_S,
            # The pause counts into the next message's latency, so it is made only where packets are doubled.
            settle_pause_s=SETTLE_PAUSE_S if self._settings.duplicate else 0.0,
            recognise_resends=self._reliable,
            answer_when_processed=self._reliable,
            reply_timeout_s=DEADLINE_S,
            unanswered_max=max(self._script.messages, 1),
            hand_on=hand_on,
            time_answer=(lambda: next(bodies)) if bodies is not None else (lambda: UNKNOWN_TIME),
        )

    async def _play_part(self, part: Part, device: End, controller: End) -> None:
        requests = Exchange(part.requests, device, controller)
        commands = Exchange(part.commands, controller, device)
        self._run.exchanges += (requests, commands)
        hello, *others = part.requests
        await self._feed(requests, [hello])
        async with anyio.create_task_group() as lanes:
            # A lane for each type, as in the link: nothing waits for what has nothing to do with it.
            for code in sorted({line.type for line in others}):
                lanes.start_soon(self._feed, requests, [line for line in others if line.type == code])
            lanes.start_soon(self._feed, commands, part.commands)

    async def _feed(self, exchange: Exchange, lines: list[Line]) -> None:
        """Send messages one after another, each when its time has come."""
        ended_at: dict[bytes, float] = {}
        patience_s = HELLO_WAIT_S
        for line in lines:
            if self._settings.speed is not None:
                await anyio.sleep_until(self._started_at + line.at_s / self._settings.speed)
            if TYPES[line.type].recognised:
                # The receiver would take identical bytes for a resend, and rightly drop them.
                hold_s = CyncConfig().resend_window_s + HOLD_SLACK_S
                await anyio.sleep_until(ended_at.get(line.data, -math.inf) + hold_s)
            # The control path asks nobody whether a device may speak; a controller always has to know who is there.
            if (self._reliable or exchange.sender in self._controllers) and line.type != HELLO:
                known = await exchange.sender.knows_peer(patience_s)
                patience_s = HELLO_WAIT_S if known else 0.0
            else:
                known = True
            delivery = await self._deliver(exchange.sender, line.data) if known else not_delivered("no hello arrived")
            exchange.deliveries.append((line, delivery))
            ended_at[line.data] = anyio.current_time()
            self._done += 1
            self._on_progress(self._done)

    async def _deliver(self, sender: End, data: bytes) -> Delivery:
        """Send one message the way of this path, and see it to its end as far as that way can."""
        if self._reliable:
            return await sender.send(data, deadline_s=DEADLINE_S)
        try:
            sender.write(data)
        except ConnectionUnavailable as error:
            return not_delivered(str(error))
        await anyio.lowlevel.checkpoint()
        delivery = Delivery()
        delivery.settle(Outcome.WRITTEN)
        return delivery

    async def _settle(self) -> None:
        """Wait until nothing more is coming."""
        ends = (*self._devices, *self._controllers)
        while any(end.link.unanswered for end in ends):
            if anyio.current_time() - self._last_activity > QUIET_S:
                break
            await anyio.sleep(_POLL_S)
        while anyio.current_time() - self._last_activity < LAST_WORDS_S:  # noqa: ASYNC110 - silence sets no event
            await anyio.sleep(_POLL_S)

    def _note_activity(self) -> None:
        self._last_activity = anyio.current_time()


def _time_answers(part: Part) -> Iterator[bytes]:
    """Yield what the capture answered, then its last answer for ever: a request that was resent asks again."""
    last = UNKNOWN_TIME
    for last in part.time_answers:
        yield last
    while True:
        yield last

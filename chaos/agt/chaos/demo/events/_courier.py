"""The gateway's way to the daemon: reads sources behind the daemon's cursors, and delivers under tokens.

Theory of operation. Nothing here is durable, and nothing needs to be: the sources keep the events, the daemon keeps
the cursors. On every new connection to the daemon its cursors are asked for, deliveries under way are withdrawn, and
reading goes on from what the daemon has committed. A delivery that isn't acknowledged within two seconds is sent again
under its own token; after five attempts it is given up, its source is degraded, and the connection is made anew.
"""

import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
from anyio.abc import TaskGroup

from agt.chaos.demo._talk import Lines
from agt.chaos.demo.events._door import Door, Feed
from agt.chaos.demo.events._log import Event, InvalidCursor
from agt.chaos.demo.events._times import EventTimes
from agt.supervisor.contracts import AckAnswer, Deliveries, DeliveryLimits

UNDER_WAY_MAX: Final = 4
"""Deliveries of one source that may wait for their ack."""
REDIAL_S: Final = 0.2
TELL_S: Final = 1.0
"""How often the daemon is told how the sources stand."""

Take = Callable[[dict[str, Any]], None]


class _Anew(Exception):
    """Raised to drop the connection and begin again from the daemon's cursors."""


@dataclass(slots=True)
class _UnderWay:
    source: str
    question: dict[str, Any]


class Courier:
    """Delivers to one daemon what the sources at one door have."""

    def __init__(self, daemon: Path, door: Door, *, gateway: str, times: EventTimes) -> None:
        self._daemon, self._door, self._gateway = daemon, door, gateway
        self._deliveries = Deliveries(DeliveryLimits(ack_timeout_s=times.ack_timeout_s))
        self._start = secrets.token_hex(4)
        self._issued = 0
        self._open: dict[str, _UnderWay] = {}
        self._room = anyio.Event()
        self._asked: deque[Take] = deque()
        self._asking = anyio.Lock()
        self._cursors: dict[str, int] = {}
        self._sent: dict[str, int] = {}
        self.counts = {"delivered": 0, "resent": 0, "ack_retry_exhausted": 0, "already_committed": 0}
        """What became of deliveries since this start."""

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            try:
                async with await anyio.connect_unix(self._daemon) as stream:
                    await self._work(Lines(stream))
            except* (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, _Anew):
                pass  # The daemon is gone or not there yet, or has told us to begin anew.
            self._withdraw()
            await anyio.sleep(REDIAL_S)

    async def _work(self, lines: Lines) -> None:
        self._asked.clear()
        await lines.write({"op": "cursors"})
        self._cursors = {str(name): int(place) for name, place in (await lines.read())["cursors"].items()}
        for source, through in self._sent.items():
            if self._cursors.get(source, 0) >= through:
                self._deliveries.recovered(source)  # Applied, and only the acks were lost.
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, lines)
            tasks.start_soon(self._send_again, lines)
            tasks.start_soon(self._tell, lines)
            await self._pump_all(lines, tasks)

    async def _read(self, lines: Lines) -> None:
        while True:
            answer = await lines.read()
            if not self._asked:
                raise anyio.BrokenResourceError
            self._asked.popleft()(answer)

    async def _ask(self, lines: Lines, question: dict[str, Any], take: Take) -> None:
        """Send a question; answers come in the order of their questions."""
        async with self._asking:
            self._asked.append(take)
            await lines.write(question)

    async def _pump_all(self, lines: Lines, tasks: TaskGroup) -> None:
        """Keep one pump a connected source."""
        pumped: dict[str, Feed] = {}
        while True:
            for name, feed in self._door.feeds.items():
                if pumped.get(name) is not feed:
                    pumped[name] = feed
                    tasks.start_soon(self._pump, lines, feed)
            self._door.changed = anyio.Event()
            await self._door.changed.wait()

    async def _pump(self, lines: Lines, feed: Feed) -> None:
        after = self._cursors.get(feed.name, 0)
        first = True  # The first look is worth it whatever the source says: it may have lost its log.
        while not feed.closed:
            if not first and feed.newest <= after:
                feed.moved = anyio.Event()
                await feed.moved.wait()
            if not self._door.active(feed.name):
                await anyio.sleep(REDIAL_S)
                continue
            await self._wait_for_room(feed.name)
            try:
                events = await feed.fetch(after)
                first = False
            except InvalidCursor:
                after = await self._recover(lines, feed)
                continue
            except anyio.EndOfStream:
                return
            if events:
                await self._deliver(lines, feed.name, events)
                after = self._cursors[feed.name] = events[-1].n

    async def _wait_for_room(self, source: str) -> None:
        while sum(1 for one in self._open.values() if one.source == source) >= UNDER_WAY_MAX:
            self._room = anyio.Event()
            await self._room.wait()

    async def _deliver(self, lines: Lines, source: str, events: list[Event]) -> None:
        self._issued += 1
        token = f"{self._start}-{self._issued}"
        if not self._deliveries.issue(token, source, now=time.monotonic()):
            raise _Anew
        question = {"op": "deliver", "token": token, "source": source, "events": msgspec.to_builtins(events)}
        self._open[token] = _UnderWay(source, question)
        self._sent[source] = max(events[-1].n, self._sent.get(source, 0))
        await self._ask(lines, question, self._acknowledged)

    def _acknowledged(self, answer: dict[str, Any]) -> None:
        if "ack" not in answer:
            raise _Anew  # There is a gap before what we sent.
        token = str(answer["ack"])
        if self._deliveries.acknowledge(token) is AckAnswer.COMMITTED:
            self.counts["delivered"] += 1
        else:
            self.counts["already_committed"] += 1
        self._open.pop(token, None)
        self._room.set()

    async def _send_again(self, lines: Lines) -> None:
        while True:
            due = self._deliveries.next_due()
            pause_s = 0.5 if due is None else min(0.5, max(0.01, due - time.monotonic()))
            await anyio.sleep(pause_s)
            for late in list(self._deliveries.due(now=time.monotonic())):
                if late.exhausted:
                    self.counts["ack_retry_exhausted"] += 1
                    raise _Anew
                self.counts["resent"] += 1
                await self._ask(lines, self._open[late.token].question, self._acknowledged)

    async def _recover(self, lines: Lines, feed: Feed) -> int:
        """Say that a source refused the cursor; read on from where the daemon says, or hand over everything."""
        answer = await self._answered(lines, {"op": "invalid", "source": feed.name})
        if not answer.get("resync"):
            return int(answer["after"])
        rows = await feed.rows()
        await self._answered(lines, {"op": "resync", "source": feed.name, **rows})
        return int(rows["through"])

    async def _answered(self, lines: Lines, question: dict[str, Any]) -> dict[str, Any]:
        got: list[dict[str, Any]] = []
        done = anyio.Event()

        def take(answer: dict[str, Any]) -> None:
            got.append(answer)
            done.set()

        await self._ask(lines, question, take)
        await done.wait()
        return got[0]

    async def _tell(self, lines: Lines) -> None:
        while True:
            told = {
                "op": "sources",
                "gateway": self._gateway,
                "states": {name: state.value for name, state in self._door.registry.states().items()},
                "waiting": self._deliveries.waiting,
                "degraded": sorted(self._deliveries.degraded),
                "counts": {**self.counts, "refused": self._door.refused},
            }
            await self._ask(lines, told, lambda _: None)
            await anyio.sleep(TELL_S)

    def _withdraw(self) -> None:
        """Forget what is under way: it is read again behind the cursor that the daemon says next."""
        for token in self._open:
            self._deliveries.withdraw(token)
        self._open.clear()
        self._room.set()

"""The sources: they think of commands, hand them to the gateway, and write down what they were told.

A command is numbered per device and noted as sent before it is handed over. What the gateway answers is noted as
told. When the gateway dies, whatever it had not answered is noted as indeterminate by the source itself, on the
device's last known path: nobody is left without an answer.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import anyio

from agt.chaos.checkers import Sent, Told
from agt.chaos.demo._log import FLUSH_S, RecordLog
from agt.chaos.demo._names import DeviceKind, DeviceName
from agt.chaos.demo._talk import Lines
from agt.transport import Outcome

TICK_S = 0.05
"""Commands are handed over in batches, this far apart."""
OUTSTANDING_MAX = 20
"""Unanswered commands per device; a source that hears nothing stops talking."""
REDIAL_S = 0.2
SETTLE_S = 1.5
"""After the gateway came up, its devices get so long to dial before anything is asked of them."""


@dataclass(slots=True)
class Source:
    """Who commands one device."""

    device: str
    kind: DeviceKind
    number: int
    """The last number given."""
    due: float
    """When the next command is, by the loop's clock."""
    value: int = 0
    runtime: str = ""
    """The last known path."""
    outstanding: dict[int, float] = field(default_factory=dict)
    """Numbers that were handed over and not answered, and when."""


class Sources:
    """All sources of a fleet, on one connection to the gateway."""

    def __init__(
        self,
        names: Sequence[DeviceName],
        *,
        rate: float,
        rng: Random,
        log: RecordLog,
        numbers: dict[str, int],
        control: str,
    ) -> None:
        """Prepare one source a device.

        Args:
            names: The fleet.
            rate: Commands a second over all devices, or for each one that is admitted later where there are none; 0
                for none.
            rng: Draws the rhythm and the values.
            log: Where they note what they sent and were told.
            numbers: The last number of each device in an earlier run of this process.
            control: The runtime that carries a device as long as nothing else is known.
        """
        self._interval_s = max(1, len(names)) / rate if rate > 0 else float("inf")
        self._rng, self._log = rng, log
        self._numbers, self._control = dict(numbers), control
        self._sources: dict[str, Source] = {}
        self._retired: dict[str, Source] = {}
        self._gone: list[str] = []
        for name in names:
            self._add(name, due=float("inf"))
        self._answered = anyio.Event()
        self.paused = False
        """True stops new commands; answers still come in."""
        self.held_back = 0
        """Commands not sent because the device had `OUTSTANDING_MAX` unanswered."""

    @property
    def outstanding(self) -> int:
        """Commands handed over and not answered."""
        return sum(len(source.outstanding) for source in self._everyone())

    @property
    def devices(self) -> frozenset[str]:
        """Whom commands are thought of for."""
        return frozenset(self._sources)

    def admit(self, name: DeviceName) -> None:
        """Begin to command one more device; one that was retired goes on with its numbers."""
        if name.id not in self._sources:
            self._add(name, due=anyio.current_time() + self._first())

    def retire(self, device: str) -> None:
        """Command a device no more; what is on its way is still answered."""
        source = self._sources.pop(device)
        self._numbers[device] = source.number
        if source.outstanding:
            self._retired[device] = source

    def farewell(self, device: str) -> None:
        """Tell the gateway that a device has gone for good: nobody has to wait for it any more."""
        self._gone.append(device)

    async def run(self, path: Path) -> None:
        """Talk to the gateway on this socket until cancelled, dialling again when it dies."""
        while True:
            try:
                async with await anyio.connect_unix(path) as stream, anyio.create_task_group() as tasks:
                    lines = Lines(stream)
                    tasks.start_soon(self._listen, lines)
                    tasks.start_soon(self._command, lines)
            except* (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
                pass  # The gateway is gone or not there yet.
            self._give_up("the gateway died before it answered")
            await anyio.sleep(REDIAL_S)

    async def keep_log(self) -> None:
        """Write the log out again and again, until cancelled."""
        while True:
            await anyio.sleep(FLUSH_S)
            self._log.flush()

    def finish(self) -> None:
        """Note what is unanswered at the very end as such."""
        self._give_up("the run ended before an answer came")

    async def all_told(self) -> None:
        """Wait until no command is unanswered."""
        while self.outstanding:
            self._answered = anyio.Event()
            await self._answered.wait()

    def _add(self, name: DeviceName, *, due: float) -> None:
        known = self._retired.pop(name.id, None)
        number = self._numbers.get(name.id, 0)
        source = Source(name.id, name.kind, number, due, runtime=self._control) if known is None else known
        source.due = due
        self._sources[name.id] = source

    def _everyone(self) -> tuple[Source, ...]:
        return (*self._sources.values(), *self._retired.values())

    def _first(self) -> float:
        return self._rng.uniform(0, self._interval_s) if self._interval_s < float("inf") else self._interval_s

    async def _listen(self, lines: Lines) -> None:
        while True:
            answers = (await lines.read())["told"]
            now = time.time()
            for device, number, outcome, runtime, resends, reason in answers:
                source = self._sources.get(device) or self._retired.get(device)
                if source is None or source.outstanding.pop(number, None) is None:
                    continue
                if not source.outstanding:
                    self._retired.pop(device, None)
                source.runtime = runtime
                told = Told(
                    t=now,
                    device=device,
                    number=number,
                    outcome=outcome,
                    runtime=runtime,
                    resends=resends,
                    reason=reason,
                )
                self._log.add(told)
            self._answered.set()

    async def _command(self, lines: Lines) -> None:
        await anyio.sleep(SETTLE_S)
        for source in self._sources.values():
            source.due = anyio.current_time() + self._first()
        while True:
            await anyio.sleep(TICK_S)
            if self._gone:
                gone, self._gone = self._gone, []
                await lines.write({"gone": gone})
            if batch := self._due():
                # Noted before it is handed over: what nobody wrote down can't be missed.
                self._log.flush()
                await lines.write({"send": batch})

    def _due(self) -> list[list[Any]]:
        if self.paused:
            return []
        now, wall = anyio.current_time(), time.time()
        batch: list[list[Any]] = []
        for source in self._sources.values():
            if source.due > now:
                continue
            # What was missed while the gateway was away is not made up for: nobody presses a switch ten times later.
            source.due = max(now - TICK_S, source.due) + self._interval_s * self._rng.uniform(0.7, 1.3)
            if len(source.outstanding) >= OUTSTANDING_MAX:
                self.held_back += 1
                continue
            source.number += 1
            source.value = self._think(source)
            source.outstanding[source.number] = wall
            self._log.add(Sent(t=wall, device=source.device, number=source.number))
            batch.append([source.device, source.number, source.value])
        return batch

    def _think(self, source: Source) -> int:
        """Choose a state that differs from the last, so that acting twice or out of order shows."""
        if source.kind == "cync":
            return 1 - source.value
        return (source.value + self._rng.randint(1, 99)) % 101

    def _give_up(self, reason: str) -> None:
        now = time.time()
        for source in self._everyone():
            for number in source.outstanding:
                told = Told(
                    t=now,
                    device=source.device,
                    number=number,
                    outcome=Outcome.INDETERMINATE,
                    runtime=source.runtime,
                    by="source",
                    reason=reason,
                )
                self._log.add(told)
            source.outstanding.clear()
        self._answered.set()
        self._log.flush()

"""Takes alerts without waiting, and hands them to each sink at the sink's own pace."""

import logging
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import anyio
import msgspec

from agt.supervisor.rows import SinkReport
from agt.supervisor.sinks._send import SinkFailed, encode, send
from agt.supervisor.sinks._spec import Sink
from agt.supervisor.view import Severity

QUEUE_MAX: Final = 100
"""Alerts that wait for one sink; the oldest is shed for the newest."""
BACKOFF_S: Final = 1.0
BACKOFF_MAX_S: Final = 30.0
_URGENCY: Final[tuple[Severity, ...]] = ("info", "warn", "degraded", "escalate")
log = logging.getLogger("agt.alerts")


class Told(Protocol):
    """An alert as the ledger has it."""

    @property
    def id(self) -> int:
        """Its number."""
        ...

    @property
    def created(self) -> float:
        """When, in seconds since the epoch."""
        ...

    @property
    def severity(self) -> Severity:
        """How urgent."""
        ...

    @property
    def source(self) -> str:
        """What raised it."""
        ...

    @property
    def message(self) -> str:
        """What it says."""
        ...

    @property
    def resolved(self) -> float | None:
        """When it was resolved; None while it stands."""
        ...


class Dispatcher:
    """All sinks of one plan."""

    def __init__(self, sinks: Sequence[Sink], *, plan: str, run: Path, backoff_s: float = BACKOFF_S) -> None:
        self._plan, self._run, self._backoff_s = plan, run, backoff_s
        self._sinks = {sink.name: sink for sink in sinks}
        self._waiting: dict[str, deque[bytes]] = {sink.name: deque() for sink in sinks}
        self._wake = {sink.name: anyio.Event() for sink in sinks}
        self._reports = {sink.name: SinkReport(sink=sink.name, kind=sink.kind) for sink in sinks}

    @property
    def reports(self) -> tuple[SinkReport, ...]:
        """What became of alerts, sink by sink."""
        return tuple(
            msgspec.structs.replace(report, waiting=len(self._waiting[name])) for name, report in self._reports.items()
        )

    def offer(self, alert: Told) -> None:
        """Take an alert that was opened or resolved; never waits, never fails."""
        note = note_of(alert, plan=self._plan)
        for name, sink in self._sinks.items():
            if _URGENCY.index(alert.severity) < _URGENCY.index(sink.severity):
                continue
            waiting = self._waiting[name]
            if len(waiting) >= QUEUE_MAX:
                waiting.popleft()
                self._reports[name].shed += 1
            waiting.append(encode(note))
            self._wake[name].set()

    async def run(self) -> None:
        """Hand alerts over until cancelled."""
        async with anyio.create_task_group() as tasks:
            for sink in self._sinks.values():
                tasks.start_soon(self._work, sink)

    async def test(self, alert: Told) -> tuple[SinkReport, ...]:
        """Send a trial to every sink at once, one try each, and say which took it."""
        found: dict[str, SinkReport] = {}
        body = encode(note_of(alert, plan=self._plan))

        async def try_one(sink: Sink) -> None:
            report = found[sink.name] = SinkReport(sink=sink.name, kind=sink.kind)
            try:
                await send(sink, body, run=self._run)
            except SinkFailed as error:
                report.failed, report.problem = 1, str(error)
            else:
                report.sent = 1

        async with anyio.create_task_group() as tasks:
            for sink in self._sinks.values():
                tasks.start_soon(try_one, sink)
        return tuple(found[name] for name in self._sinks)

    async def _work(self, sink: Sink) -> None:
        waiting = self._waiting[sink.name]
        while True:
            while not waiting:
                self._wake[sink.name] = anyio.Event()
                await self._wake[sink.name].wait()
            await self._hand_over(sink, waiting.popleft())

    async def _hand_over(self, sink: Sink, body: bytes) -> None:
        report = self._reports[sink.name]
        for attempt in range(sink.attempts):
            if attempt:
                await anyio.sleep(min(BACKOFF_MAX_S, self._backoff_s * 2 ** (attempt - 1)))
            try:
                await send(sink, body, run=self._run)
            except SinkFailed as error:
                report.problem = str(error)
                if error.final:
                    break
            else:
                report.sent, report.problem = report.sent + 1, ""
                return
        report.failed += 1
        log.warning("sink %s has not taken an alert: %s", sink.name, report.problem)


def note_of(alert: Told, *, plan: str) -> dict[str, object]:
    """Return what a sink is told of an alert."""
    return {
        "id": alert.id,
        "plan": plan,
        "host": os.uname().nodename,
        "at": alert.created,
        "severity": alert.severity,
        "source": alert.source,
        "message": alert.message,
        "event": "opened" if alert.resolved is None else "resolved",
        "resolved": alert.resolved,
    }

"""What the runner writes down: decisions, alerts and samples, and what it does while the disk refuses.

Forward decisions wait here for their record; decisions that went back are already done and are kept in memory until
they can be written. Every wait is bounded: a disk that hangs must not hang the rules.
"""

import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import anyio
import anyio.to_thread
import msgspec

from agt.supervisor.measure import RouterSeen, Timeline
from agt.supervisor.records import (
    SCHEMA,
    Alert,
    AlertLedger,
    Audit,
    AuditRow,
    Carried,
    Context,
    Entry,
    Happenings,
    Incidents,
    Journal,
    KeptPlan,
    Policy,
    Store,
    StoreUnavailable,
)
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._soak import Soak
from agt.supervisor.rollout._state import State
from agt.supervisor.view import Severity

Result = TypeVar("Result")

RECORD_TIMEOUT_S: Final = 2.0
"""A record that takes longer counts as refused."""
BACKLOG_MAX: Final = 256
"""Decisions that wait to be written; the oldest go when the disk stays full for that long."""


class Recorder:
    """One run directory's records, loaded and kept."""

    def __init__(self, store: Store, journal: Journal, alerts: AlertLedger, happenings: Happenings) -> None:
        self._store, self._journal, self.alerts, self.happenings = store, journal, alerts, happenings
        self.audit, self.incidents, self.context = Audit(store), Incidents(store), Context(store)
        self._backlog: deque[Entry] = deque(maxlen=BACKLOG_MAX)
        self._unaudited: deque[AuditRow] = deque(maxlen=BACKLOG_MAX)
        self._writing = anyio.Lock()
        self.number = 0
        """Of the newest durable decision."""
        self.on_alert: Callable[[Alert], None] = lambda _: None
        """Told of each alert that is opened or resolved; must not wait."""

    @classmethod
    async def open(cls, path: Path) -> "Recorder":
        """Open the records.

        Raises:
            StoreUnavailable: if they can't be opened.
        """
        store = await anyio.to_thread.run_sync(lambda: Store(path, schema=SCHEMA))
        return cls(store, Journal(store), await AlertLedger.load(store), await Happenings.load(store))

    async def aclose(self) -> None:
        """Write what waits, then close."""
        await self.flush()
        await self._store.aclose()

    @property
    def trouble(self) -> str:
        """Why nothing can be written; empty when all is well."""
        return self._store.trouble

    async def state(self, plan: str) -> State | None:
        """Return the state that the last durable decision and the last check left; None when this plan never ran."""
        newest = await self._journal.newest()
        if newest is None:
            return None
        self.number = newest.number
        progress = await self._journal.progress()
        body = progress[1] if progress and progress[0] == newest.number else newest.state
        try:
            state = msgspec.json.decode(body, type=State)
        except msgspec.DecodeError as error:
            raise StoreUnavailable(
                f"the journal's newest state can't be read: {error}", "was it another version's?"
            ) from error
        return state if state.plan == plan else None

    async def keep_plan(self, plan: Plan, *, at: float) -> None:
        """Keep the plan for reports; a disk that refuses it refuses the next decision too, and that is told."""
        body = msgspec.json.encode(plan.file)
        with contextlib.suppress(StoreUnavailable):
            kept = KeptPlan(at=at, squeeze=plan.squeeze, body=body)
            await self._bounded(lambda: self.context.keep_plan(kept))

    async def entries(self) -> list[Entry]:
        """Return the last decisions, oldest first."""
        return (await self._journal.entries())[::-1]

    async def past(self, generation: int) -> tuple[Timeline, Soak]:
        """Return the windows and the soak that earlier checks left."""
        timeline = Timeline()
        for socket, sample in await self._journal.samples():
            timeline.add(socket, sample)
        return timeline, Soak(await self._journal.carried(generation))

    async def decide(self, entry: Entry) -> int:
        """Make a forward decision durable and return its number, after everything that waits.

        Raises:
            StoreUnavailable: if that is impossible now; then it must not be acted on.
        """
        async with self._writing:
            await self._append(entry)
        return self.number

    def done(self, entry: Entry) -> None:
        """Keep a decision that was already acted on, to be written when the disk takes it."""
        self._backlog.append(entry)

    def note_action(self, row: AuditRow) -> None:
        """Keep what an operator did, to be written when the disk takes it."""
        self._unaudited.append(row)

    async def flush(self) -> bool:
        """Write what waits; False when the disk refuses."""
        try:
            async with self._writing:
                if self._store.trouble:
                    await self._bounded(self._store.check)
                if self._backlog:
                    await self._append()
                if self._unaudited:
                    await self._append_actions()
                happened = await self._bounded(self.happenings.flush)
                return await self._bounded(self.alerts.flush) and happened
        except StoreUnavailable:
            return False

    async def _append_actions(self) -> None:
        waiting = tuple(self._unaudited)
        await self._bounded(lambda: self.audit.append(*waiting))
        for row in waiting:
            if self._unaudited and self._unaudited[0] is row:
                self._unaudited.popleft()

    async def _append(self, *newest: Entry) -> None:
        """Write what waits, then `newest`; one writer at a time, or an entry would be written twice."""
        waiting = tuple(self._backlog)
        self.number = await self._bounded(lambda: self._journal.append(*waiting, *newest))
        for entry in waiting:
            # A full backlog may have let the oldest go meanwhile.
            if self._backlog and self._backlog[0] is entry:
                self._backlog.popleft()

    async def observe(
        self, seen: tuple[RouterSeen, ...], carried: list[Carried], state: State, *, keep_since: float
    ) -> bool:
        """Keep what a check saw; False when the disk refuses."""
        samples = {router.socket: router.sample for router in seen if router.sample is not None}
        progress = (self.number, msgspec.json.encode(state))
        try:
            await self._bounded(
                lambda: self._journal.observe(samples, carried, progress=progress, keep_since=keep_since)
            )
        except StoreUnavailable:
            return False
        return True

    def raise_alert(self, *, at: float, severity: Severity, source: str, message: str, policy: Policy) -> None:
        """Open an alert, in memory at once and on the disk with the next flush."""
        book = self.alerts.book
        self._note(book.raise_alert(at=at, severity=severity, source=source, message=message, policy=policy))

    def resolve_alerts(self, *, source: str, at: float) -> None:
        """Resolve what a source has open, as far as its policy allows."""
        self._note(*self.alerts.book.resolve(source=source, at=at))

    async def acknowledge(self, number: int, *, at: float) -> Alert:
        """Resolve one alert by hand.

        Raises:
            KeyError: when there is none of that number.
        """
        stood = self.alerts.book.find(number).open
        alert = self.alerts.book.acknowledge(number, at=at)
        if stood:
            self._note(alert)
        await self.flush()
        return alert

    async def prune_alerts(self, *, older_than: float) -> int:
        """Forget resolved alerts from before; open ones never. Return how many rows went.

        Raises:
            StoreUnavailable: when the disk refuses.
        """
        await self.flush()
        return await self._bounded(lambda: self.alerts.prune(older_than=older_than))

    def _note(self, *alerts: Alert | None) -> None:
        self.alerts.note(*alerts)
        for alert in alerts:
            if alert is not None:
                self.on_alert(alert)

    async def _bounded(self, job: Callable[[], Awaitable[Result]]) -> Result:
        try:
            with anyio.fail_after(RECORD_TIMEOUT_S):
                return await job()
        except TimeoutError:
            raise StoreUnavailable(f"no record within {RECORD_TIMEOUT_S:g} s", "is the disk hanging?") from None

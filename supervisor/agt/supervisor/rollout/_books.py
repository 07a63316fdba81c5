"""What a rollout keeps beside its journal: the audit of operators, incidents, and snapshots.

Snapshots are taken here at the right moments: from time to time, before each phase, after each way back, at the end. A
phase isn't entered without one; going back only leaves word that one is wanted.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio

from agt.supervisor._errors import SupervisorError
from agt.supervisor.actions import Refused
from agt.supervisor.records import Alert, Audit, AuditRow, Incident, Incidents, IncidentSeverity, StoreUnavailable
from agt.supervisor.rollout._durations import parse_duration
from agt.supervisor.rollout._effects import RaiseAlert, ResolveAlerts
from agt.supervisor.rollout._plan import Plan
from agt.supervisor.rollout._proving import prove_restore
from agt.supervisor.rollout._recorder import Recorder
from agt.supervisor.rollout._snapshots import EVERY_FLOOR_S, Snapshots
from agt.supervisor.sinks import Dispatcher
from agt.supervisor.view import Severity

SNAPSHOTS: Final = "snapshots"
"""Source of the alert that stands while no snapshot can be taken."""
_ALERT: Final[dict[IncidentSeverity, Severity]] = {"minor": "warn", "major": "degraded", "critical": "escalate"}

Tell = Callable[[RaiseAlert | ResolveAlerts], None]


def _nothing() -> None:
    """Nobody listens."""


class Books:
    """Audit, incidents and snapshots of one rollout; usable while it runs."""

    def __init__(self, plan: Plan, run: Path, *, clock: Callable[[], float], tell: Tell) -> None:
        """Prepare; nothing is opened before `opened`.

        Args:
            plan: Whose rollout.
            run: The run directory.
            clock: Seconds since the epoch.
            tell: Raises and resolves alerts.
        """
        self.snapshots = Snapshots(plan, run, clock=clock)
        """What can be restored."""
        self.open_incidents = 0
        """Incidents that stand."""
        self.on_back: Callable[[], None] = _nothing
        """Called when a way back is in the journal, and once more when it has settled."""
        self.sinks = Dispatcher(plan.file.sink, plan=plan.name, run=run)
        """Where alerts go beside the ledger."""
        self._plan, self._run, self._clock, self._tell = plan, run, clock, tell
        self._recorder: Recorder | None = None
        self._after_back = ""
        self._wake = anyio.Event()

    async def opened(self, recorder: Recorder) -> None:
        """Begin with the records of this run.

        Raises:
            StoreUnavailable: when they can't be read.
        """
        self._recorder = recorder
        recorder.on_alert = self.sinks.offer
        self.open_incidents = len(await self.incidents.newest(only_open=True))

    async def run(self) -> None:
        """Take snapshots and hand alerts to the sinks, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.sinks.run)
            tasks.start_soon(self._prove)
            await self._take_again()

    async def acknowledge(self, number: int) -> Alert:
        """Resolve one alert by hand.

        Raises:
            Refused: while the rollout is not running, or when there is no such alert.
        """
        try:
            return await self._open().acknowledge(number, at=self._clock())
        except KeyError:
            raise Refused("unknown", f"there is no alert {number}", "agt alerts list") from None

    async def prune_alerts(self, *, older_than_s: float) -> int:
        """Forget alerts that were resolved so long ago; open ones never.

        Raises:
            Refused: while the rollout is not running.
            StoreUnavailable: when the disk refuses.
        """
        return await self._open().prune_alerts(older_than=self._clock() - older_than_s)

    async def _prove(self) -> None:
        """Judge a restore that nobody has judged yet."""
        await prove_restore(self._plan, self._run, clock=self._clock, tell=self._tell, note_action=self.note_action)

    async def _take_again(self) -> None:
        """Take snapshots from time to time, and after each way back."""
        every_s = max(EVERY_FLOOR_S, parse_duration(self.snapshots.settings.every) / self._plan.squeeze)
        while True:
            with anyio.move_on_after(every_s):
                await self._wake.wait()
            self._wake = anyio.Event()
            says, self._after_back = self._after_back, ""
            await self._try_take(says)

    async def closed(self) -> None:
        """Take the last snapshot; the records are still open."""
        await self.snapshots.take_at_shutdown()

    async def before(self, phase: str) -> None:
        """Take a snapshot before a phase is entered.

        Raises:
            StoreUnavailable: when none can be taken: then it must not be entered.
        """
        try:
            await self.snapshots.take("before", f"before {phase}")
        except SupervisorError as error:
            self._tell(RaiseAlert("degraded", SNAPSHOTS, str(error)))
            raise StoreUnavailable(f"no snapshot before {phase}: {error}") from error
        self._tell(ResolveAlerts(SNAPSHOTS))

    def after_back(self, says: str) -> None:
        """Leave word that something went back: a snapshot of that is wanted."""
        self._after_back = says
        self._wake.set()

    async def keep_picture(self, view: bytes) -> None:
        """Keep what an operator would see now, for reports.

        Raises:
            StoreUnavailable: when the disk refuses.
        """
        await self._open().context.keep_picture(view, at=self._clock())

    @property
    def audit(self) -> Audit:
        """What operators did.

        Raises:
            Refused: while the rollout is not running.
        """
        return self._open().audit

    @property
    def incidents(self) -> Incidents:
        """What went wrong.

        Raises:
            Refused: while the rollout is not running.
        """
        return self._open().incidents

    def note_action(self, row: AuditRow) -> None:
        """Put an action into the audit; it is written when the disk takes it."""
        if self._recorder is not None:
            self._recorder.note_action(row)

    async def flush(self) -> None:
        """Write what waits, as far as the disk takes it."""
        await self._open().flush()

    async def open_incident(self, *, severity: IncidentSeverity, title: str, by: str, phase: str) -> Incident:
        """Open an incident and raise its alert; one that is open already is returned as it is.

        Raises:
            StoreUnavailable: when it can't be made durable now.
            ValueError: for an empty title.
        """
        incident, fresh = await self.incidents.open(
            at=self._clock(), severity=severity, title=title, by=by, phase=phase
        )
        if fresh:
            self.open_incidents += 1
            says = f"incident {incident.id} ({severity}): {title}"
            self._tell(RaiseAlert(_ALERT[severity], f"incident-{incident.id}", says))
        return incident

    async def close_incident(self, number: int, *, by: str, cause: str) -> Incident:
        """Close an incident and resolve its alert.

        Raises:
            KeyError: when there is none of that number.
            ValueError: without a cause.
            StoreUnavailable: when it can't be made durable now.
        """
        incident = await self.incidents.close(number, at=self._clock(), by=by, cause=cause)
        self.open_incidents = len(await self.incidents.newest(only_open=True))
        self._tell(ResolveAlerts(f"incident-{number}"))
        return incident

    async def _try_take(self, after: str) -> None:
        try:
            await self.snapshots.take("after" if after else "periodic", after)
        except SupervisorError as error:
            self._tell(RaiseAlert("warn", SNAPSHOTS, str(error)))
        else:
            self._tell(ResolveAlerts(SNAPSHOTS))

    def _open(self) -> Recorder:
        if self._recorder is None:
            raise Refused("unavailable", "the rollout is not running", "start it: agt up")
        return self._recorder

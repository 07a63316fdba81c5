"""A scripted supervisor behind the real control API, on a real Unix socket."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import anyio
import msgspec
import pytest

from agt.supervisor.actions import Action, Refused
from agt.supervisor.books import (
    AlertOrder,
    AlertPrune,
    AlertsPruned,
    AuditCheck,
    AuditPage,
    Incident,
    IncidentEnd,
    IncidentOrder,
    IncidentPage,
    RestoreCheck,
    SinkPage,
    SinkReport,
    SnapshotMeta,
    SnapshotOrder,
    SnapshotPage,
)
from agt.supervisor.client import Client
from agt.supervisor.control import serve_control
from agt.supervisor.sessions import SessionList, SessionOrder, SessionReceipt, SessionView
from agt.supervisor.snapshots import RestoreVerdict
from agt.supervisor.view import AlertView, GateView, PhaseView, Preview, Receipt, View


class ScriptedBackend:
    """A backend that does what it is told: views are put in by the test, actions are written down."""

    def __init__(self) -> None:
        self.current = View(
            version=1,
            at=100.0,
            plan="scripted",
            status="running",
            phase="canary-10",
            percentage=10.0,
            phases=(PhaseView(name="canary-10", state="active", percent=10.0, soak_s=30.0),),
            gates=(GateView(name="samples", verdict="pending", reason="12 of 100 samples"),),
            alerts=(AlertView(id=1, at=99.0, severity="warn", source="gateway", message="slow", open=True),),
        )
        self.acted: list[Action] = []
        self.live = [
            SessionView(session=name, device=name, runtime="legacy", since=90.0, pinned=name == "lamp-1")
            for name in ("lamp-1", "lamp-2")
        ]
        self.hold_acts: anyio.Event | None = None
        self._wake = anyio.Event()

    def view(self) -> View:
        return self.current

    def change(self, **sections: object) -> View:
        """Make the next version and wake whoever follows."""
        self.current = msgspec.structs.replace(
            self.current, **{"version": self.current.version + 1, "at": self.current.at + 1.0} | sections
        )
        wake, self._wake = self._wake, anyio.Event()
        wake.set()
        return self.current

    async def changes(self) -> AsyncIterator[View]:
        while True:
            wake = self._wake
            yield self.current
            await wake.wait()

    async def act(self, action: Action) -> Receipt:
        if self.hold_acts is not None:
            await self.hold_acts.wait()
        self._check(action)
        self.acted.append(action)
        self.change(reason=f"{action.action} by {action.by or 'someone'}")
        return Receipt(action=action.action, says=f"did {action.action}", version=self.current.version, routed_ms=1.5)

    async def preview(self, action: Action) -> Preview:
        self._check(action)
        return Preview(action=action.action, says="moves 12 devices", moves=12, version=self.current.version)

    async def sessions(self, *, runtime: str, pinned: bool, after: str, limit: int) -> SessionList:
        if runtime not in ("", "legacy", "reliable"):
            raise Refused("unknown", f"no runtime {runtime!r}")
        found = [one for one in self.live if runtime in ("", one.runtime) and one.device > after]
        found = [one for one in found if one.pinned or not pinned]
        return SessionList(total=len(found), sessions=tuple(found[:limit]), generations={"gateway.sock": 7})

    async def restart_sessions(self, order: SessionOrder) -> SessionReceipt:
        known = {one.session for one in self.live}
        refused = {name: "no such session" for name in order.sessions if name not in known}
        restarted = tuple(name for name in order.sessions if name in known)
        return SessionReceipt(restarted=restarted, refused=refused, dry_run=order.dry_run)

    def _check(self, action: Action) -> None:
        if action.version is not None and action.version != self.current.version:
            raise Refused("stale", f"version {action.version} is not {self.current.version}", "look again")
        if action.action == "drill" and action.name != "latency":
            raise Refused("unknown", f"there is no drill {action.name!r}", "try latency")
        if action.action == "resume":
            raise Refused("refused", "nothing is held")


class ScriptedBooks:
    """Books with one incident in them and nothing else."""

    incident = Incident(id=1, opened=1.0, severity="minor", title="dim", opened_by="ann")

    async def audit(self, *, limit: int) -> AuditPage:
        return AuditPage(rows=(), head=f"0:{limit}")

    async def verify_audit(self, *, head: str) -> AuditCheck:
        return AuditCheck(whole=not head, rows=0, head=head)

    async def incidents(self, *, only_open: bool) -> IncidentPage:
        return IncidentPage(incidents=() if only_open else (self.incident,))

    async def open_incident(self, order: IncidentOrder) -> Incident:
        return msgspec.structs.replace(self.incident, title=order.title)

    async def close_incident(self, number: int, end: IncidentEnd) -> Incident:
        return msgspec.structs.replace(self.incident, id=number, cause=end.cause)

    async def snapshots(self) -> SnapshotPage:
        return SnapshotPage(snapshots=())

    async def take_snapshot(self, order: SnapshotOrder) -> SnapshotMeta:
        return SnapshotMeta(id="snap-20260101-000000", at=1.0, projection_version=1, trigger="manual", says=order.says)

    async def check_snapshot(self, name: str) -> RestoreCheck:
        return RestoreCheck(id=name, at=1.0, verdict=RestoreVerdict.OK, age_ms=0, says="fine")

    async def acknowledge_alert(self, number: int, order: AlertOrder) -> AlertView:
        if number != 1:
            raise Refused("unknown", f"there is no alert {number}")
        return AlertView(id=1, at=1.0, severity="warn", source=order.by or "x", message="m", open=False)

    async def prune_alerts(self, order: AlertPrune) -> AlertsPruned:
        return AlertsPruned(pruned=int(order.older_than_s > 0))

    async def sinks(self) -> SinkPage:
        return SinkPage(sinks=(SinkReport(sink="pager", kind="webhook", sent=1),))

    async def try_sinks(self, order: AlertOrder) -> SinkPage:
        return await self.sinks()


@pytest.fixture
def anyio_backend() -> str:
    """Uvicorn runs on asyncio."""
    return "asyncio"


@pytest.fixture
def backend() -> ScriptedBackend:
    """Return a fresh script."""
    return ScriptedBackend()


@pytest.fixture
async def control_path(tmp_path: Path, backend: ScriptedBackend) -> AsyncIterator[Path]:
    """The socket of a served backend."""
    path = tmp_path / "control.sock"
    async with anyio.create_task_group() as tasks:
        await tasks.start(partial(serve_control, backend, path, books=ScriptedBooks()))
        yield path
        tasks.cancel_scope.cancel()


@pytest.fixture
async def client(control_path: Path) -> AsyncIterator[Client]:
    """Yield a client of the served backend."""
    async with Client(control_path) as client:
        yield client

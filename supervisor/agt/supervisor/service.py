"""The supervisor, put together: components, rollout and control API over one run directory.

Theory of operation. The run directory's lock makes us the only one. Records are opened before anything is started, so
that a supervisor which could never go forward doesn't begin; then the control API answers, then components start (or
are adopted). Rollout and keeper say when something changed; the view is put together anew when it is asked for, and
published at most ten times a second. `down` ends the rollout first (a gateway that we stop ourselves is no fault),
then the components in reverse, then the rest; `leave` ends only us, and the components go on.
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from random import Random

import anyio
from anyio.abc import TaskStatus

from agt.supervisor._bookkeeper import Bookkeeper
from agt.supervisor._component_desk import ComponentDesk
from agt.supervisor._drills import run_drill
from agt.supervisor._errors import SupervisorError
from agt.supervisor._reporter import Reporter
from agt.supervisor._routers import list_routers
from agt.supervisor._rundir import RunDirectory
from agt.supervisor._sd_notify import ServiceManager
from agt.supervisor._session_desk import SessionDesk
from agt.supervisor._token_desk import TokenDesk
from agt.supervisor.access import TokenFile
from agt.supervisor.actions import Action, Refused
from agt.supervisor.components import Keeper
from agt.supervisor.control import SocketUnusable, serve_control
from agt.supervisor.resources import ComponentUsage
from agt.supervisor.rollout import Drill, Plan, Rollout
from agt.supervisor.sessions import SessionList, SessionOrder, SessionReceipt
from agt.supervisor.view import Preview, Receipt, Severity, View

log = logging.getLogger("agt.supervisor")

PUBLISH_EVERY_S = 0.1
"""Changes that come faster are published together."""
VERSIONS_PER_S = 1 / PUBLISH_EVERY_S


class Supervisor:
    """One plan being carried out on one run directory; the control API's backend."""

    def __init__(
        self, plan: Plan, run: RunDirectory, *, seed: int | None = None, http: tuple[str, int] | None = None
    ) -> None:
        """Put the parts together; nothing is touched before `run`.

        Args:
            plan: What to carry out, at its speed.
            run: A prepared run directory.
            seed: Of the jitter of restarts; None draws one.
            http: A loopback address and port for the control API, beside its socket.

        Raises:
            ComponentsInvalid: when the plan's components contradict each other.
        """
        self.plan, self.run_directory = plan, run
        # No supervisor publishes faster than this, so versions also grow from one supervisor to the next.
        self._version = int(time.time() * VERSIONS_PER_S)
        self._changed = anyio.Event()
        self._stopping = anyio.Event()
        self._leave_components = False
        self._down_by = ""
        self.rollout = Rollout(plan, run.path, on_change=self._on_change, view_version=lambda: self._version)
        self._desk = SessionDesk({name: run.path / name for name in plan.routers})
        self._books = Bookkeeper(self.rollout)
        self._reporter = Reporter(run.path, self.rollout, self.view)
        self._http, self._tokens = http, TokenDesk(TokenFile(run.path), self._books)
        self.keeper = Keeper(
            plan.components,
            run=run.path,
            rng=Random(seed),
            on_change=self._on_change,
            on_alert=self._on_alert,
            on_recovered=self.rollout.resolve_alerts,
            on_happened=self.rollout.happened,
        )
        self._usage = ComponentUsage(lambda: self.keeper.views, time.monotonic)
        self.rollout.costs = self._usage.readings
        self._care = ComponentDesk(self.keeper, run.path, self._books)
        self._manager = ServiceManager()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Be the supervisor until `down` or `leave`; `task_status.started()` when the control API answers.

        Cancelling is leaving: the components go on.

        Raises:
            AlreadyRunning: when the run directory has a supervisor.
            SupervisorError: when records or socket can't be opened; nothing was started then.
        """
        with self.run_directory.claimed(), unwrapped():
            self._list_routers()
            async with anyio.create_task_group() as group:
                rollout_ended = anyio.Event()
                rollout_scope = await group.start(self._run_rollout, rollout_ended)
                await self._changed.wait()  # The first view that anybody sees comes after the first check.
                await group.start(self._serve)
                log.info("supervising %s in %s", self.plan.name, self.run_directory.path)
                group.start_soon(self.keeper.run)
                self._manager.ready(f"supervising {self.plan.name}")
                group.start_soon(self._manager.keep_alive)
                group.start_soon(self._reporter.run)
                task_status.started()
                await self._stopping.wait()
                self._manager.stopping("leaves its components" if self._leave_components else "stops its components")
                rollout_scope.cancel()
                await rollout_ended.wait()
                if not self._leave_components:
                    await self.keeper.stop()
                group.cancel_scope.cancel()
        log.info("the supervisor has ended%s", ", its components go on" if self._leave_components else "")

    def down(self) -> None:
        """Stop the components in reverse order, then ourselves."""
        self._stopping.set()

    def leave(self) -> None:
        """Stop only ourselves; the components go on, and the next supervisor adopts them."""
        self._leave_components = True
        self._stopping.set()

    def view(self) -> View:
        """Return the present picture."""
        return View(version=self._version, at=time.time(), processes=self._usage.shown(), **self.rollout.sections())

    async def changes(self) -> AsyncIterator[View]:
        """Yield a newer view after each change, at most one every `PUBLISH_EVERY_S`."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            self._version += 1
            yield self.view()
            await anyio.sleep(PUBLISH_EVERY_S)

    async def act(self, action: Action) -> Receipt:
        """Do what an operator asks.

        Raises:
            Refused: when it can't be done; nothing was changed.
        """
        try:
            receipt = await self._act(action)
        except Refused as error:
            self._books.note(action.action, action, by=action.by, outcome="refused", says=str(error))
            raise
        self._books.note(action.action, action, by=action.by, outcome="done", says=receipt.says)
        return receipt

    async def _act(self, action: Action) -> Receipt:
        if action.action == "down":
            names = [view.name for view in self.keeper.views if view.pid]
            self.down()
            return Receipt(action="down", says=f"stops {', '.join(reversed(names)) or 'nothing'}, then itself")
        if self._stopping.is_set():
            raise Refused("unavailable", "the supervisor is stopping")
        if action.action == "drill":
            return await self._drill(action)
        return await self.rollout.act(action)

    async def preview(self, action: Action) -> Preview:
        """Say what an action would do, and change nothing.

        Raises:
            Refused: when it could not be done now.
        """
        if action.action == "down":
            running = sum(1 for view in self.keeper.views if view.pid)
            says = f"stops {running} components in reverse order; devices are no longer served"
            return Preview(action="down", says=says, version=self._version)
        if action.action == "drill":
            return Preview(action="drill", says=self._find_drill(action.name).says, version=self._version)
        return await self.rollout.preview(action)

    async def sessions(self, *, runtime: str, pinned: bool, after: str, limit: int) -> SessionList:
        """Return a page of the live sessions of all routers.

        Raises:
            Refused: when there is no such runtime.
        """
        return await self._desk.page(runtime=runtime, pinned=pinned, after=after, limit=limit)

    async def restart_sessions(self, order: SessionOrder) -> SessionReceipt:
        """Restart sessions between commands; who asked is written to the alert ledger, once while that stands.

        Raises:
            Refused: when the supervisor is stopping.
        """
        if self._stopping.is_set():
            raise Refused("unavailable", "the supervisor is stopping")
        receipt = await self._desk.restart(order)
        if not order.dry_run and (receipt.restarted or receipt.timed_out or receipt.waiting):
            why = f": {order.reason}" if order.reason else ""
            self.rollout.raise_alert("info", "sessions", f"sessions restarted by {order.by or 'operator'}{why}")
        return receipt

    async def _drill(self, action: Action) -> Receipt:
        drill = self._find_drill(action.name)
        said = await run_drill(drill.command, run=self.run_directory.path, environment=os.environ)
        self.rollout.raise_alert("info", "drill", f"{drill.name}: {drill.says} ({action.by or 'operator'})")
        self._on_change()
        return Receipt(action="drill", says=said or drill.says, version=self._version)

    def _find_drill(self, name: str) -> Drill:
        for drill in self.plan.drills:
            if drill.name == name:
                return drill
        known = ", ".join(drill.name for drill in self.plan.drills) or "none"
        raise Refused("unknown", f"the plan has no drill {name!r}", f"it has: {known}")

    async def _run_rollout(
        self, ended: anyio.Event, *, task_status: TaskStatus[anyio.CancelScope] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        try:
            async with anyio.create_task_group() as group:
                await group.start(self.rollout.run)
                task_status.started(group.cancel_scope)
        finally:
            ended.set()

    def _list_routers(self) -> None:
        """Leave word of the plan's routers for those who come without a supervisor; a full disk stops nothing."""
        try:
            list_routers(self.run_directory.path, self.plan.routers)
        except OSError as error:
            log.warning("the list of routers can't be written: %s", error.strerror)

    async def _serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        try:
            await serve_control(
                self,
                self.run_directory.control,
                books=self._books,
                tokens=self._tokens,
                care=self._care,
                tcp=self._tokens.listening(self._http),
                task_status=task_status,
            )
        except SocketUnusable as error:
            raise SupervisorError(f"{error.path}: {error.reason}", error.hint) from error

    def _on_change(self) -> None:
        self._changed.set()

    def _on_alert(self, severity: Severity, source: str, message: str) -> None:
        log.warning("%s: %s: %s", severity, source, message)
        self.rollout.raise_alert(severity, source, message)


@contextlib.contextmanager
def unwrapped() -> Iterator[None]:
    """Raise what a group of tasks failed with by itself when it is one thing: that is what has to be read."""
    try:
        yield
    except BaseExceptionGroup as group:
        found = _leaves(group)
        if len(found) == 1:
            raise found[0] from None
        raise


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]


def run_supervisor(
    plan: Plan, run: RunDirectory, *, detach_on_exit: bool = False, http: tuple[str, int] | None = None
) -> None:
    """Be the supervisor of this process: until `down`, or until SIGTERM or SIGINT, which mean the same.

    The process works in the plan's folder: relative paths in commands of components, probes, checks, drills and sinks
    are beside the plan, wherever somebody stood who started it.

    Args:
        plan: What to carry out.
        run: A prepared run directory.
        detach_on_exit: Whether a signal leaves the components running. A second signal always does.
        http: A loopback address and port for the control API, beside its socket.

    Raises:
        SupervisorError: when it can't start; nothing was changed then.
    """
    rooted = plan.at_home()
    os.chdir(rooted.folder)

    async def main() -> None:
        supervisor = Supervisor(rooted, run, http=http)
        with unwrapped():
            async with anyio.create_task_group() as group:
                group.start_soon(_obey_signals, supervisor, detach_on_exit, group.cancel_scope)
                await supervisor.run()
                group.cancel_scope.cancel()

    anyio.run(main)


async def _obey_signals(supervisor: Supervisor, detach: bool, everything: anyio.CancelScope) -> None:  # noqa: FBT001 - start_soon takes no keywords.
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        asked = False
        async for number in signals:
            log.info("%s: %s", number.name, "leaving the components" if detach or asked else "stopping the components")
            if asked:
                everything.cancel()
            elif detach:
                supervisor.leave()
            else:
                supervisor.down()
            asked = True

"""All components of a plan under care: started in order, stopped in reverse, left running when the keeper is cancelled.

`run` is the whole life of the keeper. It returns when `stop` has stopped everything; when it is cancelled instead (the
supervisor is leaving, or was told to detach), the processes go on and the next keeper adopts them.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import anyio
from anyio.abc import TaskGroup

from agt.supervisor.components._bell import Bell
from agt.supervisor.components._component import Alert, Component, Counted
from agt.supervisor.components._graph import dependants, prerequisites, start_order
from agt.supervisor.components._lifecycle import State
from agt.supervisor.components._output import Moved
from agt.supervisor.components._readiness import NotifySocket
from agt.supervisor.components._spec import ComponentSpec
from agt.supervisor.components._why import Standing
from agt.supervisor.components.archive import prune_archives
from agt.supervisor.view import ProcessView

log = logging.getLogger("agt.supervisor")

LOGS_CHECKED_EVERY_S = 1.0
ARCHIVES_CHECKED_EVERY_S = 3600.0
NOTIFY_SOCKET = "notify.sock"
_NOT_INHERITED = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC")
"""What a service manager told the supervisor, and no component should take for its own."""


def _log_alert(severity: str, source: str, message: str) -> None:
    log.warning("%s: %s: %s", severity, source, message)


class Keeper:
    """Starts, watches, restarts and stops the components of one plan."""

    def __init__(
        self,
        specs: Sequence[ComponentSpec],
        *,
        run: Path,
        rng: Random,
        on_change: Callable[[], None] = lambda: None,
        on_alert: Alert = _log_alert,
        on_recovered: Callable[[str], None] = lambda _name: None,
        on_happened: Counted = lambda _kind, _name: None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Take the components; nothing is started yet.

        Args:
            specs: The plan's components.
            run: The run directory; `components/` in it is made when it is missing.
            rng: Draws the jitter of restarts.
            on_change: Called after each change of a component's state, from the event loop.
            on_alert: Called for each failure (`warn`) and each hold-down (`escalate`).
            on_recovered: Called with a component's name each time it has become ready.
            on_happened: Called for each start after a failure (`restarts`) and each hold-down (`hold_downs`).
            environment: What the components inherit.

        Raises:
            ComponentsInvalid: with everything that is wrong with the components.
        """
        ordered = start_order(specs)
        self._run = run
        self._prerequisites = prerequisites(ordered)
        self._dependants = dependants(ordered)
        self._groups = {spec.name: spec.group for spec in ordered if spec.group}
        self._falling: set[str] = set()
        """Groups that are being ended, because one of them has died."""
        self._helpers: TaskGroup | None = None
        self._bell = Bell()
        self._on_change = on_change
        inherited = {name: value for name, value in environment.items() if name not in _NOT_INHERITED}
        inherited |= {"AGT_RUN_DIR": str(run), "NOTIFY_SOCKET": str(run / NOTIFY_SOCKET)}
        self._components = {
            spec.name: Component(
                spec,
                run=run,
                environment=inherited,
                rng=rng,
                bell=self._bell,
                changed=self._changed,
                alert=on_alert,
                recovered=on_recovered,
                happened=on_happened,
                fell=self._fell,
            )
            for spec in ordered
        }

    @property
    def views(self) -> tuple[ProcessView, ...]:
        """How the components are, in start order."""
        return tuple(component.view for component in self._components.values())

    @property
    def ready(self) -> bool:
        """Whether every component is ready, but for those that rest by an operator's order."""
        return all(component.state is State.READY or component.order for component in self._components.values())

    async def until_ready(self) -> None:
        """Return once every component is ready at the same time."""
        await self._bell.until(lambda: self.ready)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once a condition on the components holds; it is looked at after each change."""
        await self._bell.until(holds)

    def find(self, name: str) -> Component:
        """Return the care of one component.

        Raises:
            KeyError: when the plan has none of that name.
        """
        return self._components[name]

    def standings(self) -> dict[str, Standing]:
        """Return how each component stands, each with its own reason."""
        return {name: Standing(one.state.value, one.says) for name, one in self._components.items()}

    def needed_by(self, name: str) -> tuple[str, ...]:
        """Return who waits for a component, by name, but for those that rest by an operator's order."""
        return tuple(other for other in self._dependants[name] if self._components[other].order is None)

    async def run(self) -> None:
        """Care for the components until they have been stopped; cancelling leaves them running."""
        (self._run / "components").mkdir(mode=0o700, exist_ok=True)
        notifications = NotifySocket(self._run / NOTIFY_SOCKET, self._notified)
        async with anyio.create_task_group() as helpers:
            helpers.start_soon(notifications.run)
            self._helpers = helpers
            helpers.start_soon(self._bound_logs)
            helpers.start_soon(self._prune_archives)
            async with anyio.create_task_group() as tending:
                for name, component in self._components.items():
                    tending.start_soon(component.tend, helpers, lambda name=name: self._waits_for(name))
            helpers.cancel_scope.cancel()

    async def stop(self) -> None:
        """Stop every component, each after all that wait for it, and return when all are gone."""
        async with anyio.create_task_group() as group:
            for name in reversed(self._components):
                group.start_soon(self._stop_in_turn, name)

    async def _stop_in_turn(self, name: str) -> None:
        await self._bell.until(lambda: all(self._stopped(other) for other in self._dependants[name]))
        self._components[name].stop()
        await self._bell.until(lambda: self._stopped(name))

    def _stopped(self, name: str) -> bool:
        return self._components[name].state is State.STOPPED

    def missing(self, name: str) -> tuple[str, ...]:
        """Return whom a component waits for now.

        What was decommissioned is waited for by those that name it, not by all of the later stages.
        """
        named = self._components[name].spec.depends_on
        return tuple(
            other
            for other in self._prerequisites[name]
            if not self._serves(self._components[other], named=other in named)
        )

    def _serves(self, other: Component, *, named: bool) -> bool:
        gone = other.order is not None and other.order.state == "decommissioned"
        return other.state is State.READY or (gone and not named)

    def _waits_for(self, name: str) -> tuple[str, ...]:
        group = self._groups.get(name, "")
        return (f"the end of group {group}",) if group in self._falling else self.missing(name)

    def _fell(self, name: str) -> None:
        """Let the rest of a group fall with the one of it that has died."""
        group = self._groups.get(name, "")
        if group and group not in self._falling and self._helpers:
            self._falling.add(group)
            self._helpers.start_soon(self._end_group, group, name)

    async def _end_group(self, group: str, dead: str) -> None:
        """End a group in reverse order; they start again in order, since each waits for what it depends on."""
        for name in reversed(self._components):
            component = self._components[name]
            resting = component.state in {State.BACKOFF, State.HELD_DOWN, State.STOPPED}
            if self._groups.get(name) == group and name != dead and not resting:
                component.restart(f"{dead} of its group {group} has died")
                await self._bell.until(component.is_down)
        self._falling.discard(group)
        self._bell.ring()

    def _changed(self) -> None:
        self._bell.ring()
        self._on_change()

    def _notified(self, pid: int, fields: Mapping[str, str]) -> None:
        for component in self._components.values():
            process = component.process
            if process and (process.pid == pid or _session(pid) == process.pid):
                component.notified(fields)
                return
        log.debug("pid %s is no component and said %s", pid, sorted(fields))

    async def _bound_logs(self) -> None:
        while True:
            await anyio.sleep(LOGS_CHECKED_EVERY_S)
            for component in self._components.values():
                if moved := component.output.bound(component.spec.log_max_bytes):
                    log.info("%s", _says(component.spec.name, moved))

    async def _prune_archives(self) -> None:
        while True:
            for name in prune_archives(self._run, now=time.time()):
                log.info("%s: its archive was kept for its time and is deleted", name)
            await anyio.sleep(ARCHIVES_CHECKED_EVERY_S)


def _says(name: str, moved: Moved) -> str:
    text = f"{name}: its log was full: {moved.kept:,} bytes moved to {name}.log.1"
    if moved.dropped:
        text += f", {moved.dropped:,} older bytes are gone"
    if not moved.sure:
        text += "; this filesystem can't cut a file, so a line written at that moment may be missing"
    return text


def _session(pid: int) -> int:
    """Which session a process belongs to: each component leads its own; -1 when the process is gone."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return -1

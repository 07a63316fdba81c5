"""One component under care: wait, start or adopt, watch, restart; stop when asked.

Theory of operation. `tend` is one task that goes round: wait until nothing is missing, run once, record the failure,
wait as the policy says. `stop` cancels that round (and only the round), after which `tend` itself ends the process; so
exactly one task ever moves the state. When `tend` is cancelled from outside, the supervisor is leaving: the process is
left alone. The process's own watcher runs in the keeper's group and outlives the round.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import anyio
import msgspec
from anyio.abc import TaskGroup

from agt.supervisor._errors import LockHeld
from agt.supervisor.components._adopt import Occupied, Vacant, look
from agt.supervisor.components._bell import Bell
from agt.supervisor.components._files import ComponentFiles, Record, command_digest
from agt.supervisor.components._lifecycle import Happening, State, next_state
from agt.supervisor.components._process import Process, launch
from agt.supervisor.components._readiness import ask, target
from agt.supervisor.components._restart import HeldDown, RestartHistory
from agt.supervisor.components._spec import ComponentSpec, Liveness, NotifyProbe, expand
from agt.supervisor.view import ProcessView, Severity

log = logging.getLogger("agt.supervisor")

PROBE_EVERY_S = 0.05
PROBE_TIMEOUT_S = 2.0
IN_USE_TIMEOUT_S = 0.25
RECORD_WITHIN_S = 2.0
"""How long a process that an earlier supervisor has just launched may take to write its record."""
RECORD_POLL_S = 0.02

Alert = Callable[[Severity, str, str], None]
"""Severity, source, message."""
Counted = Callable[[str, str], None]
"""What is counted (`restarts`, `hold_downs`), and which component it happened to."""


class Component:
    """The care of one component; `state`, `detail` and `view` tell how it is."""

    def __init__(
        self,
        spec: ComponentSpec,
        *,
        run: Path,
        environment: Mapping[str, str],
        rng: Random,
        bell: Bell,
        changed: Callable[[], None],
        alert: Alert,
        recovered: Callable[[str], None],
        happened: Counted = lambda _kind, _name: None,
    ) -> None:
        self.spec = spec
        self.files = ComponentFiles(run / "components", spec.name)
        self.state = State.WAITING
        self.detail = ""
        self.restarts = 0
        self.process: Process | None = None
        self._run, self._bell, self._changed, self._alert = run, bell, changed, alert
        self._recovered, self._happened = recovered, happened
        self._history = RestartHistory(spec.restart, rng)
        self._command = tuple(expand(word, run=run) for word in spec.command)
        own = {name: expand(value, run=run) for name, value in spec.environment.items()}
        self._environment = {**environment, **own, "AGT_COMPONENT": spec.name}
        self._digest = command_digest(self._command, own)
        self._round: anyio.CancelScope | None = None
        self._stop_asked = False
        self._said_ready = anyio.Event()
        self._said_alive = anyio.Event()
        self._verdict = ""
        """Why we are ending the process ourselves; empty when it ends on its own."""

    @property
    def view(self) -> ProcessView:
        """What an operator sees."""
        return ProcessView(
            name=self.spec.name,
            stage=self.spec.stage.value,
            state=self.state.value,
            pid=self.process.pid if self.process else None,
            restarts=self.restarts,
            detail=self.detail,
        )

    def notified(self, fields: Mapping[str, str]) -> None:
        """Take what the process said on the notification socket."""
        if fields.get("READY") == "1":
            self._said_ready.set()
        if fields.get("WATCHDOG") == "1":
            self._said_alive.set()

    def stop(self) -> None:
        """Ask for a stop; `state` says when it has happened."""
        self._stop_asked = True
        if self._round:
            self._round.cancel()

    async def tend(self, watchers: TaskGroup, missing: Callable[[], tuple[str, ...]]) -> None:
        """Care for the component until it is stopped; `missing` names who isn't ready that it waits for."""
        with anyio.CancelScope() as self._round:
            while not self._stop_asked:
                await self._wait_for(missing)
                await self._recover(await self._run_once(watchers))
        self._happen(Happening.STOP, "")
        if self.process:
            await self.process.end(self.spec.stop_grace_s)
            self._forget_process()
        if self.state is State.STOPPING:
            self._happen(Happening.ENDED, "")

    async def _wait_for(self, missing: Callable[[], tuple[str, ...]]) -> None:
        def nothing_missing() -> bool:
            names = missing()
            self.detail = f"waits for {', '.join(names)}" if names else ""
            return not names

        await self._bell.until(nothing_missing)

    async def _run_once(self, watchers: TaskGroup) -> str:
        """Start or adopt the process and return, once it is gone, why."""
        try:
            record = await self._start_or_adopt(watchers)
        except LockHeld as error:
            return str(error)
        except OSError as error:
            return f"cannot be started: {error.strerror or error}"
        process, self._verdict = self.process, ""
        assert process is not None
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._judge, process, record)
                await process.gone.wait()
                group.cancel_scope.cancel()
        finally:
            if process.gone.is_set():
                self._forget_process()
        return f"{self._verdict}; {process.says}" if self._verdict else process.says

    async def _start_or_adopt(self, watchers: TaskGroup) -> Record | None:
        """Make `process` the running one; the record is the adopted one's, None for a fresh start."""
        found = await self._look()
        if isinstance(found, Occupied):
            self.restarts = max(self.restarts, found.record.restarts)
            self._enter(Process(found.record.pid, found.pidfd), watchers)
            older = " with an older command; restart it to apply the plan's" * (found.record.digest != self._digest)
            self._happen(Happening.ADOPTED, f"adopted{older}")
            return found.record
        try:
            await self._refuse_if_in_use()
            process = launch(
                self.files,
                self._command,
                self._environment,
                lock_fd=found.lock_fd,
                digest=self._digest,
                restarts=self.restarts,
            )
        finally:
            os.close(found.lock_fd)
        self._enter(process, watchers)
        self._happen(Happening.STARTED, "")
        return None

    async def _look(self) -> Vacant | Occupied:
        """Look who runs, patiently: the launcher of a supervisor that has just died may still be writing its record."""
        deadline = anyio.current_time() + RECORD_WITHIN_S
        while True:
            try:
                return look(self.files)
            except LockHeld:
                if anyio.current_time() >= deadline:
                    raise
            await anyio.sleep(RECORD_POLL_S)

    async def _refuse_if_in_use(self) -> None:
        """Somebody else's server at our address would pass for ours: refuse before starting."""
        probe = self.spec.readiness
        if isinstance(probe, NotifyProbe):
            return
        if not await ask(probe, run=self._run, timeout_s=IN_USE_TIMEOUT_S):
            where = target(probe, run=self._run)
            raise OSError(f"{where} already answers: another process has it; end that one or change the plan")

    def _enter(self, process: Process, watchers: TaskGroup) -> None:
        self.process = process
        self._said_ready, self._said_alive = anyio.Event(), anyio.Event()
        watchers.start_soon(process.watch)

    def _forget_process(self) -> None:
        """Let go of a process that is gone, and of what it left behind: that would keep the lock."""
        assert self.process is not None
        lock_fd = self.files.try_lock()
        if lock_fd is None:
            self.process.kill_leftovers()
        else:
            os.close(lock_fd)
        self.process = None

    async def _judge(self, process: Process, adopted: Record | None) -> None:
        """See the process to readiness and then watch that it lives; end it when it fails at either."""
        why = await self._until_ready(adopted)
        if not why:
            self._happen(Happening.BECAME_READY, self.detail)
            self._history.record_ready(anyio.current_time())
            self._recovered(self.spec.name)
            self._remember_ready()
            if self.spec.liveness is None:
                return
            why = await self._until_dead(self.spec.liveness)
        self._verdict = self.detail = why
        self._changed()
        await process.end(self.spec.stop_grace_s)

    async def _until_ready(self, adopted: Record | None) -> str:
        """Wait for readiness; empty when ready, else why not."""
        probe, within_s = self.spec.readiness, self.spec.ready_within_s
        if isinstance(probe, NotifyProbe):
            if adopted and adopted.ready:
                return ""
            with anyio.move_on_after(within_s):
                await self._said_ready.wait()
                return ""
            return f"did not say READY=1 within {within_s:g} s"
        why = "was not asked"
        with anyio.move_on_after(within_s):
            while True:
                why = await ask(probe, run=self._run, timeout_s=PROBE_TIMEOUT_S)
                if not why:
                    return ""
                await anyio.sleep(PROBE_EVERY_S)
        return f"not ready within {within_s:g} s: {why}"

    async def _until_dead(self, liveness: Liveness) -> str:
        """Return why the component no longer lives; never while it does."""
        if isinstance(liveness.probe, NotifyProbe):
            return await self._until_silent(liveness.every_s * liveness.failures)
        failures = 0
        while True:
            await anyio.sleep(liveness.every_s)
            why = await ask(liveness.probe, run=self._run, timeout_s=liveness.timeout_s)
            failures = failures + 1 if why else 0
            if failures >= liveness.failures:
                return f"not alive, asked {failures} times: {why}"

    async def _until_silent(self, within_s: float) -> str:
        while True:
            self._said_alive = anyio.Event()
            with anyio.move_on_after(within_s):
                await self._said_alive.wait()
                continue
            return f"did not say WATCHDOG=1 within {within_s:g} s"

    async def _recover(self, why: str) -> None:
        """Record a failure and wait until the policy allows another start."""
        decision = self._history.record_failure(anyio.current_time())
        name = self.spec.name
        if isinstance(decision, HeldDown):
            delay_s = decision.left_s
            self._happen(Happening.BUDGET_SPENT, f"held down for {delay_s:.0f} s: {why}")
            if decision.tripped:
                self._happened("hold_downs", name)
                self._alert("escalate", name, f"failed {decision.failures} times, {self.detail}")
        else:
            delay_s = decision.delay_s
            self._happen(Happening.DIED, f"starts again in {delay_s:.1f} s: {why}")
            self._alert("warn", name, f"{why}; starts again in {delay_s:.1f} s")
        await anyio.sleep(delay_s)
        self.restarts += 1
        self._happened("restarts", name)
        self._happen(Happening.RETRY, "")

    def _remember_ready(self) -> None:
        record = self.files.read_record()
        if record is None or self.process is None or record.pid != self.process.pid:
            return
        try:
            self.files.write_record(msgspec.structs.replace(record, ready=True))
        except OSError as error:  # Only a notifying component that is adopted would miss it: it is started anew.
            log.warning("%s: its readiness can't be recorded: %s", self.spec.name, error.strerror)

    def _happen(self, happening: Happening, detail: str) -> None:
        """The one place where the state changes."""
        self.state = next_state(self.state, happening)
        self.detail = detail
        pid = f" (pid {self.process.pid})" if self.process else ""
        log.info("%s: %s%s%s", self.spec.name, self.state, pid, f": {detail}" if detail else "")
        self._changed()

"""One component under care: wait, start or adopt, watch, restart; stop when asked, and start again when asked.

Theory of operation. `tend` is one task that goes round: wait until nothing is missing, run once, record the failure,
wait as the policy says. Whoever wants something else (an operator's order, a restart of the group, the end of the
supervisor) notes it and cancels that round (and only the round), after which `tend` itself ends the process; so exactly
one task ever moves the state. While an order stands, the component rests; when `tend` is cancelled from outside, the
supervisor is leaving: the process is left alone. The process's own watcher runs in the keeper's group and outlives the
round. What the restart policy has counted is written down at each turn, and the next supervisor goes on from there.
"""

import logging
import os
import time
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
from agt.supervisor.components._launch import boot_id
from agt.supervisor.components._lifecycle import Happening, State, next_state
from agt.supervisor.components._order import Order, read_order, write_order
from agt.supervisor.components._output import Output
from agt.supervisor.components._past import Past
from agt.supervisor.components._process import Process, launch
from agt.supervisor.components._readiness import ask, target
from agt.supervisor.components._restart import HeldDown, RestartHistory
from agt.supervisor.components._spec import CommandProbe, ComponentSpec, LogProbe, NotifyProbe, expand
from agt.supervisor.components._vigil import Vigil
from agt.supervisor.components.archive import pinned_command, read_archive
from agt.supervisor.view import ProcessView, Severity

log = logging.getLogger("agt.supervisor")

IN_USE_TIMEOUT_S = 0.25
RECORD_WITHIN_S = 2.0
"""How long a process that an earlier supervisor has just launched may take to write its record."""
RECORD_POLL_S = 0.02
UNWATCHED = "died while no supervisor was there"

Alert = Callable[[Severity, str, str], None]
"""Severity, source, message."""
Counted = Callable[[str, str], None]
"""What has happened (`restarts`, `hold_downs`) and to which component."""


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
        fell: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self.spec = spec
        self.files = ComponentFiles(run / "components", spec.name)
        self.output = Output(self.files.log)
        self.state = State.WAITING
        self.detail = ""
        self.order: Order | None = None
        self.past = Past()
        self.process: Process | None = None
        self._run, self._bell, self._changed, self._alert = run, bell, changed, alert
        self._recovered, self._happened, self._fell = recovered, happened, fell
        self._rng = rng
        self._history = RestartHistory(spec.restart, rng)
        self.own_environment = {name: expand(value, run=run) for name, value in spec.environment.items()}
        self._environment = {**environment, **self.own_environment, "AGT_COMPONENT": spec.name}
        self._round: anyio.CancelScope | None = None
        self._leaving = False
        self._again = ""
        """Why it is to be started anew although nothing failed; empty when it isn't."""
        self._vigil: Vigil | None = None
        self._died_unwatched = False
        self._looked = False
        """Whether it has been looked whether an earlier supervisor has left it running."""
        self._retry_at = 0.0
        """When a delay ends: seconds since boot."""
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
            restarts=self.past.restarts,
            detail=self.detail,
            order=self.order.state if self.order else "",
        )

    @property
    def says(self) -> str:
        """Why it is as it is, now: a delay counts down."""
        if self.state in {State.BACKOFF, State.HELD_DOWN}:
            now = time.monotonic()
            failures, left_s = self._history.failures(now), max(self._retry_at - now, 0.0)
            word = "held down for" if self.state is State.HELD_DOWN else "starts again in"
            more = " more" * (self.state is State.HELD_DOWN)
            count = f" after {failures} failure{'s' * (failures != 1)}" if failures else ""
            sooner = f"; try it now: agt component start {self.spec.name}" * (self.state is State.HELD_DOWN)
            return f"{word} {left_s:.0f} s{more}{count}: {self.past.why}{sooner}"
        return self.detail or f"is {self.state}"

    def command(self) -> tuple[str, ...]:
        """What it is started with: the plan's command, or with the archive's files once it was revived.

        Raises:
            OSError: when the archive is needed and can't be read.
        """
        kept = read_archive(self._run, self.spec.name)
        if kept is not None and kept.revived is not None:
            return pinned_command(self._run, kept)
        return tuple(expand(word, run=self._run) for word in self.spec.command)

    @property
    def archived_paths(self) -> tuple[str, ...]:
        """Files that an archive keeps beside those that the command names."""
        return tuple(expand(path, run=self._run) for path in self.spec.archive)

    @property
    def turning(self) -> bool:
        """Whether it was asked to start, or start again, and has not begun to."""
        return bool(self._again) or (self.order is None and self.state in {State.STOPPED, State.STOPPING})

    def is_down(self) -> bool:
        """Whether it has no process."""
        return self.process is None

    def notified(self, fields: Mapping[str, str]) -> None:
        """Take what the process said on the notification socket."""
        if self._vigil:
            self._vigil.notified(fields)

    def stop(self) -> None:
        """End the process and the care of it; `state` says when it has happened."""
        self._leaving = True
        self._interrupt()

    def rest(self, order: Order) -> None:
        """Stop until somebody wants it back, in this life of the supervisor and the next.

        Raises:
            OSError: when the order can't be made durable; nothing was changed then.
        """
        write_order(self.files.order, order)
        self.order = order
        if self.state is State.STOPPED:
            self.detail = order.says
        self._interrupt()

    def wake(self) -> None:
        """End an order; a component that waits for the end of a delay or hold-down is started now.

        Raises:
            OSError: when the order can't be taken back; nothing was changed then.
        """
        write_order(self.files.order, None)
        rested, self.order = self.order is not None, None
        if rested or self.state in {State.BACKOFF, State.HELD_DOWN}:
            self._history.forget()
            self._again = "started by an operator"
            self._interrupt()

    def restart(self, why: str) -> None:
        """End the process and start it again; no failure is counted."""
        self._again = why
        self._interrupt()

    async def tend(self, watchers: TaskGroup, missing: Callable[[], tuple[str, ...]]) -> None:
        """Care for the component until it is stopped; `missing` names who isn't ready that it waits for."""
        self._recall()
        while not self._leaving:
            if self.order is None:
                with anyio.CancelScope() as self._round:
                    await self._serve_out()
                    while self._wanted:
                        if not self._left_running():
                            await self._wait_for(missing)
                        await self._recover(await self._run_once(watchers))
                self._round = None
            await self._come_to_rest(watchers)
            await self._bell.until(lambda: self._leaving or self.order is None)
            if not self._leaving:
                self._again = ""
                self._happen(Happening.REVIVE, "")

    @property
    def _wanted(self) -> bool:
        return not (self._leaving or self.order or self._again)

    def _interrupt(self) -> None:
        if self._round:
            self._round.cancel()
        self._changed()

    def _recall(self) -> None:
        """Go on from what an earlier supervisor has left: its count of failures, and an operator's order."""
        self.past = self.files.read_past().since_boot(boot_id())
        self._history = RestartHistory(self.spec.restart, self._rng, self.past.failures)
        self._died_unwatched = self.past.running
        self.order = read_order(self.files.order)

    def _remember(self, **changes: object) -> None:
        self.past = msgspec.structs.replace(self.past, failures=self._history.failures_so_far, **changes)
        try:
            self.files.write_past(self.past)
        except OSError as error:  # The care goes on; only the next supervisor would count from less.
            log.warning("%s: its restarts can't be recorded: %s", self.spec.name, error.strerror)

    async def _serve_out(self) -> None:
        """Wait for the end of a hold-down that an earlier supervisor has begun."""
        left_s = self._history.hold_down_left_s(time.monotonic())
        if left_s > 0:
            self._happen(Happening.BUDGET_SPENT, f"held down for {left_s:.0f} s more, since before this supervisor")
            await self._pause(left_s)

    async def _come_to_rest(self, watchers: TaskGroup) -> None:
        """End the process, also one that an earlier supervisor has left running although it should rest."""
        if self.state is State.STOPPED:
            return
        why = self.order.says if self.order else self._again
        if not self._looked:
            why = await self._find_left_running(watchers) or why
        self._happen(Happening.STOP, why)
        if self.process:
            await self.process.end(self.spec.stop_grace_s)
            self._forget_process()
        self._history.record_end(time.monotonic())
        self._remember(running=False)
        if self.state is State.STOPPING:
            self._happen(Happening.ENDED, why)

    async def _find_left_running(self, watchers: TaskGroup) -> str:
        try:
            found = await self._look()
        except (LockHeld, OSError) as error:
            return str(error)
        if isinstance(found, Occupied):
            self._enter(Process(found.record.pid, found.pidfd), watchers, since=self.output.end)
            self._happen(Happening.ADOPTED, "adopted, to be stopped")
        else:
            os.close(found.lock_fd)
        return ""

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
        if process is None:
            return UNWATCHED
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
        """Make `process` the running one, if there is one; the record is the adopted one's, None for a fresh start."""
        found = await self._look()
        unwatched, self._died_unwatched = self._died_unwatched, False
        command = self.command()
        digest = command_digest(command, self.own_environment)
        if isinstance(found, Occupied):
            record = found.record
            self.past = msgspec.structs.replace(self.past, restarts=max(self.past.restarts, record.restarts))
            # Where it began in its log; when that has been cut since, all that is left is what it wrote.
            began = record.log_size if record.log_size <= self.output.end else 0
            self._enter(Process(record.pid, found.pidfd), watchers, since=began)
            older = " with an older command; restart it to apply the plan's" * (record.digest != digest)
            self._happen(Happening.ADOPTED, f"adopted{older}")
            return record
        try:
            if unwatched:
                return None
            await self._refuse_if_in_use()
            since = self.output.end
            process = launch(
                self.files,
                command,
                self._environment,
                lock_fd=found.lock_fd,
                digest=digest,
                restarts=self.past.restarts,
            )
        finally:
            os.close(found.lock_fd)
        self._enter(process, watchers, since=since)
        self._happen(Happening.STARTED, "")
        return None

    def _left_running(self) -> bool:
        """Whether an earlier supervisor has left it running: that is adopted before anything is waited for.

        It is served by now, whoever of those that it depends on is down; and what nobody adopts, nobody would end.
        """
        if self._looked:
            return False
        try:
            lock_fd = self.files.try_lock()
        except OSError:
            return False
        if lock_fd is not None:
            os.close(lock_fd)
        return lock_fd is None

    async def _look(self) -> Vacant | Occupied:
        """Look who runs, patiently: the launcher of a supervisor that has just died may still be writing its record."""
        self._looked = True
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
        if isinstance(probe, NotifyProbe | CommandProbe | LogProbe):
            return
        if not await ask(probe, run=self._run, timeout_s=IN_USE_TIMEOUT_S):
            where = target(probe, run=self._run)
            raise OSError(f"{where} already answers: another process has it; end that one or change the plan")

    def _enter(self, process: Process, watchers: TaskGroup, *, since: int) -> None:
        self.process = process
        self._vigil = Vigil(self.spec, run=self._run, environment=self._environment, output=self.output, since=since)
        watchers.start_soon(process.watch)
        self._remember(running=True)

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
        assert self._vigil is not None
        why = await self._vigil.until_ready(was_ready=adopted is not None and adopted.ready)
        if not why:
            self._happen(Happening.BECAME_READY, self.detail)
            self._history.record_ready(time.monotonic())
            self._remember()
            self._recovered(self.spec.name)
            self._remember_ready()
            if self.spec.liveness is None:
                return
            why = await self._vigil.until_dead(self.spec.liveness)
        self._verdict = self.detail = why
        self._changed()
        await process.end(self.spec.stop_grace_s)

    async def _recover(self, why: str) -> None:
        """Record a failure and wait until the policy allows another start."""
        decision = self._history.record_failure(time.monotonic())
        name = self.spec.name
        if isinstance(decision, HeldDown):
            delay_s = decision.left_s
            self._remember(running=False, why=why)
            self._happen(Happening.BUDGET_SPENT, f"held down for {delay_s:.0f} s: {why}")
            if decision.tripped:
                self._happened("hold_downs", name)
                self._alert("escalate", name, f"failed {decision.failures} times, {self.detail}")
        else:
            delay_s = decision.delay_s
            self._remember(running=False, why=why)
            self._happen(Happening.DIED, f"starts again in {delay_s:.1f} s: {why}")
            self._alert("warn", name, f"{why}; starts again in {delay_s:.1f} s")
        self._fell(name)
        await self._pause(delay_s)

    async def _pause(self, delay_s: float) -> None:
        self._retry_at = time.monotonic() + delay_s
        await anyio.sleep(delay_s)
        self._remember(restarts=self.past.restarts + 1)
        self._happened("restarts", self.spec.name)
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

"""See one process through: is it ready, and does it still live?

No policy here: it returns why not, in words, and what follows is the component's business. A process is asked (TCP,
Unix, HTTP, a command), listened to (notification, watchdog), or read (a line in its output since its start).
"""

from collections.abc import Mapping
from pathlib import Path

import anyio

from agt.supervisor.components._output import LineWatch, Output
from agt.supervisor.components._readiness import ask
from agt.supervisor.components._spec import CommandProbe, ComponentSpec, Liveness, LogProbe, NotifyProbe

PROBE_EVERY_S = 0.05
PROBE_TIMEOUT_S = 2.0


class Vigil:
    """The questions that one process is asked, from its start to its end."""

    def __init__(
        self, spec: ComponentSpec, *, run: Path, environment: Mapping[str, str], output: Output, since: int
    ) -> None:
        """Prepare.

        Args:
            spec: Which probes, and how long they may take.
            run: The run directory.
            environment: Of a probe that is a command.
            output: What the process writes.
            since: Position in the output where the process began.
        """
        self._spec, self._run, self._environment = spec, run, environment
        self._output, self._since = output, since
        self._said_ready, self._said_alive = anyio.Event(), anyio.Event()

    def notified(self, fields: Mapping[str, str]) -> None:
        """Take what the process said on the notification socket."""
        if fields.get("READY") == "1":
            self._said_ready.set()
        if fields.get("WATCHDOG") == "1":
            self._said_alive.set()

    async def until_ready(self, *, was_ready: bool) -> str:
        """Wait for readiness; empty when ready, else why not.

        Args:
            was_ready: Whether an earlier supervisor has seen it ready: what is said only once isn't waited for again.
        """
        probe, within_s = self._spec.readiness, self._spec.ready_within_s
        if isinstance(probe, NotifyProbe):
            return "" if was_ready else await self._until_said(within_s)
        if isinstance(probe, LogProbe):
            return "" if was_ready else await self._until_written(probe, within_s)
        every_s, timeout_s = PROBE_EVERY_S, PROBE_TIMEOUT_S
        if isinstance(probe, CommandProbe):
            every_s, timeout_s = probe.every_s, min(probe.timeout_s, within_s)
        why = "was not asked"
        with anyio.move_on_after(within_s):
            while True:
                why = await ask(probe, run=self._run, timeout_s=timeout_s, environment=self._environment)
                if not why:
                    return ""
                await anyio.sleep(every_s)
        return f"not ready within {within_s:g} s: {why}"

    async def until_dead(self, liveness: Liveness) -> str:
        """Return why the component no longer lives; never while it does."""
        if isinstance(liveness.probe, NotifyProbe):
            return await self._until_silent(liveness.every_s * liveness.failures)
        failures = 0
        while True:
            await anyio.sleep(liveness.every_s)
            why = await ask(liveness.probe, run=self._run, timeout_s=liveness.timeout_s, environment=self._environment)
            failures = failures + 1 if why else 0
            if failures >= liveness.failures:
                return f"not alive, asked {failures} times: {why}"

    async def _until_said(self, within_s: float) -> str:
        with anyio.move_on_after(within_s):
            await self._said_ready.wait()
            return ""
        return f"did not say READY=1 within {within_s:g} s"

    async def _until_written(self, probe: LogProbe, within_s: float) -> str:
        lines = LineWatch(self._output, self._since, probe.pattern)
        with anyio.move_on_after(within_s):
            while not lines.seen():  # noqa: ASYNC110 - a file that grows wakes nobody.
                await anyio.sleep(PROBE_EVERY_S)
            return ""
        return f"wrote no line with {probe.pattern!r} within {within_s:g} s"

    async def _until_silent(self, within_s: float) -> str:
        while True:
            self._said_alive = anyio.Event()
            with anyio.move_on_after(within_s):
                await self._said_alive.wait()
                continue
            return f"did not say WATCHDOG=1 within {within_s:g} s"

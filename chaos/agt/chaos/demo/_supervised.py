"""The real supervisor as a process beside us: started with the squeezed plan, told to go down, never left behind."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import anyio

from agt.chaos.demo._files import DemoFiles
from agt.chaos.demo._folder import holder, last_supervisor
from agt.chaos.demo._inject import component_pid
from agt.supervisor.actions import Action, Refused
from agt.supervisor.client import Client, NoSupervisor

ANSWERS_WITHIN_S = 20.0
DOWN_WITHIN_S = 25.0
POLL_S = 0.05
_DEMO_MODULE = b"agt.chaos.demo."


class DemoFailed(Exception):
    """Raised when the demo can't be run; the message says why and where to look."""


class EndedEarly(DemoFailed):
    """Raised when somebody told a run to end; there is nothing to look for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a demo is asked to be."""

    plan: Path
    run_dir: Path
    duration: str
    devices: int
    rate: float | None
    """Commands a second over all devices; None lets the fleet choose."""
    seed: int
    allow_loss: bool = False

    @property
    def command(self) -> list[str]:
        """How the supervisor is started."""
        arguments = ["up", str(self.plan), "--run-dir", str(self.run_dir), "--duration", self.duration]
        return [sys.executable, "-m", "agt.supervisor.cli", *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """What the components are told."""
        told = {"AGT_DEMO_DEVICES": str(self.devices), "AGT_DEMO_SEED": str(self.seed)}
        if self.rate is not None:
            told["AGT_DEMO_RATE"] = str(self.rate)
        if self.allow_loss:
            told["AGT_DEMO_ALLOW_LOSS"] = "1"
        return {**os.environ, **told}


@asynccontextmanager
async def supervised(options: Options) -> AsyncIterator[Client]:
    """Run the supervisor and give a client of it; on the way out everything that was started is ended.

    Raises:
        DemoFailed: when it doesn't come up.
    """
    log = options.run_dir / "supervisor.log"
    with _opened(log) as output:
        process = subprocess.Popen(  # noqa: S603, ASYNC220  # Our own interpreter; it has to outlive this scope's waits.
            options.command,
            env=options.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        async with Client(options.run_dir / "control.sock") as client:
            await _wait_for_answer(client, process, log)
            yield client
    finally:
        with anyio.CancelScope(shield=True):
            await end(process, options.run_dir)


async def end(process: "subprocess.Popen[bytes]", run_dir: Path) -> None:
    """End a supervisor and its components: asked first, then by signal."""
    if process.poll() is None:
        await _ask_down(process, run_dir)
    if not await _gone(process, DOWN_WITHIN_S):
        process.kill()
        await _gone(process, DOWN_WITHIN_S)
    if holder(run_dir):
        return  # Another's directory, and another's components.
    for record in sorted((run_dir / "components").glob("*.json")):
        _kill_left_behind(run_dir, record.stem)


async def _ask_down(process: "subprocess.Popen[bytes]", run_dir: Path) -> None:
    """Ask a supervisor to go down; one that doesn't listen, because it has only just been started, by signal."""
    async with Client(run_dir / "control.sock") as client:
        try:
            await client.act(Action(action="down", by="agt demo"))
        except NoSupervisor:
            process.terminate()
        except Refused:
            pass  # It is on its way down already.


def _kill_left_behind(run_dir: Path, name: str) -> None:
    """End a component whose supervisor died before it could, after a look at who has that pid now."""
    pid = component_pid(run_dir, name)
    if pid is None:
        return
    with contextlib.suppress(OSError):
        if _DEMO_MODULE in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)


async def _gone(process: "subprocess.Popen[bytes]", within_s: float) -> bool:
    with anyio.move_on_after(within_s):
        while process.poll() is None:  # noqa: ASYNC110  # A child's end is no event of the loop's.
            await anyio.sleep(POLL_S)
    return process.poll() is not None


async def _wait_for_answer(client: Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    with anyio.move_on_after(ANSWERS_WITHIN_S):
        while process.poll() is None:
            with contextlib.suppress(NoSupervisor):
                await client.view()
                if last_supervisor(log.parent) == str(process.pid):
                    return  # And not somebody else's that was quicker.
            await anyio.sleep(POLL_S)
    raise DemoFailed(f"the supervisor did not come up: {_last_line(log)}; see {log}")


def _opened(log: Path) -> BinaryIO:
    try:
        return log.open("ab")
    except OSError as error:
        raise DemoFailed(f"{log} can't be written: {error.strerror}") from error


def _last_line(log: Path) -> str:
    return (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["it said nothing"])[-1]


def files_of(options: Options) -> DemoFiles:
    """Return the files of a run."""
    return DemoFiles(options.run_dir)

"""The demo's supervisor as a process beside the screen: started first, ended last, its words kept in a file.

The screen imports nothing of it. It is told to go down through the control API, gets `STOP_S` for it, and is then
ended by its process id (SIGTERM, then SIGKILL).
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STOP_S: Final = 12.0
TERMINATE_S: Final = 5.0
_LOG: Final = "demo.log"


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What the command line says about a demo."""

    duration: str = "3m"
    devices: int = 50
    seed: int | None = None
    run_dir: Path | None = None
    """None makes a new one."""


def demo_command(options: DemoOptions, run_dir: Path) -> list[str]:
    """Return the command that serves a demo in a run directory."""
    command = [sys.executable, "-m", "agt.chaos.demo", "--serve", "--run-dir", str(run_dir)]
    command += ["--duration", options.duration, "--devices", str(options.devices)]
    return command if options.seed is None else [*command, "--seed", str(options.seed)]


class DemoUnusable(Exception):
    """Raised when a demo can't be started; nothing was."""


def _make_run_dir(options: DemoOptions) -> Path:
    if options.run_dir is None:
        return Path(tempfile.mkdtemp(prefix="agt-demo-"))
    try:
        options.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DemoUnusable(
            f"{options.run_dir} can't be the run directory ({error.strerror}); name another one"
        ) from error
    return options.run_dir.absolute()


class Demo:
    """One running demo."""

    def __init__(self, process: "subprocess.Popen[bytes]", run_dir: Path) -> None:
        self._process, self.run_dir = process, run_dir
        self._stopping = False
        self.failed = False
        """Whether it ended on its own with an error."""

    @classmethod
    def start(cls, options: DemoOptions, command: Callable[[DemoOptions, Path], list[str]] = demo_command) -> "Demo":
        """Start the demo's supervisor; its output goes to a file in the run directory.

        Raises:
            DemoUnusable: When the run directory can't be used.
        """
        run_dir = _make_run_dir(options)
        with (run_dir / _LOG).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module.
                command(options, run_dir),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # A Ctrl-C in this terminal is the screen's business.
            )
        return cls(process, run_dir)

    @property
    def socket(self) -> Path:
        """Where its control API will answer."""
        return self.run_dir / "control.sock"

    def failure(self) -> str:
        """Return why it ended, in a sentence; empty while it runs."""
        status = self._process.poll()
        if status is None or self._stopping:
            return ""
        self.failed = status != 0
        words = f": {line}" if (line := self._last_line()) else ""
        return f"the demo ended (exit status {status}){words}; see {self.run_dir / _LOG}"

    def stop(self) -> None:
        """End it: by its own means first, then by signal; returns when it is gone."""
        self.failure()
        self._stopping = True
        if self._process.poll() is None and self._ask_down() and self._wait(STOP_S):
            return
        if self._process.poll() is None:
            self._process.terminate()
        if not self._wait(TERMINATE_S):
            self._process.kill()
            self._process.wait()

    def epitaph(self) -> str:
        """Return the one line that is left on the terminal."""
        ended = (
            f"the demo failed{f': {self._last_line()}' if self._last_line() else ''}; its"
            if self.failed
            else "the run's"
        )
        return f"{ended} records are in {self.run_dir}"

    def _wait(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _ask_down(self) -> bool:
        """Ask the supervisor to go down; false when it can't be asked."""
        import anyio  # noqa: PLC0415 - loaded by now, and not before the child is started.

        from agt.supervisor.actions import Action, Refused  # noqa: PLC0415
        from agt.supervisor.client import Client, NoSupervisor  # noqa: PLC0415

        async def ask() -> bool:
            async with Client(self.socket) as client:
                try:
                    await client.act(Action(action="down", by="agt-tui"))
                except (NoSupervisor, Refused):
                    return False
            return True

        return anyio.run(ask)

    def _last_line(self) -> str:
        """Return the last line that the demo has said."""
        try:
            lines = (self.run_dir / _LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""

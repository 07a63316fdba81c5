"""One running process, ours or adopted: started through the launcher, watched by pidfd, ended by signal.

The process lives in its own session with its output in a file, so nothing ties it to the supervisor: it goes on when
that is killed. A pidfd stays true to one process, so no signal can hit a stranger who got the same pid.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from agt.supervisor.components import _launch
from agt.supervisor.components._files import ComponentFiles

_LAUNCHER = str(Path(_launch.__file__).resolve())
_CHILD_LOCK_FD = 3
"""Where the lock is in the child; any number that standard streams don't use would do."""


class Process:
    """A process under watch; one task runs `watch`, any number may await `gone`."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.gone = anyio.Event()
        """Set once the process has ended."""
        self.says = ""
        """How it ended, in words; empty while it runs."""
        self._pidfd = pidfd

    async def watch(self) -> None:
        """Wait until the process has ended, and note how; cancelling leaves it running, unwatched."""
        try:
            await anyio.wait_readable(self._pidfd)
            self.says = self._reap()
            self.gone.set()
        finally:
            os.close(self._pidfd)
            self._pidfd = -1

    async def end(self, grace_s: float) -> None:
        """Ask it to end (SIGTERM), insist after the grace (SIGKILL), and return when it has ended."""
        self.signal(signal.SIGTERM)
        with anyio.move_on_after(grace_s):
            await self.gone.wait()
        self.signal(signal.SIGKILL)
        await self.gone.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a no-op when the process is gone."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill_leftovers(self) -> None:
        """Kill what the process left behind in its own process group, which is named after its pid."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def _reap(self) -> str:
        try:
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return "ended (adopted, so its exit status is unknown)"
        if result is None:
            return "ended"
        if result.si_code == os.CLD_EXITED:
            return f"exited with status {result.si_status}"
        return f"killed by {signal.Signals(result.si_status).name}"


def launch(
    files: ComponentFiles,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    lock_fd: int,
    digest: str,
    restarts: int,
) -> Process:
    """Start a component's process; the lock goes with it, our copy stays the caller's to close.

    Raises:
        OSError: when the log can't be opened or no process can be made. A program that doesn't exist is no such case:
            the launcher says so in the log and exits with 127.
    """
    log_size = files.log.stat().st_size if files.log.exists() else 0
    facts = msgspec.json.encode({"digest": digest, "restarts": restarts, "log_size": log_size}).decode()[1:-1]
    argv = [sys.executable, "-I", "-S", _LAUNCHER, str(_CHILD_LOCK_FD), str(files.record), facts, "--", *command]
    log_fd = files.open_log()
    try:
        pid = os.posix_spawn(
            sys.executable,
            argv,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log_fd, 1),
                (os.POSIX_SPAWN_DUP2, log_fd, 2),
                (os.POSIX_SPAWN_DUP2, lock_fd, _CHILD_LOCK_FD),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
        )
    finally:
        os.close(log_fd)
    return Process(pid, os.pidfd_open(pid))

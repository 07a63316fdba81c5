"""The run directory: every socket, lock and record of one supervisor, ours alone.

It is 0700 and owned by us, or it is refused: whoever can write here can command the supervisor. A Unix socket's path
has at most 107 bytes, so a directory whose sockets couldn't be bound is refused before anything starts. One lock says
which supervisor it belongs to; it is released by the kernel when that dies, however it dies.
"""

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agt.supervisor._errors import AlreadyRunning, RunDirectoryError

SOCKET_PATH_MAX = 107
"""Bytes of a Unix socket's path on Linux, without the closing zero."""
LONGEST_SOCKET = "control.sock"


def default_run_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the run directory is when nobody says: $AGT_RUN_DIR, $XDG_RUNTIME_DIR/agt, ~/.local/state/agt/run."""
    if named := environment.get("AGT_RUN_DIR"):
        return Path(named)
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        return Path(runtime, "agt")
    return Path("~/.local/state/agt/run").expanduser()


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The names in a run directory."""

    path: Path

    @property
    def control(self) -> Path:
        """The control API's socket."""
        return self.path / "control.sock"

    @property
    def gateway(self) -> Path:
        """The router API's socket."""
        return self.path / "gateway.sock"

    @property
    def selector(self) -> Path:
        """The selector file."""
        return self.path / "selector.toml"

    @property
    def environment(self) -> Path:
        """Environment variables that work on a live process."""
        return self.path / "agt.env"

    @property
    def records(self) -> Path:
        """The journal and the alert ledger."""
        return self.path / "records.sqlite"

    @property
    def log(self) -> Path:
        """What the supervisor itself has to say."""
        return self.path / "supervisor.log"

    @property
    def lock_file(self) -> Path:
        """Held by the running supervisor; holds its pid."""
        return self.path / "supervisor.lock"

    def prepare(self) -> None:
        """Make the directory, or make sure that an existing one is ours alone.

        Raises:
            RunDirectoryError: when it can't be used, with the way out.
        """
        length = len(os.fsencode(self.path / LONGEST_SOCKET))
        if length > SOCKET_PATH_MAX:
            raise RunDirectoryError(
                f"the run directory's path is {length - SOCKET_PATH_MAX} bytes too long for a Unix socket: {self.path}",
                "choose a shorter one with --run-dir",
            )
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.path.stat()
        except OSError as error:
            raise RunDirectoryError(
                f"the run directory {self.path} can't be made ({error.strerror})", "choose another with --run-dir"
            ) from error
        if found.st_uid != os.getuid():
            raise RunDirectoryError(
                f"the run directory {self.path} belongs to uid {found.st_uid}, we are {os.getuid()}",
                "choose another with --run-dir",
            )
        if open_to := stat.S_IMODE(found.st_mode) & 0o077:
            raise RunDirectoryError(
                f"the run directory {self.path} is open to others (mode has {open_to:03o})",
                f"close it with `chmod 700 {self.path}`",
            )

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Be this directory's one supervisor.

        Raises:
            AlreadyRunning: when another one is, with its pid.
        """
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
                raise AlreadyRunning(
                    f"a supervisor already runs in {self.path} (pid {pid})",
                    "watch it with `agt status` or `agt-tui`, end it with `agt down`",
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def supervisor_pid(self) -> int | None:
        """The running supervisor's pid, None when there is none."""
        try:
            descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(descriptor, 32, 0).strip()
            return int(text) if text.isdigit() else None
        finally:
            os.close(descriptor)
        return None

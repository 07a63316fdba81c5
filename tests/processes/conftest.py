"""Builders for tests with real processes: a short run directory, tiny components, waiting on conditions."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import msgspec
import pytest
import tomli_w

from agt.supervisor import cli
from agt.supervisor._request import Control, NoAnswer
from agt.supervisor._rundir import RunDirectory
from agt.supervisor.components import ComponentSpec
from agt.supervisor.components._files import ComponentFiles

WITHIN_S = 15.0
"""Deadline of every wait; far above what any should take, so that only a hang reaches it."""

CHILD = textwrap.dedent(
    """
    import os, signal, socket, sys, time
    run, name = os.environ["AGT_RUN_DIR"], os.environ["AGT_COMPONENT"]
    def say(text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(text.encode(), os.environ["NOTIFY_SOCKET"])
    def note(text):
        with open(os.path.join(run, "events"), "a") as events:
            events.write(f"{name} {text} {os.getpid()}\\n")
    def leave(number, frame):
        note("stopped")
        sys.exit(0)
    signal.signal(signal.SIGTERM, leave)
    note("started")
    """
)
"""What every child begins with: `say` notifies, `note` appends a line to the run directory's `events`."""

NOTIFYING = "note('ready'); say('READY=1')\nwhile True: signal.pause()"
"""A child that is ready at once and stays until it is told to leave."""


@pytest.fixture
def anyio_backend() -> str:
    """The supervisor runs on asyncio."""
    return "asyncio"


@pytest.fixture
def run() -> Iterator[Path]:
    """A run directory with a short path; whatever still holds a lock in it is killed at the end."""
    path = Path(tempfile.mkdtemp(prefix="agt-"))
    yield path
    for file in path.glob("components/*.json"):
        record = ComponentFiles(file.parent, file.stem).read_record()
        if record and f"AGT_RUN_DIR={path}" in _environment(record.pid):
            os.kill(record.pid, signal.SIGKILL)
    shutil.rmtree(path)


def _environment(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    except OSError:
        return []


Build = Callable[..., ComponentSpec]


@pytest.fixture
def component() -> Build:
    """Build a component around a child's Python text; quick policies, any field can be given."""

    def build(name: str, child: str = NOTIFYING, **fields: object) -> ComponentSpec:
        quick = {"delay_initial_s": 0.05, "delay_max_s": 0.2}
        raw = {"stage": "gateway", "stop_grace_s": 3.0, "ready_within_s": 10.0, "restart": quick, **fields}
        command = [sys.executable, "-I", "-S", "-c", CHILD + child]
        return msgspec.convert({"name": name, "command": command, **raw}, ComponentSpec)

    return build


Until = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
def until() -> Until:
    """Wait for a condition without a fixed sleep; fail when it doesn't come true."""

    async def wait(holds: Callable[[], object]) -> None:
        with anyio.fail_after(WITHIN_S):
            while not holds():
                await anyio.lowlevel.checkpoint()
                await anyio.sleep(0.005)

    return wait


UntilAsked = Callable[[Callable[[], Awaitable[object]]], Awaitable[None]]


@pytest.fixture
def until_asked() -> UntilAsked:
    """Wait for what somebody else has to be asked about, a few times a second; fail when it doesn't come true."""

    async def wait(holds: Callable[[], Awaitable[object]]) -> None:
        with anyio.fail_after(2 * WITHIN_S):
            while True:
                if await holds():
                    return
                await anyio.sleep(0.15)

    return wait


@pytest.fixture
def events(run: Path) -> Callable[[], list[str]]:
    """What the children noted, oldest first, as `NAME WHAT`."""

    def read() -> list[str]:
        try:
            lines = (run / "events").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.rpartition(" ")[0] for line in lines]

    return read


Eventually = Callable[[Callable[[], object]], None]


@pytest.fixture
def eventually() -> Eventually:
    """Wait for a condition in a test without an event loop; fail when it doesn't come true."""

    def wait(holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not holds():
            assert time.monotonic() < deadline, "it did not come true"
            time.sleep(0.01)

    return wait


PLAN = {
    "schema": 1,
    "name": "tiny",
    "runtimes": {"control": "legacy", "candidate": "reliable"},
    "checks_every": "1s",
    "phase": [{"name": "canary-10", "route": {"percent": 10}, "soak": "3d"}],
    "drill": [{"name": "touch", "says": "leaves a file", "command": ["touch", "{run}/drilled"]}],
}


@pytest.fixture
def plan(run: Path) -> Callable[..., Path]:
    """Write a small plan around components and return its path."""

    def write(*specs: ComponentSpec) -> Path:
        components = [_without_none(msgspec.to_builtins(spec)) for spec in specs]
        path = run / "plan.toml"
        path.write_text(tomli_w.dumps({**PLAN, "component": components}))
        return path

    return write


def _without_none(fields: dict[str, object]) -> dict[str, object]:
    """TOML has no null: what is None is left out."""
    return {name: value for name, value in fields.items() if value is not None}


class Up:
    """`agt up` in a process of its own."""

    def __init__(self, run: Path, arguments: tuple[str, ...]) -> None:
        self.run = RunDirectory(run)
        self.control = Control(self.run.control)
        command = [sys.executable, "-m", "agt.supervisor.cli", "up", *arguments, "--run-dir", str(run)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    @property
    def answers(self) -> bool:
        """Whether this very supervisor answers."""
        if self.run.supervisor_pid() != self.process.pid:
            return False
        try:
            self.control.view()
        except NoAnswer:
            return False
        return True

    @property
    def all_ready(self) -> bool:
        """Whether it answers and all of its components are ready."""
        return self.answers and all(process.state == "ready" for process in self.control.view().processes)

    @property
    def pids(self) -> dict[str, int | None]:
        """Its components."""
        return {process.name: process.pid for process in self.control.view().processes}

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal, wait for the end, return status and output."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        """Wait for the end and return status and output."""
        output, _ = self.process.communicate(timeout=WITHIN_S)
        return self.process.returncode, output


@pytest.fixture
def up(run: Path) -> Iterator[Callable[..., Up]]:
    """Start `agt up` with arguments; whatever is left is killed at the end."""
    started: list[Up] = []

    def start(*arguments: object) -> Up:
        started.append(Up(run, tuple(map(str, arguments))))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


@pytest.fixture
def agt(run: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run another command on the same run directory: status, output, errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        status = cli.run([*arguments, "--run-dir", str(run)])
        return status, *capsys.readouterr()

    return call

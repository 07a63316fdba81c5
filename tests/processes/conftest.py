"""Builders for tests with real processes: a short run directory, tiny components, waiting on conditions."""

import os
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import msgspec
import pytest

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

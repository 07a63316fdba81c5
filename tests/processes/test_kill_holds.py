"""A kill with two real gateways when something else is broken, too: it works, it holds, and who is missing is named."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agt.router import Runtimes, Selector, SelectorFile
from agt.supervisor import cli
from agt.supervisor._request import NoAnswer, request

NAMES = ("east", "west")
Agt = Callable[..., tuple[int, str]]
Eventually = Callable[[Callable[[], object]], None]


class Gateways:
    """Two of the demo's gateways over one selector."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.file = SelectorFile(run / "selector.toml")
        self.file.write(
            Selector(runtimes=Runtimes(control="legacy", candidate="reliable")).with_route(percentage=50, enabled=True),
            expected=0,
        )
        self.text = self.file.path.read_text()

    def start(self, *names: str) -> None:
        """Start gateways that are not running."""
        for name in names:
            environment = {**os.environ, "AGT_RUN_DIR": str(self.run), "AGT_DEMO_GATEWAY": name}
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "agt.chaos.demo.gateway"],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal; wait for the end where it is one."""
        self.processes[name].send_signal(number)
        if number is signal.SIGKILL:
            self.processes[name].wait()

    def status(self, name: str) -> dict[str, Any]:
        """Return what a router says, nothing while it doesn't answer."""
        try:
            _, body = request(self.run / f"gateway-{name}.sock", "GET", "/status", timeout_s=2.0)
        except NoAnswer:
            return {}
        return dict(msgspec.json.decode(body))

    def all(self, **expected: object) -> bool:
        """Whether every router says this."""
        found = [self.status(name) for name in NAMES]
        return all(one.items() >= expected.items() for one in found)

    def begin(self) -> None:
        """Have both of them up, at 50 percent, whatever a test before has done to them."""
        present = self.file.read().selector
        if present is None:
            self.file.path.write_text(self.text)
        self.start(*(name for name in NAMES if name not in self.processes or self.processes[name].poll() is not None))

    def end(self) -> None:
        """End what is left."""
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def both() -> Iterator[Gateways]:
    """One pair for all tests here: an interpreter's start is most of what they cost."""
    run = Path(tempfile.mkdtemp(prefix="agt-"))
    found = Gateways(run)
    yield found
    found.end()
    shutil.rmtree(run)


@pytest.fixture
def gateways(both: Gateways, eventually: Eventually) -> Gateways:
    """Both up, at 50 percent."""
    both.begin()
    eventually(lambda: both.all(percentage=50.0, killed=False))
    return both


@pytest.fixture
def agt(both: Gateways, capsys: pytest.CaptureFixture[str]) -> Agt:
    """Run a command on their run directory: status and output."""

    def call(*arguments: str) -> tuple[int, str]:
        return cli.run([*arguments, "--run-dir", str(both.run)]), capsys.readouterr().out

    return call


def test_one_that_hangs_is_named_and_follows_the_latch_when_it_goes_on(
    gateways: Gateways, agt: Agt, eventually: Eventually
) -> None:
    """The other is routed in its own time; a restart of that one changes nothing, only a selector put there does."""
    gateways.signal("west", signal.SIGSTOP)
    began = time.monotonic()
    status, out = agt("kill-switch", "on", "--json", "--no-wait")
    assert time.monotonic() - began < 10
    report = json.loads(out)
    assert status == 0
    assert report["routers"] == {"gateway-east.sock": True, "gateway-west.sock": False}
    assert report["missing"] == {"gateway-west.sock": "silent for 3 s"}
    assert report["slowest"] == "gateway-east.sock"
    assert report["routed_ms"] < 1000
    assert report["selector_taken"]
    gateways.signal("west", signal.SIGCONT)
    eventually(lambda: gateways.all(killed=True, percentage=0.0))
    gateways.signal("east", signal.SIGKILL)
    gateways.start("east")
    eventually(lambda: gateways.all(killed=True, percentage=0.0))
    gateways.file.killed_path.rename(gateways.file.path)  # A selector put there by hand.
    eventually(lambda: gateways.all(killed=False, percentage=50.0))


def test_one_that_is_down_is_named_and_comes_up_killed(gateways: Gateways, agt: Agt, eventually: Eventually) -> None:
    """A stale socket in its place, a selector that nobody can read: the latch takes that away, too."""
    gateways.signal("west", signal.SIGKILL)
    gateways.file.path.write_bytes(b"\xff garbage [[")
    status, out = agt("kill-switch", "on")
    assert status == 0
    assert "1 of 2 gateways confirmed and selector.toml is taken away" in out
    assert "routed in " in out
    assert "MISSING gateway-west.sock: connection refused; it follows the latch when it is back" in out
    assert "settled in " in out
    gateways.start("west")
    eventually(lambda: gateways.all(killed=True, percentage=0.0))


@pytest.mark.skipif(os.geteuid() != 0, reason="making a directory read-only for root needs a mount")
def test_a_read_only_run_directory_is_killed_in_memory_and_said_to_hold_nothing(gateways: Gateways, agt: Agt) -> None:
    """Everybody confirms; the report says that nothing latches it, and once it can be written the next kill does."""
    if subprocess.run(["mount", "--bind", gateways.run, gateways.run], check=False).returncode:
        pytest.skip("this kernel or container refuses to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", gateways.run], check=True)
        status, out = agt("kill-switch", "on")
        assert status == 0
        assert "2 of 2 gateways confirmed" in out
        assert "NOT LATCHED" in out
        assert gateways.all(killed=True, percentage=0.0)
    finally:
        subprocess.run(["umount", "--lazy", gateways.run], check=True)
    assert "NOT LATCHED" not in agt("kill-switch", "on")[1]
    assert gateways.file.killed_path.exists()

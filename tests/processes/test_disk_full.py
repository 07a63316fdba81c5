"""A disk without a byte left: the kill switch works, and holds over restarts of supervisor and gateway."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agt.supervisor._request import NoAnswer, request
from agt.supervisor.components._files import ComponentFiles

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tiny tmpfs needs root")

PLAN = """
schema = 1
name = "disk-full"
checks_every = "250ms"
[runtimes]
control = "legacy"
candidate = "reliable"
[[component]]
name = "gateway"
stage = "gateway"
command = ["{python}", "-m", "agt.chaos.demo.gateway"]
restart = { delay_initial_s = 0.1, delay_max_s = 0.3, budget = 0 }
[[phase]]
name = "half"
route = { percent = 50 }
soak = "1h"
[[phase.gate]]
metric = "samples"
at_least = 1
"""


@pytest.fixture
def tiny(run: Path) -> Iterator[Path]:
    """The run directory as a file system of 4 MB."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "agt-test", run], check=False).returncode:
        pytest.skip("this kernel or container refuses to mount a tmpfs")
    try:
        yield run
    finally:
        for file in run.glob("components/*.json"):
            record = ComponentFiles(file.parent, file.stem).read_record()
            if record and f"AGT_RUN_DIR={run}".encode() in _environment(record.pid):
                os.kill(record.pid, signal.SIGKILL)
        subprocess.run(["umount", "--lazy", run], check=True)


def test_the_kill_switch_works_on_a_full_disk_and_holds(tiny: Path, up, agt, tmp_path: Path, eventually) -> None:
    """On without a free byte; on after `kill -9` of supervisor and gateway, full and freed; off when one says so."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    first = up(plan)
    eventually(lambda: first.all_ready and _status(tiny).get("percentage") == 50)
    pid = first.pids["gateway"]
    _fill(tiny / "filler")
    assert agt("kill-switch", "on")[0] == 0
    assert _status(tiny)["killed"]
    first.end(signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    second = up(plan)
    eventually(lambda: second.all_ready and second.control.view().kill_switch and _status(tiny).get("killed"))
    assert second.pids["gateway"] != pid
    assert agt("kill-switch", "off")[0] == 1, "going forward needs the disk"
    (tiny / "filler").unlink()
    pid = second.pids["gateway"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: second.pids["gateway"] not in {None, pid} and _status(tiny).get("killed"))
    eventually(lambda: agt("kill-switch", "off")[0] == 0)
    eventually(lambda: not _status(tiny)["killed"])
    assert _status(tiny)["percentage"] == 0


def _status(run: Path) -> dict[str, object]:
    """Return what the router says, nothing while it doesn't answer."""
    try:
        _, body = request(run / "gateway.sock", "GET", "/status", timeout_s=2.0)
    except NoAnswer:
        return {}
    status: dict[str, object] = msgspec.json.decode(body)
    return status


def _fill(path: Path) -> None:
    """Write until not even a byte goes."""
    with path.open("ab", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []

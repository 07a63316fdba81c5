"""What the supervisor tells a service manager, over real datagram sockets; and that the units are sound."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from agt.supervisor._sd_notify import ServiceManager

DEPLOY = Path(__file__).parents[2] / "deploy" / "systemd"


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket and its address as NOTIFY_SOCKET has it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@agt-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        listener.settimeout(5)
        yield listener, name


def test_ready_and_stopping_are_said_with_a_status(manager: tuple[socket.socket, str]) -> None:
    """One datagram each; a status is one line."""
    listener, name = manager
    service = ServiceManager({"NOTIFY_SOCKET": name})
    service.ready("supervising\ncync-tcp")
    service.stopping("stopping the components")
    assert listener.recv(4096) == b"READY=1\nSTATUS=supervising cync-tcp"
    assert listener.recv(4096) == b"STOPPING=1\nSTATUS=stopping the components"


async def test_the_watchdog_is_fed_twice_as_often_as_it_wants(manager: tuple[socket.socket, str]) -> None:
    """Three in a row, half its time apart."""
    listener, name = manager
    service = ServiceManager({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "40000"})
    async with anyio.create_task_group() as group:
        group.start_soon(service.keep_alive)
        began = anyio.current_time()
        for _ in range(3):
            await anyio.wait_readable(listener)
            assert listener.recv(4096) == b"WATCHDOG=1"
        assert anyio.current_time() - began >= 0.04 - 0.001
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "12"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "13"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_only_our_own_watchdog_counts(environment: dict[str, str], watchdog_s: float | None) -> None:
    """What was meant for our parent, and nonsense, are no watchdog."""
    assert ServiceManager(environment, pid=12).watchdog_s == watchdog_s


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative", "/nonexistent/notify"])
async def test_where_nobody_listens_nothing_happens(address: str) -> None:
    """No socket, another kind, one that has gone: we serve devices all the same."""
    service = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1"} if address else {})
    service.ready("supervising")
    service.stopping("ending")
    with anyio.move_on_after(0.01):
        await service.keep_alive()


@pytest.mark.parametrize("unit", ["agt-supervisor.service", "user/agt-supervisor.service"])
def test_the_units_are_sound(unit: str, tmp_path: Path) -> None:
    """`systemd-analyze verify` finds nothing to say, but for a user that is made at installation."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze here")
    copy = tmp_path / "agt-supervisor.service"
    copy.write_text((DEPLOY / unit).read_text())
    where = "--user" if unit.startswith("user/") else "--system"
    command = [analyze, where, "--man=no", "--recursive-errors=no", "verify", str(copy)]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, env=environment)
    if "unrecognized option" in found.stderr or "Failed to initialize manager" in found.stderr:
        pytest.skip(f"this systemd-analyze can't verify here: {found.stderr.strip()}")
    said = [line for line in found.stderr.splitlines() if "agt-supervisor" in line]
    assert said == []


def test_the_units_say_what_the_guide_promises() -> None:
    """Notification, watchdog, and components that outlive the main process."""
    for unit in ("agt-supervisor.service", "user/agt-supervisor.service"):
        lines = set((DEPLOY / unit).read_text().splitlines())
        assert {"Type=notify", "WatchdogSec=30", "KillMode=process", "Restart=on-failure"} <= lines

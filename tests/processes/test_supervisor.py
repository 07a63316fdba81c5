"""The whole supervisor as a process: up, down, adopted after `kill -9`, refused in words."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest


@pytest.fixture
def manager(run: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Be the service manager of what is started from here; return what it was told so far, first lines only."""
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(str(run / "manager.sock"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(run / "manager.sock"))
        monkeypatch.setenv("WATCHDOG_USEC", "60000000")  # A socket holds ten datagrams until they are read.

        def read() -> list[str]:
            with contextlib.suppress(BlockingIOError):
                while True:
                    told.append(listener.recv(4096).decode().splitlines()[0])
            return told

        yield read


def test_up_status_down(up, agt, plan, component, eventually, events, manager) -> None:
    """Components in order, a status from another process, everything gone in reverse; a service manager hears of it."""
    supervisor = up(plan(component("source", stage="sources"), component("gateway")))
    eventually(lambda: supervisor.all_ready)
    status, out, _ = agt("status", "--json")
    assert status == 0
    view = msgspec.json.decode(out)
    assert view["plan"] == "tiny"
    assert [process["name"] for process in view["processes"]] == ["source", "gateway"]
    assert "gateway: ready (pid" in agt("status")[1]
    assert agt("down")[:2] == (0, "stops gateway, source, then itself\n")
    assert supervisor.wait()[0] == 0
    assert manager()[0] == "READY=1"
    assert {*manager()[1:]} == {"WATCHDOG=1", "STOPPING=1"}
    assert manager().count("STOPPING=1") == 1
    assert events()[-2:] == ["gateway stopped", "source stopped"]
    assert not supervisor.run.control.exists()


def test_a_killed_supervisor_leaves_its_components_and_the_next_adopts_them(
    up, agt, plan, component, eventually, events
) -> None:
    """`kill -9`, a word about it from `status`, `agt up` again: same pids, nothing doubled."""
    path = plan(component("source", stage="sources"), component("gateway"))
    first = up(path)
    eventually(lambda: first.all_ready)
    pids, version = first.pids, first.control.view().version
    first.end(signal.SIGKILL)
    assert "no supervisor answers on" in agt("status")[2]
    second = up(path)
    eventually(lambda: second.all_ready)
    assert second.pids == pids
    assert [process.restarts for process in second.control.view().processes] == [0, 0]
    assert second.control.view().version > version
    assert second.end(signal.SIGTERM)[0] == 0
    assert [line for line in events() if "started" in line] == ["source started", "gateway started"]


def test_a_second_supervisor_is_refused(up, plan, component, eventually) -> None:
    """One clear line with the first one's pid; the first doesn't notice."""
    path = plan(component("gateway"))
    first = up(path)
    eventually(lambda: first.all_ready)
    pids = first.pids
    status, output = up(path).wait()
    assert status == 1
    assert output.startswith(f"agt: a supervisor already runs in {first.run.path} (pid {first.process.pid}); ")
    assert output.count("\n") == 1
    assert first.pids == pids


def test_a_socket_in_use_is_refused_before_anything_starts(up, plan, component, run, events) -> None:
    """Somebody who isn't a supervisor listens on control.sock."""
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(run / "control.sock"))
        stranger.listen()
        status, output = up(plan(component("gateway"))).wait()
    assert status == 1
    assert output.splitlines()[-1].startswith(f"agt: {run}/control.sock: ")
    assert "Traceback" not in output
    assert events() == []


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda path: path.write_text("schema = 1"), "name"),
        (lambda path: path.write_text("[["), "TOML"),
        (lambda path: path.write_text(path.read_text().replace('"gateway"', '"gatewy"', 1)), "gatewy"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_a_wrong_plan_starts_nothing(up, plan, component, run, events, spoil, word) -> None:
    """Status 1 and the reason; no lock, no socket, no component."""
    path = plan(component("daemon", stage="daemon", depends_on=("gateway",)), component("gateway"))
    spoil(path)
    status, output = up(path).wait()
    assert status == 1
    assert output.startswith("agt: ")
    assert word in output
    assert events() == []
    assert not (run / "supervisor.lock").exists()


def test_ctrl_c_means_down(up, plan, component, eventually, events) -> None:
    """And is prompt: within the test's own deadline, with status 0."""
    supervisor = up(plan(component("gateway")))
    eventually(lambda: supervisor.all_ready)
    assert supervisor.end(signal.SIGINT)[0] == 0
    assert events()[-1] == "gateway stopped"


def test_detach_on_exit_leaves_the_components(up, plan, component, eventually, events) -> None:
    """SIGTERM ends only the supervisor; the next one adopts."""
    path = plan(component("gateway"))
    first = up(path, "--detach-on-exit")
    eventually(lambda: first.all_ready)
    pids = first.pids
    assert first.end(signal.SIGTERM)[0] == 0
    assert os.getsid(pids["gateway"]) == pids["gateway"]
    second = up(path)
    eventually(lambda: second.all_ready)
    assert second.pids == pids


ROUTER = """
with socket.socket(socket.AF_UNIX) as server:
    server.bind(run + "/gateway.sock")
    server.listen()
    say("READY=1")
    while True:
        peer = server.accept()[0]
        note(peer.recv(4096).decode().split(" HTTP")[0].replace(" ", "_"))
        peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
        peer.close()
"""
"""A router that confirms whatever it is asked for and notes it."""


def test_the_kill_switch_works_with_the_supervisor_dead(up, agt, plan, component, eventually, run, events) -> None:
    """The gateway is told, the selector is gone, and it is still on when the next supervisor comes up."""
    path = plan(component("gateway", ROUTER))
    first = up(path)
    eventually(lambda: first.all_ready)
    first.end(signal.SIGKILL)
    (run / "selector.toml").touch()
    status, out, _ = agt("kill-switch", "on")
    assert status == 0
    assert "without the supervisor" in out
    assert "the gateway confirmed and selector.toml is taken away\nrouted in " in out
    assert "gateway POST_/kill" in events()
    second = up(path)
    eventually(lambda: second.all_ready)
    assert not (run / "selector.toml").exists()
    assert agt("kill-switch", "status")[1] == "kill switch is on: selector.toml.killed\n"


def test_the_kill_switch_works_through_the_supervisor(up, agt, plan, component, eventually, run) -> None:
    """On through its API, seen in the view."""
    supervisor = up(plan(component("gateway")))
    eventually(lambda: supervisor.all_ready)
    out = msgspec.json.decode(agt("kill-switch", "on", "--json")[1])
    assert out["kill_switch"] is True
    assert out["by_supervisor"] is True
    assert supervisor.control.view().kill_switch


def test_a_drill_runs_its_command(up, agt, plan, component, eventually, run) -> None:
    """An unknown one is refused with the known ones."""
    supervisor = up(plan(component("gateway")))
    eventually(lambda: supervisor.all_ready)
    assert agt("drill", "touch")[0] == 0
    assert (run / "drilled").exists()
    assert any("touch: leaves a file" in alert.message for alert in supervisor.control.alerts())
    status, _, err = agt("drill", "tuch")
    assert status == 1
    assert err == "agt: the plan has no drill 'tuch'; it has: touch\n"


def test_a_failure_is_an_alert_until_the_component_is_back(up, plan, component, eventually) -> None:
    """`kill -9` of a component through the whole supervisor: a warning, resolved when it is ready again."""
    supervisor = up(plan(component("gateway")))
    eventually(lambda: supervisor.all_ready)
    pid = supervisor.pids["gateway"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: supervisor.pids["gateway"] not in {pid, None} and supervisor.all_ready)
    warned = [alert for alert in supervisor.control.alerts() if alert.source == "gateway"]
    assert [(alert.severity, alert.open) for alert in warned] == [("warn", False)]
    assert "killed by SIGKILL" in warned[0].message


def test_up_in_the_background_returns_when_it_answers(agt, up, plan, component, eventually, run: Path) -> None:
    """It says the pid and stays; a second one says why not."""
    path = plan(component("gateway"))
    launcher = up(path, "--background")
    status, output = launcher.wait()
    assert status == 0, output
    assert f"supervisor runs in {run} (pid {launcher.run.supervisor_pid()})" in output
    status, output = up(path, "--background").wait()
    assert status == 1
    assert output.startswith("agt: a supervisor already runs in")
    assert agt("down")[0] == 0
    assert launcher.run.supervisor_pid() is None

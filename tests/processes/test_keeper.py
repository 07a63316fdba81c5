"""The keeper with real children: order, readiness, restarts, liveness, reverse stop."""

import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import anyio
import pytest

from agt.supervisor.components import ComponentSpec, Keeper
from agt.supervisor.view import ProcessView


class Watched:
    """A running keeper and the alerts that it raised."""

    def __init__(self, run: Path, *specs: ComponentSpec) -> None:
        self.alerts: list[tuple[str, str, str]] = []
        self.counted: list[tuple[str, str]] = []
        self.keeper = Keeper(
            specs,
            run=run,
            rng=Random(1),
            on_alert=lambda *alert: self.alerts.append(alert),
            on_happened=lambda *what: self.counted.append(what),
        )

    def __getitem__(self, name: str) -> ProcessView:
        return next(view for view in self.keeper.views if view.name == name)


@asynccontextmanager
async def keeping(run: Path, *specs: ComponentSpec) -> AsyncIterator[Watched]:
    """Run a keeper for the length of a block and stop it at the end."""
    watched = Watched(run, *specs)
    async with anyio.create_task_group() as group:
        group.start_soon(watched.keeper.run)
        yield watched
        with anyio.fail_after(15):
            await watched.keeper.stop()


async def test_stages_start_in_order_and_stop_in_reverse(run, component, until, events) -> None:
    """Sources before gateway before daemon; down the other way, each gone before the next is asked."""
    specs = [component(name, stage=name) for name in ("daemon", "sources", "gateway")]
    async with keeping(run, *specs) as watched:
        await until(lambda: watched.keeper.ready)
    names = ("sources", "gateway", "daemon")
    ups = [f"{name} {what}" for name in names for what in ("started", "ready")]
    assert events() == ups + [f"{name} stopped" for name in reversed(names)]


async def test_a_dependency_within_a_stage_is_waited_for(run, component, until, events) -> None:
    """`a` would be first by name, and still waits for `b`."""
    async with keeping(run, component("a", depends_on=("b",)), component("b")) as watched:
        await until(lambda: watched.keeper.ready)
        assert events() == ["b started", "b ready", "a started", "a ready"]


async def test_a_stage_that_is_not_ready_never_lets_the_next_one_start(run, component, until, events) -> None:
    """Fail closed: the first stage runs but says nothing, so its start fails and the next stage is never started."""
    mute = component("mute", "while True: signal.pause()", stage="sources", ready_within_s=0.2)
    async with keeping(run, mute, component("after")) as watched:
        await until(lambda: watched["mute"].restarts >= 2)
        assert watched["after"].state == "waiting"
        assert watched["after"].detail == "waits for mute"
        assert "after started" not in events()
    assert any("did not say READY=1 within 0.2 s" in message for _, _, message in watched.alerts)


async def test_a_killed_component_comes_back_with_its_restart_counted(run, component, until) -> None:
    """`kill -9` of a child: another pid, one restart, ready again, a warning that names the signal."""
    async with keeping(run, component("gateway")) as watched:
        await until(lambda: watched.keeper.ready)
        first = watched["gateway"].pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: watched["gateway"].pid not in {first, None} and watched.keeper.ready)
        assert watched["gateway"].restarts == 1
    severity, source, message = watched.alerts[0]
    assert (severity, source) == ("warn", "gateway")
    assert message.startswith("killed by SIGKILL; starts again in")


async def test_five_failures_end_in_hold_down_and_one_escalation(run, component, until, events) -> None:
    """The fifth failure trips the hold-down; nothing is started during it."""
    async with keeping(run, component("crasher", "sys.exit(3)")) as watched:
        await until(lambda: watched["crasher"].state == "held-down")
        assert watched["crasher"].detail == "held down for 300 s: exited with status 3"
        assert watched.counted == [("restarts", "crasher")] * 4 + [("hold_downs", "crasher")]
        assert events() == ["crasher started"] * 5
    assert [severity for severity, _, _ in watched.alerts] == ["warn"] * 4 + ["escalate"]


async def test_a_program_that_does_not_exist_says_so_in_its_log(run, component, until) -> None:
    """The launcher can't become the program: status 127 and a line in the log, never a traceback."""
    ghost = ComponentSpec(name="ghost", stage=component("x").stage, command=("/nonexistent/program",))
    async with keeping(run, ghost) as watched:
        await until(lambda: watched["ghost"].state == "backoff")
        assert "exited with status 127" in watched["ghost"].detail
    text = (run / "components" / "ghost.log").read_text()
    assert text == "cannot start /nonexistent/program: No such file or directory\n"


SERVING = """
with socket.socket(socket.AF_UNIX) as server:
    if os.path.exists(os.path.join(run, "served.sock")):  # An earlier start of it was ended.
        os.unlink(os.path.join(run, "served.sock"))
    server.bind(os.path.join(run, "served.sock"))
    server.listen()
    while True:
        peer = server.accept()[0]
        peer.recv(4096)
        peer.sendall(ANSWER)
        peer.close()
"""


@pytest.mark.parametrize(
    ("probe", "answer"),
    [
        ({"by": "unix", "socket": "served.sock"}, b""),
        ({"by": "http", "socket": "{run}/served.sock", "path": "/ready"}, b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
async def test_readiness_is_asked_over_a_unix_socket(run, component, until, probe, answer) -> None:
    """A connection suffices for `unix`, a 2xx for `http`."""
    async with keeping(run, component("server", SERVING.replace("ANSWER", repr(answer)), readiness=probe)) as watched:
        await until(lambda: watched.keeper.ready)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"hello\r\n", b""])
async def test_an_answer_that_is_no_2xx_is_not_ready(run, component, until, answer) -> None:
    """503, nonsense and a hang-up are all `not ready`, with the answer in the reason."""
    probe = {"by": "http", "socket": "served.sock"}
    spec = component("server", SERVING.replace("ANSWER", repr(answer)), readiness=probe, ready_within_s=0.4)
    async with keeping(run, spec) as watched:
        await until(lambda: watched.alerts)
        assert "not ready within 0.4 s" in watched.alerts[0][2]


async def test_an_address_that_is_taken_is_refused_before_the_start(run, component, until, events) -> None:
    """Another process's server must not pass for the component."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        async with keeping(run, component("late", readiness={"by": "tcp", "port": port})) as watched:
            await until(lambda: watched.alerts)
            assert f"127.0.0.1:{port} already answers: another process has it" in watched.alerts[0][2]
            assert events() == []


async def test_a_component_that_stops_living_is_ended_and_restarted(run, component, until, events) -> None:
    """Liveness apart from readiness: ready, then silent on WATCHDOG=1, then restarted."""
    liveness = {"probe": {"by": "notify"}, "every_s": 0.1, "failures": 2}
    async with keeping(run, component("silent", liveness=liveness)) as watched:
        await until(lambda: watched["silent"].restarts)
        assert "did not say WATCHDOG=1 within 0.2 s" in watched.alerts[0][2]
        assert events()[:3] == ["silent started", "silent ready", "silent stopped"]


async def test_a_component_that_answers_no_more_is_ended_and_restarted(run, component, until, events) -> None:
    """Liveness by HTTP: 204 while it becomes ready, then 503 until it is given up on."""
    unlink = "os.path.exists(run + '/served.sock') and os.unlink(run + '/served.sock')"
    answers = "answers = [b'HTTP/1.1 204 No Content', b'HTTP/1.1 204 No Content', b'HTTP/1.1 503 No']"
    next_one = "(answers.pop(0) if len(answers) > 1 else answers[0]) + b'\\r\\n\\r\\n'"
    child = f"{unlink}\n{answers}\n{SERVING.replace('ANSWER', next_one)}"
    probe = {"by": "http", "socket": "served.sock"}
    liveness = {"probe": probe, "every_s": 0.02, "failures": 3}
    spec = component("server", child, readiness=probe, liveness=liveness)
    async with keeping(run, spec) as watched:
        await until(lambda: watched["server"].restarts)
        assert "not alive, asked 3 times: GET /ready answers 'HTTP/1.1 503 No'" in watched.alerts[0][2]
        assert events()[:2] == ["server started", "server stopped"]


async def test_a_component_that_says_it_lives_is_left_alone(run, component, until, events) -> None:
    """Fifty beats, several times the deadline, and not one restart."""
    beating = (
        "note('ready'); say('READY=1')\nfor beat in range(50): time.sleep(0.02); say('WATCHDOG=1')\nnote('beaten')"
    )
    liveness = {"probe": {"by": "notify"}, "every_s": 0.15, "failures": 2}
    async with keeping(run, component("alive", f"{beating}\nwhile True: signal.pause()", liveness=liveness)) as watched:
        await until(lambda: "alive beaten" in events())
        assert watched["alive"].restarts == 0
        assert watched["alive"].state == "ready"


async def test_a_child_that_ignores_sigterm_is_killed_after_its_grace(run, component, until) -> None:
    """SIGTERM, then SIGKILL: `stop` returns all the same."""
    stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + "say('READY=1')\nwhile True: signal.pause()"
    async with keeping(run, component("stubborn", stubborn, stop_grace_s=0.1)) as watched:
        await until(lambda: watched.keeper.ready)
    assert watched["stubborn"].state == "stopped"


async def test_what_a_component_leaves_behind_does_not_keep_its_lock(run, component, until) -> None:
    """A forked grandchild that inherited the lock is killed with its group, and the restart goes through."""
    child = "os.fork() == 0 and signal.pause()\n" + "note('ready'); say('READY=1')\nwhile True: signal.pause()"
    async with keeping(run, component("parent", child)) as watched:
        await until(lambda: watched.keeper.ready)
        first = watched["parent"].pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await until(lambda: watched["parent"].restarts == 1 and watched.keeper.ready)


async def test_a_notification_from_a_stranger_is_ignored(run, component, until) -> None:
    """Only the component's own session can say that it is ready."""
    async with keeping(run, component("mute", "note('up')\nwhile True: signal.pause()")) as watched:
        await until(lambda: watched["mute"].state == "starting")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"READY=1", str(run / "notify.sock"))
            stranger.sendto(b"READY=1", str(run / "notify.sock"))
        await anyio.wait_all_tasks_blocked()
        assert watched["mute"].state == "starting"


async def test_a_log_is_bounded(run, component, until) -> None:
    """The file is emptied at its limit, and the last part is kept beside it."""
    chatty = "say('READY=1')\nprint('x' * 99999, flush=True)\nwhile True: signal.pause()"
    async with keeping(run, component("chatty", chatty, log_max_bytes=4096)):
        older = run / "components" / "chatty.log.1"
        await until(older.exists)
        await until(lambda: (run / "components" / "chatty.log").stat().st_size <= 4096)
        assert older.stat().st_size == 4096

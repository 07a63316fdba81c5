"""The care of components beyond a plain restart: probes by command and log, groups, what outlives a keeper."""

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import anyio
import msgspec
import pytest

from agt.supervisor.components import ComponentSpec, Keeper
from agt.supervisor.components._files import ComponentFiles
from agt.supervisor.components._order import Order
from agt.supervisor.view import ProcessView

HELD = {"delay_initial_s": 0.01, "delay_max_s": 0.02, "budget": 2, "hold_down_s": 0.2}
UP = "while True: signal.pause()"


class Watched:
    """A running keeper with what it told."""

    def __init__(self, run: Path, specs: tuple[ComponentSpec, ...]) -> None:
        self.alerts: list[tuple[str, str, str]] = []
        self.happened: list[tuple[str, str]] = []
        self.keeper = Keeper(
            specs,
            run=run,
            rng=Random(1),
            on_alert=lambda *alert: self.alerts.append(alert),
            on_happened=lambda *what: self.happened.append(what),
        )

    def __getitem__(self, name: str) -> ProcessView:
        return next(view for view in self.keeper.views if view.name == name)


@asynccontextmanager
async def keeping(run: Path, *specs: ComponentSpec, leave: bool = False) -> AsyncIterator[Watched]:
    """Run a keeper for the length of a block; then stop it, or leave the components as one that is killed does."""
    watched = Watched(run, specs)
    async with anyio.create_task_group() as group:
        group.start_soon(watched.keeper.run)
        yield watched
        if leave:
            group.cancel_scope.cancel()
        else:
            with anyio.fail_after(15):
                await watched.keeper.stop()


async def test_a_command_says_whether_it_is_ready(run, component, until) -> None:
    """Status 0 is ready; before that, the last line it printed is the reason."""
    ask = f"import os, sys; print('no token yet'); sys.exit(not os.path.exists({str(run / 'token')!r}))"
    probe = {"by": "command", "command": [sys.executable, "-I", "-S", "-c", ask], "every_s": 0.02}
    spec = component("asked", f"note('up')\n{UP}", readiness=probe, ready_within_s=10.0)
    async with keeping(run, spec) as watched:
        await until(lambda: watched["asked"].state == "starting")
        (run / "token").touch()
        await until(lambda: watched.keeper.ready)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (
            [sys.executable, "-I", "-S", "-c", "print('no'); print('no token'); raise SystemExit(3)"],
            "status 3: no token",
        ),
        (["/nonexistent/ask"], "/nonexistent/ask can't be started: No such file"),
        (["sleep", "60"], "sleep does not end within 0.1 s"),
    ],
)
async def test_a_command_that_says_no_is_the_reason(run, component, until, command, why) -> None:
    """Another status, no such program, no end: none of them is ready."""
    probe = {"by": "command", "command": command, "every_s": 0.02, "timeout_s": 0.1}
    async with keeping(run, component("asked", UP, readiness=probe, ready_within_s=0.5)) as watched:
        await until(lambda: watched.alerts)
        assert why in watched.alerts[0][2]


async def test_a_line_in_its_output_says_that_it_is_ready(run, component, until) -> None:
    """Only a line of this start counts: the one that is left from the last doesn't."""
    probe = {"by": "log", "pattern": "listening on port [0-9]+"}
    (run / "components").mkdir()
    (run / "components" / "talker.log").write_text("listening on port 1\n")
    silent = component("talker", f"note('up')\n{UP}", readiness=probe, ready_within_s=0.3)
    async with keeping(run, silent) as watched:
        await until(lambda: watched.alerts)
        assert "wrote no line with 'listening on port [0-9]+' within 0.3 s" in watched.alerts[0][2]
    talking = component("talker", f"print('listening on port 2', flush=True)\n{UP}", readiness=probe)
    async with keeping(run, talking) as watched:
        await until(lambda: watched.keeper.ready)


async def test_dependents_wait_through_a_restart(run, component, until, events) -> None:
    """Both die; the dependent is started only when what it depends on is ready again."""
    slow = "time.sleep(0.2)\nnote('ready'); say('READY=1')\nwhile True: signal.pause()"
    specs = [component("base", slow), component("user", depends_on=("base",))]
    async with keeping(run, *specs) as watched:
        await until(lambda: watched.keeper.ready)
        for name in ("user", "base"):
            os.kill(watched[name].pid, signal.SIGKILL)
        await until(lambda: watched["base"].restarts == watched["user"].restarts == 1 and watched.keeper.ready)
    again = [line for line in events() if not line.endswith("stopped")][4:]
    assert again == ["base started", "base ready", "user started", "user ready"]


async def test_a_group_falls_and_comes_back_together(run, component, until, events) -> None:
    """One dies: the others are ended in reverse order and start again in order; a stranger to the group goes on."""
    specs = [
        component("a", group="media"),
        component("b", group="media", depends_on=("a",)),
        component("c", group="media", depends_on=("b",)),
        component("other"),
    ]
    async with keeping(run, *specs) as watched:
        await until(lambda: watched.keeper.ready)
        other, before = watched["other"].pid, len(events())
        os.kill(watched["b"].pid, signal.SIGKILL)
        await until(lambda: len(events()) >= before + 8 and watched.keeper.ready)
        told = [line for line in events()[before:] if not line.endswith("ready")]
        assert told == ["c stopped", "a stopped", "a started", "b started", "c started"]
        assert watched["other"].pid == other
    assert [alert[1] for alert in watched.alerts] == ["b"]
    assert watched.happened == [("restarts", "b")]


async def test_a_hold_down_tries_again_by_itself(run, component, until, events) -> None:
    """When it has passed, with a fresh budget; each one is an escalation and a happening."""
    spec = component("crasher", "sys.exit(3)", restart=HELD)
    async with keeping(run, spec) as watched:
        await until(lambda: watched.happened.count(("hold_downs", "crasher")) == 2)
    assert events()[:4] == ["crasher started"] * 4
    assert [severity for severity, _, _ in watched.alerts[:4]] == ["warn", "escalate"] * 2


async def test_a_killed_supervisor_grants_no_fresh_budget(run, component, until, events) -> None:
    """Four failures under the first, the fifth under the second: held down, and so it is under the third."""
    lasting = {**HELD, "budget": 3, "hold_down_s": 300.0, "delay_initial_s": 0.2, "delay_max_s": 0.2}
    spec = component("crasher", "sys.exit(3)", restart=lasting)
    for failures in (1, 2):
        async with keeping(run, spec, leave=True) as watched:
            await until(lambda failures=failures: len(watched.alerts) >= 1)
            assert len(events()) == failures
    async with keeping(run, spec, leave=True) as watched:
        await until(lambda: watched["crasher"].state == "held-down")
        assert [severity for severity, _, _ in watched.alerts] == ["escalate"]
    async with keeping(run, spec) as watched:
        await until(lambda: watched["crasher"].state == "held-down")
        assert "since before this supervisor" in watched["crasher"].detail
    assert events() == ["crasher started"] * 3


async def test_a_death_that_nobody_watched_counts(run, component, until) -> None:
    """It is a failure like any other, and is told."""
    async with keeping(run, component("gateway"), leave=True) as watched:
        await until(lambda: watched.keeper.ready)
    pid = watched["gateway"].pid
    assert pid is not None
    descriptor = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    await anyio.wait_readable(descriptor)
    os.close(descriptor)
    os.waitid(os.P_PID, pid, os.WEXITED)  # noqa: ASYNC222 - it has ended, so nothing is waited for.
    async with keeping(run, component("gateway")) as watched:
        await until(lambda: watched.keeper.ready)
        assert watched["gateway"].restarts == 1
        assert "died while no supervisor was there" in watched.alerts[0][2]


def rest(**fields: object) -> Order:
    """An operator's order."""
    return msgspec.convert({"state": "stopped", "at": 1.0, "by": "ann", **fields}, Order)


async def test_an_order_to_rest_outlives_the_supervisor(run, component, until, events) -> None:
    """Stopped by one, not started by the next, back on request."""
    async with keeping(run, component("gateway")) as watched:
        await until(lambda: watched.keeper.ready)
        watched.keeper.find("gateway").rest(rest())
        await until(lambda: watched["gateway"].state == "stopped")
        assert watched["gateway"].detail.startswith("stopped by ann on 1970-01-01")
    async with keeping(run, component("gateway")) as watched:
        await until(lambda: watched["gateway"].state == "stopped")
        assert watched["gateway"].order == "stopped"
        assert events().count("gateway started") == 1
        watched.keeper.find("gateway").wake()
        await until(lambda: watched["gateway"].state == "ready")
        assert watched["gateway"].restarts == 0


async def test_what_was_left_running_against_an_order_is_ended(run, component, until, events) -> None:
    """The supervisor was killed between order and stop."""
    async with keeping(run, component("gateway"), leave=True) as watched:
        await until(lambda: watched.keeper.ready)
    (run / "components" / "gateway.order.json").write_bytes(msgspec.json.encode(rest()))
    async with keeping(run, component("gateway")) as watched:
        await until(lambda: watched["gateway"].state == "stopped")
        assert events()[-1] == "gateway stopped"


async def test_a_restart_on_purpose_is_no_failure(run, component, until) -> None:
    """Another process, no alert, nothing counted."""
    async with keeping(run, component("gateway")) as watched:
        await until(lambda: watched.keeper.ready)
        first = watched["gateway"].pid
        watched.keeper.find("gateway").restart("asked for")
        await until(lambda: watched["gateway"].pid not in {first, None} and watched.keeper.ready)
        assert watched["gateway"].restarts == 0
    assert watched.alerts == []
    assert ComponentFiles(run / "components", "gateway").read_past().failures.failed_at == ()


async def test_later_stages_do_not_wait_for_what_was_decommissioned(run, component, until) -> None:
    """A stopped one is waited for, and a decommissioned one only by those that name it."""
    specs = [
        component("v4"),
        component("daemon", stage="daemon"),
        component("named", stage="daemon", depends_on=("v4",)),
    ]
    (run / "components").mkdir()
    order = run / "components" / "v4.order.json"
    order.write_bytes(msgspec.json.encode(rest(state="decommissioned")))
    async with keeping(run, *specs) as watched:
        await until(lambda: watched["daemon"].state == "ready")
        assert watched["named"].detail == "waits for v4"
    order.write_bytes(msgspec.json.encode(rest()))
    async with keeping(run, *specs) as watched:
        await until(lambda: watched["v4"].state == "stopped")
        assert watched["daemon"].detail == "waits for v4"


async def test_what_runs_is_adopted_before_anything_is_waited_for(run, component, until, events) -> None:
    """Its dependency is down when the next supervisor comes: it is watched all the same, and ended with the rest."""
    specs = [component("base"), component("user", depends_on=("base",))]
    async with keeping(run, *specs, leave=True) as watched:
        await until(lambda: watched.keeper.ready)
    (run / "components" / "base.order.json").write_bytes(msgspec.json.encode(rest()))
    async with keeping(run, *specs) as watched:
        await until(lambda: watched["user"].state == "ready" and watched["base"].state == "stopped")
        assert watched["user"].detail == "adopted"
    assert events()[-1] == "user stopped"
    assert events().count("user started") == 1

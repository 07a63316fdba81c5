"""A supervisor that follows a script behind the real control API on a real Unix socket, and a screen attached to it."""

import contextlib
import math
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest
from textual.pilot import Pilot

from agt.supervisor.actions import Action, Refused
from agt.supervisor.control import serve_control
from agt.supervisor.view import (
    AlertView,
    BudgetView,
    DrillView,
    GateView,
    History,
    LedgerView,
    PhaseView,
    Preview,
    ProcessView,
    Receipt,
    RollbackView,
    RuntimeView,
    View,
)
from agt.tui._glyphs import UNICODE, Glyphs
from agt.tui.app import AgtApp

START = 1_800_000_000.0
"""The script's first instant, in seconds since the epoch."""

PHASES = (
    ("dark-launch", 0.0, 12.0, "24h", "shadow"),
    ("canary-10", 10.0, 18.0, "3d", ""),
    ("canary-25", 25.0, 24.0, "4d", ""),
    ("canary-50", 50.0, 42.0, "7d", ""),
    ("canary-75", 75.0, 18.0, "3d", ""),
    ("canary-90", 90.0, 18.0, "3d", ""),
    ("cutover", 100.0, 6.0, "1d", ""),
    ("validation", 100.0, 30.0, "30d", ""),
    ("deprecation", 100.0, 10.0, "10d", "legacy warns"),
    ("removal", 100.0, 14.0, "14d", "legacy refuses"),
)


def scripted_phases(active: int, carried_s: float) -> tuple[PhaseView, ...]:
    """Return document 004's ladder with one phase active."""
    return tuple(
        PhaseView(
            name=name,
            percent=percent,
            soak_s=soak_s,
            planned=planned,
            note=note,
            state="done" if index < active else "active" if index == active else "pending",
            carried_s=soak_s if index < active else carried_s if index == active else 0.0,
        )
        for index, (name, percent, soak_s, planned, note) in enumerate(PHASES)
    )


def _wave(base: float, swing: float, count: int, step: float) -> tuple[float | None, ...]:
    return tuple(
        base + swing * math.sin(index * step) + swing * 0.4 * math.sin(index * step * 3.7) for index in range(count)
    )


def scripted_gates() -> tuple[GateView, ...]:
    """Return one gate of each kind of verdict."""
    return (
        GateView(name="success >= 99.9 %", verdict="passed", reason="1 of 3 days seen", value="100.0 %", samples=7214),
        GateView(name="samples >= 10,000", verdict="pending", reason="about 40 s more", value="7,214", samples=7214),
        GateView(name="error budget > 50 %", verdict="passed", reason="lowest is latency", value="91 %"),
        GateView(name="way back rehearsed", verdict="inconclusive", reason="not since canary-10"),
    )


def scripted_runtimes() -> tuple[RuntimeView, ...]:
    """Return both runtimes with traffic."""
    return (
        RuntimeView(
            name="legacy",
            role="control",
            devices=38,
            share=0.76,
            success=0.9871,
            observed=True,
            p50_s=0.091,
            p99_s=0.244,
            rate=820.0,
            in_flight=3,
        ),
        RuntimeView(
            name="reliable",
            role="candidate",
            devices=12,
            share=0.24,
            success=1.0,
            p50_s=0.09,
            p99_s=0.239,
            rate=270.0,
            in_flight=4,
        ),
    )


def scripted_view() -> View:
    """Return a picture in the middle of canary-25, with every panel filled."""
    return View(
        version=41,
        at=START,
        plan="cync-tcp",
        status="running",
        phase="canary-25",
        squeeze=14400.0,
        percentage=25.0,
        selector_generation=7,
        phases=scripted_phases(2, 9.0),
        gates=scripted_gates(),
        runtimes=scripted_runtimes(),
        history=(
            History(series="legacy p99", points=_wave(0.244, 0.06, 120, 0.31)),
            History(series="reliable p99", points=(None,) * 30 + _wave(0.2, 0.03, 90, 0.27)),
            History(series="legacy rate", points=_wave(820, 90, 120, 0.17)),
            History(series="reliable rate", points=(None,) * 30 + _wave(270, 40, 90, 0.21)),
        ),
        budgets=(
            BudgetView(objective="toggle-success", left=0.91),
            BudgetView(objective="latency", left=0.74),
            BudgetView(objective="packet-loss", left=1.0),
            BudgetView(objective="decode-errors", left=None),
        ),
        alerts=(
            AlertView(
                id=3, at=START - 8, severity="warn", source="gateway", message="p95 412 ms > 400 ms (1 of 3)", open=True
            ),
            AlertView(id=2, at=START - 233, severity="info", source="selector", message="25 % by operator", open=False),
            AlertView(
                id=1, at=START - 260, severity="degraded", source="fleet", message="3 devices redialled", open=False
            ),
        ),
        processes=(
            ProcessView(name="fleet", stage="sources", state="ready", pid=4711),
            ProcessView(name="gateway", stage="gateway", state="ready", pid=4712, restarts=1),
            ProcessView(name="daemon", stage="daemon", state="waiting", detail="waits for gateway to be ready"),
        ),
        ledger=(
            LedgerView(runtime="legacy", accepted=48_211, delivered=0, written=48_208, not_delivered=3, in_flight=0),
            LedgerView(runtime="reliable", accepted=7_218, delivered=7_214, in_flight=4, resends=12),
        ),
        drills=(
            DrillView(name="latency", says="adds 2 s to every frame of the candidate"),
            DrillView(name="kill-gateway", says="kills the gateway's process"),
        ),
    )


class Script:
    """The supervisor's part: shows a view, writes down what it is asked, and does the plain thing."""

    def __init__(self) -> None:
        self.current = scripted_view()
        self.acted: list[Action] = []
        self.previewed: list[Action] = []
        self.refusal: Refused | None = None
        self.hold_previews: anyio.Event | None = None
        self._wake = anyio.Event()

    def view(self) -> View:
        return self.current

    def change(self, **sections: object) -> None:
        """Make the next version and wake whoever follows."""
        self.current = msgspec.structs.replace(
            self.current, **{"version": self.current.version + 1, "at": self.current.at + 1.0} | sections
        )
        wake, self._wake = self._wake, anyio.Event()
        wake.set()

    async def changes(self) -> AsyncIterator[View]:
        while True:
            wake = self._wake
            yield self.current
            await wake.wait()

    async def preview(self, action: Action) -> Preview:
        if self.hold_previews is not None:
            await self.hold_previews.wait()
        self.previewed.append(action)
        says = "moves 12 devices; up to 7 commands on legacy can't be confirmed"
        return Preview(action=action.action, says=says, moves=12, unconfirmed=7, version=self.current.version)

    async def act(self, action: Action) -> Receipt:
        if self.refusal is not None:
            raise self.refusal
        if action.version is not None and action.version != self.current.version:
            raise Refused("stale", "the picture has changed")
        self.acted.append(action)
        self._play(action)
        return Receipt(action=action.action, says=f"{action.action} done", routed_ms=12.4, settled_ms=310.0, moved=12)

    def _play(self, action: Action) -> None:
        if action.action == "rollback":
            self.roll_back("operator")
        elif action.action == "hold":
            self.change(status="held", reason="by operator")
        elif action.action == "resume":
            self.change(status="running", reason="")
        elif action.action == "kill-switch-on":
            self.change(kill_switch=True, status="killed", reason="by operator")
        elif action.action == "set":
            self.change(percentage=action.percentage)
        else:
            self.change()

    def roll_back(self, rule: str) -> None:
        """Go back to control, as the engine would show it."""
        phases = tuple(
            msgspec.structs.replace(phase, state="rolled-back") if phase.state == "active" else phase
            for phase in self.current.phases
        )
        legacy, reliable = self.current.runtimes
        self.change(
            status="rolled-back",
            reason=f"rule {rule}",
            percentage=0.0,
            phases=phases,
            runtimes=(
                msgspec.structs.replace(legacy, share=1.0, devices=50),
                msgspec.structs.replace(reliable, share=0.0, devices=0, in_flight=0),
            ),
            rollbacks=(
                RollbackView(
                    at=self.current.at, rule=rule, from_phase=self.current.phase, to_phase="control",
                    routed_ms=12.4, settled_ms=310.0, moved=12, resent=3, indeterminate=1,
                ),
            ),
        )  # fmt: skip


class Stage:
    """A script that can be served, taken away and served again at one socket."""

    def __init__(self, path: Path, script: Script) -> None:
        self.path, self.script = path, script

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Serve it while the block runs."""
        async with anyio.create_task_group() as tasks:
            await tasks.start(serve_control, self.script, self.path)
            yield
            tasks.cancel_scope.cancel()

    def app(self, *, glyphs: Glyphs = UNICODE, now: Callable[[], float] = lambda: START, **options: Any) -> AgtApp:
        """Return a screen that attaches to it, with a clock that stands still."""
        return AgtApp(self.path, glyphs=glyphs, now=now, **options)


def screen_text(app: AgtApp) -> str:
    """Return what stands on the terminal, line by line."""
    width, height = app.size
    strips = app.screen._compositor.render_strips(app.size)
    lines = [strip.crop(0, width).text for strip in strips]
    assert len(lines) == height
    return "\n".join(lines)


async def wait_until(pilot: Pilot[None], condition: Callable[[], object], what: str = "") -> None:
    """Let the screen work until something holds; fail in words when it never does."""
    with anyio.move_on_after(8):
        while not condition():
            await pilot.pause(0.02)
        await pilot.pause()
        return
    raise AssertionError(f"never came: {what or 'the condition'}\n{screen_text(pilot.app)}")


async def wait_for_text(pilot: Pilot[None], text: str) -> None:
    """Let the screen work until a text stands on it."""
    await wait_until(pilot, lambda: text in screen_text(pilot.app), text)


@contextlib.asynccontextmanager
async def attached(stage: Stage, size: tuple[int, int] = (80, 24), **options: object) -> AsyncIterator[Pilot[None]]:
    """Serve the stage and yield a pilot whose screen shows it."""
    async with stage.served(), stage.app(**options).run_test(size=size, notifications=True) as pilot:
        await wait_for_text(pilot, "live")
        await wait_for_text(pilot, stage.script.current.runtimes[0].name)
        yield pilot


def notices(pilot: Pilot[None]) -> str:
    """Return what the notifications say."""
    return "\n".join(notice.message for notice in pilot.app._notifications)


@pytest.fixture
def screens() -> SimpleNamespace:
    """Hand the helpers to the tests, which can't import this file."""
    return SimpleNamespace(
        attached=attached, notices=notices, text=screen_text, wait_for_text=wait_for_text, wait_until=wait_until
    )


@pytest.fixture
def anyio_backend() -> str:
    """Textual and uvicorn run on asyncio."""
    return "asyncio"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Return a stage, in a fixed time zone."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    return Stage(tmp_path / "control.sock", Script())

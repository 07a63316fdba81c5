"""`agt-tui` as a process: what it says when it can't, and how it looks after a demo."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from agt.tui._demo import Demo, DemoOptions, DemoUnusable, demo_command
from agt.tui._glyphs import UNICODE

STAND_IN = """
import pathlib, sys
import anyio
from agt.supervisor.control import serve_control
from agt.supervisor.view import Receipt, View

class Backend:
    down = anyio.Event()
    def view(self):
        return View(version=1, at=0.0, plan="stand-in", status="running")
    async def changes(self):
        yield self.view()
    async def act(self, action):
        if action.action == "down":
            self.down.set()
        return Receipt(action=action.action, says="going down")
    async def preview(self, action):
        raise NotImplementedError

async def main():
    async with anyio.create_task_group() as tasks:
        await tasks.start(serve_control, backend := Backend(), pathlib.Path(sys.argv[1], "control.sock"))
        await backend.down.wait()
        pathlib.Path(sys.argv[1], "went-down").touch()
        tasks.cancel_scope.cancel()

anyio.run(main)
"""


def stand_in(_options: DemoOptions, run_dir: Path) -> list[str]:
    """Return a command that serves a control API and goes down when told to."""
    return [sys.executable, "-c", STAND_IN, str(run_dir)]


def run(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, without a terminal."""
    command = [sys.executable, "-m", "agt.tui", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, env=os.environ | (environment or {}), check=False
    )


def test_without_a_supervisor_it_says_so_and_ends(tmp_path: Path) -> None:
    """One sentence with the way out, status 1, no screen and no traceback."""
    done = run(environment={"AGT_RUN_DIR": str(tmp_path)})
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"agt-tui: no supervisor answers on {tmp_path}/control.sock (no such file or directory); "
        "start one with `agt up PLAN`, or try `agt-tui --demo`\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--demo", "--attach", "x"], "leave --attach away"),
        (["--demo", "--devices", "0"], "at least 1"),
        (["--demo", "--devices", "many"], "invalid int value"),
        (["--colour"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_is_status_2(arguments: list[str], says: str) -> None:
    """Said in words before anything is started."""
    done = run(*arguments)
    assert done.returncode == 2
    assert says in done.stderr


def test_an_unusable_run_directory_starts_nothing(tmp_path: Path) -> None:
    """A file in its place: one sentence, status 1."""
    (tmp_path / "file").touch()
    done = run("--demo", "--run-dir", str(tmp_path / "file" / "run"))
    assert done.returncode == 1
    assert "name another one" in done.stderr
    assert "Traceback" not in done.stderr


def test_starting_is_quick_and_loads_no_screen_before_the_demo() -> None:
    """The child is started before Textual and httpx are loaded."""
    code = "import sys, agt.tui.__main__; print(sorted({'textual', 'httpx', 'anyio', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_screen_imports_nothing_of_the_other_parts() -> None:
    """It knows the supervisor's client and types, never transport, router or chaos."""
    code = (
        "import sys, agt.tui.app, agt.tui._demo; "
        "print([m for m in sys.modules if m.startswith(('agt.transport', 'agt.router', 'agt.chaos'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_demos_command_carries_every_option(tmp_path: Path) -> None:
    """What is asked for is passed on."""
    command = demo_command(DemoOptions(duration="60s", devices=8, seed=7), tmp_path)
    assert command[1:4] == ["-m", "agt.chaos.demo", "--serve"]
    assert command[4:] == ["--run-dir", str(tmp_path), "--duration", "60s", "--devices", "8", "--seed", "7"]


async def test_a_demo_is_shown_and_ended_through_its_control_api(screens, stage, tmp_path: Path) -> None:
    """The screen comes alive by itself; leaving asks, tells the supervisor to go down and waits for it."""
    from agt.tui.app import AgtApp  # noqa: PLC0415 - loaded by the fixture already.

    demo = Demo.start(DemoOptions(run_dir=tmp_path / "run"), stand_in)
    app = AgtApp(demo.socket, companion=demo, glyphs=UNICODE)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await screens.wait_for_text(pilot, "stand-in")
            await pilot.press("q")
            await screens.wait_for_text(pilot, "End the demo?")
            await pilot.press("y")
            await screens.wait_until(pilot, lambda: app._exit, "the end")
    finally:
        await anyio.to_thread.run_sync(demo.stop)
    assert (tmp_path / "run" / "went-down").exists()


def test_stopping_a_demo_asks_it_to_go_down(tmp_path: Path) -> None:
    """It ends by its own means, and the last line says where its records are."""
    demo = Demo.start(DemoOptions(run_dir=tmp_path / "run"), stand_in)
    wait_for(demo.socket)
    demo.stop()
    assert (tmp_path / "run" / "went-down").exists()
    assert demo.failed is False
    assert demo.epitaph() == f"the run's records are in {tmp_path / 'run'}"
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_a_demo_that_does_not_answer_is_ended_by_signal(tmp_path: Path) -> None:
    """No control API, no matter: it is gone when stop returns."""
    demo = Demo.start(DemoOptions(run_dir=tmp_path / "run"), lambda *_: [sys.executable, "-c", "input() or 1"])
    demo._process.wait(10)
    assert demo.failure().startswith("the demo ended (exit status 1): EOFError")
    demo.stop()
    assert demo.failed
    assert "the demo failed: EOFError" in demo.epitaph()
    silent = Demo.start(
        DemoOptions(run_dir=tmp_path / "silent"), lambda *_: [sys.executable, "-c", "import time; time.sleep(60)"]
    )
    silent.stop()
    assert silent._process.returncode == -signal.SIGTERM
    assert silent.failed is False


def test_it_ends_when_its_terminal_is_closed_though_nobody_says_so(tmp_path: Path) -> None:
    """Of a terminal that isn't the controlling one no SIGHUP comes; nothing may be left that waits or spins."""
    demo = Demo.start(DemoOptions(run_dir=tmp_path / "run"), stand_in)
    wait_for(demo.socket)
    ours, its = pty.openpty()
    command = [sys.executable, "-m", "agt.tui", "--attach", str(demo.socket)]
    with subprocess.Popen(
        command, stdin=its, stdout=its, stderr=its, start_new_session=True, env=os.environ | {"TERM": "xterm"}
    ) as screen:
        try:
            os.close(its)
            drawn = b""
            while b"stand-in" not in drawn:
                drawn += os.read(ours, 4096)
            os.close(ours)
            assert screen.wait(10) == 128 + signal.SIGHUP
        finally:
            screen.kill()
            demo.stop()


def test_an_unusable_directory_is_an_error_in_words(tmp_path: Path) -> None:
    """Nothing is started."""
    (tmp_path / "file").touch()
    with pytest.raises(DemoUnusable, match="name another one"):
        Demo.start(DemoOptions(run_dir=tmp_path / "file" / "x"), stand_in)


def wait_for(path: Path) -> None:
    """Wait until a file is there, at most ten seconds."""
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} never came"
        os.sched_yield()

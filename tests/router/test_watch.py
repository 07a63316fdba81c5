"""Real files under a real watcher: edits arrive, bad ones change nothing, a kill on disk counts."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from agt.router import Route, Router, Runtimes, Selector, SelectorFile
from agt.router.watching import EnvironmentFile, look, watch

RUNTIMES = Runtimes(control="legacy", candidate="reliable")
SELECTOR = Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=10.0))

pytestmark = pytest.mark.anyio


async def until(router: Router, condition: Callable[[], bool]) -> None:
    """Wait until the watcher has done its work."""
    with anyio.fail_after(10):
        while not condition():
            changed = anyio.Event()
            router.on_change(changed.set)
            await changed.wait()


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[Router, SelectorFile]]:
    """A router and its files in a folder."""
    file = SelectorFile(folder / "selector.toml")
    file.write(SELECTOR, expected=0)
    router = Router(file, runtimes=RUNTIMES)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch, router, file, EnvironmentFile(folder / "agt.env", {}))
        await anyio.wait_all_tasks_blocked()
        yield router, file
        tasks.cancel_scope.cancel()


async def test_written_selector_is_applied(tmp_path: Path) -> None:
    """An atomic replace is seen, and so is an edit in place."""
    async with watched(tmp_path) as (router, file):
        file.write(SELECTOR.with_route(percentage=25.0), expected=1)
        await until(router, lambda: router.status().percentage == 25.0)
        file.path.write_text(file.path.read_text().replace("25.0", "30.0").replace("generation = 2", "generation = 3"))
        await until(router, lambda: router.status().percentage == 30.0)
        assert router.status().generation == 3


async def test_bad_edit_changes_nothing_and_says_why(tmp_path: Path) -> None:
    """The route stays, status names the key; the next good edit is taken."""
    async with watched(tmp_path) as (router, file):
        good = file.path.read_text()
        file.path.write_text(good.replace("percentage", "percentag", 1))
        await until(router, lambda: router.status().selector == "bad")
        status = router.status()
        assert status.percentage == 10.0
        assert "runtime.percentag: unknown key; did you mean percentage?" in status.problems
        file.path.write_text(good.replace("10.0", "12.5"))
        await until(router, lambda: router.status().percentage == 12.5)
        assert router.status().problems == ()


async def test_kill_on_disk_sends_everything_to_control(tmp_path: Path) -> None:
    """Another process, or a hand, renames the selector aside; putting one back ends it."""
    async with watched(tmp_path) as (router, file):
        file.kill()
        await until(router, lambda: bool(router.killed))
        assert router.status().percentage == 0.0
        file.write(SELECTOR, expected=1, after_kill=True)
        await until(router, lambda: not router.killed)
        assert router.status().percentage == 10.0


async def test_removed_selector_is_control_without_a_latch(tmp_path: Path) -> None:
    """After a moment of grace, in which an editor might put it back."""
    async with watched(tmp_path) as (router, file):
        file.path.unlink()
        await until(router, lambda: router.status().selector == "missing")
        assert router.explain("a").reason == "no readable selector"
        assert not router.killed


async def test_env_file_works_on_a_live_process(tmp_path: Path) -> None:
    """Setting a variable to 0 there takes everything back; a broken line changes nothing."""
    async with watched(tmp_path) as (router, _):
        env = tmp_path / "agt.env"
        env.write_text("CANARY_PERCENTAGE=0\n")
        await until(router, lambda: router.status().percentage == 0.0)
        env.write_text("CANARY_PERCENTAGE\n")
        await until(router, lambda: bool(router.status().problems))
        assert router.status().percentage == 0.0
        env.unlink()
        await until(router, lambda: router.status().percentage == 10.0)


def test_env_file_goes_before_the_process_environment(tmp_path: Path) -> None:
    """As systemd's EnvironmentFile does; without the line the process's own value counts again."""
    file = tmp_path / "agt.env"
    environment = EnvironmentFile(file, {"CANARY_PERCENTAGE": "5", "OTHER": "x"})
    assert environment.read() == ({"CANARY_PERCENTAGE": "5", "OTHER": "x"}, "")
    file.write_text("CANARY_PERCENTAGE=1\n")
    assert environment.read()[0]["CANARY_PERCENTAGE"] == "1"
    file.write_bytes(b"\xff\xfe")
    variables, problem = environment.read()
    assert variables["CANARY_PERCENTAGE"] == "1"
    assert problem


async def test_selector_that_an_editor_replaces_slowly_is_not_missed(tmp_path: Path) -> None:
    """Absent for less than the grace: nobody moves."""
    file = SelectorFile(tmp_path / "selector.toml")
    file.write(SELECTOR, expected=0)
    router = Router(file, runtimes=RUNTIMES)
    text = file.path.read_text()
    file.path.unlink()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look, router, file)
        await anyio.wait_all_tasks_blocked()
        file.path.write_text(text)
    assert router.status().selector == "ok"
    assert router.status().percentage == 10.0

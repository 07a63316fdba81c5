"""The runner over real sockets and a real router: record before forward, act before record when going back."""

import os
import subprocess
from contextlib import asynccontextmanager

import anyio
import pytest

from agt.router import Ledger, Router, Runtimes, SelectorFile
from agt.router.serving import create_app, serve
from agt.router.watching import watch
from agt.supervisor.actions import Action, Refused
from agt.supervisor.records import StoreUnavailable
from agt.supervisor.rollout import Rollout, Status, parse_plan

pytestmark = pytest.mark.anyio

PLAN = """
schema = 1
name = "runner"
checks_every = "200ms"
[runtimes]
control = "old"
candidate = "new"
[[objective]]
name = "success"
metric = "success_ratio"
at_least = 0.99
[[phase]]
name = "all-old"
soak = "1h"
[[phase.gate]]
metric = "samples"
at_least = 1
[[phase]]
name = "half"
route = { percent = 50 }
soak = "1h"
"""


@pytest.fixture
def anyio_backend():
    """Uvicorn runs on asyncio only."""
    return "asyncio"


@asynccontextmanager
async def _rollout(run):
    """A router on its socket, watching its selector, and a rollout beside it that has begun."""
    names = Runtimes(control="old", candidate="new")
    file = SelectorFile(run / "selector.toml", runtimes=names)
    router = Router(file, runtimes=names, ledger=Ledger(("old", "new")))
    changed = anyio.Event()

    def on_change():
        nonlocal changed
        changed.set()
        changed = anyio.Event()

    rollout = Rollout(parse_plan(PLAN), run, on_change=on_change)
    async with anyio.create_task_group() as group:
        group.start_soon(router.run)
        group.start_soon(serve, create_app(router), run / "gateway.sock")
        group.start_soon(watch, router, file)
        await group.start(rollout.run)
        with anyio.fail_after(10):
            while rollout.state.status is not Status.RUNNING:
                await changed.wait()
        yield rollout, file
        group.cancel_scope.cancel()


async def test_forward_is_refused_without_a_record_and_nothing_moves(tmp_path, monkeypatch):
    """When the journal can't be written, an operator's advance is refused and the selector stays as it is."""
    async with _rollout(tmp_path) as (rollout, file):

        async def full(_entry):
            raise StoreUnavailable("the disk is full")

        monkeypatch.setattr(rollout._recorder, "decide", full)
        before = file.read().selector
        with pytest.raises(Refused, match="disk is full") as caught:
            await rollout.act(Action(action="advance", reason="test", version=9))
        assert caught.value.code == "unavailable"
        assert file.read().selector == before
        assert rollout.sections()["phase"] == "all-old"


async def test_forward_needs_the_version_and_back_does_not(tmp_path):
    """Advance without a version is stale; hold, rollback and kill need none and are answered with times."""
    async with _rollout(tmp_path) as (rollout, file):
        with pytest.raises(Refused, match="needs the version"):
            await rollout.act(Action(action="advance", reason="test"))
        await rollout.act(Action(action="advance", reason="test", version=9))
        assert file.read().selector.percentage == 50
        receipt = await rollout.act(Action(action="rollback", by="mia"))
        assert receipt.routed_ms is not None
        assert file.read().selector.percentage == 0
        assert rollout.sections()["rollbacks"][-1].from_phase == "half"
        assert rollout.sections()["status"] == "rolled-back"


async def test_preview_is_in_words_and_changes_nothing(tmp_path):
    """A preview asks the router and leaves selector and state alone."""
    async with _rollout(tmp_path) as (rollout, file):
        before = (file.read().selector, rollout.state)
        preview = await rollout.preview(Action(action="set", percentage=25.0))
        assert preview.says == "goes to 25 %; moves no device"
        assert (file.read().selector, rollout.state.generation) == (before[0], before[1].generation)


async def test_restarted_supervisor_goes_on_where_it_was(tmp_path):
    """Phase, generation and status come from the records."""
    async with _rollout(tmp_path) as (rollout, _):
        await rollout.act(Action(action="advance", reason="test", version=9))
        await rollout.act(Action(action="hold", by="mia"))
        before = rollout.state
    async with anyio.create_task_group() as group:
        again = Rollout(parse_plan(PLAN), tmp_path)
        await group.start(again.run)
        state = again.state
        assert (state.status, state.phase, state.generation) == (Status.HELD, 1, before.generation)
        group.cancel_scope.cancel()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tiny tmpfs needs root")
async def test_kill_and_rollback_work_on_a_full_disk(tmp_path):
    """With no byte left the kill renames the selector aside, and a rollback ends the same way: all on control."""
    for verb in ("kill-switch-on", "rollback"):
        run = tmp_path / verb
        run.mkdir()
        if _run("mount", "-t", "tmpfs", "-o", "size=4m", "agt-test", str(run)):
            pytest.skip("this kernel or container refuses to mount a tmpfs")
        try:
            async with _rollout(run) as (rollout, file):
                await rollout.act(Action(action="advance", reason="test", version=9))
                _fill(run / "filler")
                await rollout.act(Action(action=verb, by="mia"))
                assert file.read().selector is None
                assert (run / "selector.toml.killed").exists()
                assert rollout.state.percent == 0
        finally:
            assert _run("umount", str(run)) == 0


def _fill(path):
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def _run(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode

"""A rollout beside a real router on its socket, for tests of what the runner does with both."""

import time
from contextlib import asynccontextmanager

import anyio

from agt.router import Ledger, Router, Runtimes, SelectorFile
from agt.router.serving import create_app, serve
from agt.router.testing import ScriptedDevice, ScriptedPath
from agt.router.watching import watch
from agt.supervisor.rollout import Rollout, Status, parse_plan
from agt.transport import Barrier

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


class IdleDevice:
    """A device with a scripted path each way."""

    def __init__(self, name):
        self.name, self.far = name, ScriptedDevice()
        self.paths = {
            runtime: ScriptedPath(time.monotonic, self.far, barrier=Barrier.ACK, legacy=runtime == "old", ready=True)
            for runtime in ("old", "new")
        }


@asynccontextmanager
async def rollout_on(run, *devices, text=PLAN):
    """A router on its socket with idle devices, watching its selector, and a rollout beside it that has begun."""
    names = Runtimes(control="old", candidate="new")
    file = SelectorFile(run / "selector.toml", runtimes=names)
    router = Router(file, runtimes=names, ledger=Ledger(("old", "new")))
    for device in devices:
        router.attach(device.name, device.paths)
    changed = anyio.Event()

    def on_change():
        nonlocal changed
        changed.set()
        changed = anyio.Event()

    async def until(holds):
        with anyio.fail_after(10):
            while not holds():
                await changed.wait()  # At each check, and whenever something is shown anew.

    rollout = Rollout(parse_plan(text), run, on_change=on_change)
    async with anyio.create_task_group() as group:
        group.start_soon(router.run)
        group.start_soon(serve, create_app(router), run / "gateway.sock")
        group.start_soon(watch, router, file)
        await group.start(rollout.run)
        await until(lambda: rollout.state.status is Status.RUNNING)
        yield (rollout, router, until) if devices else (rollout, file)
        group.cancel_scope.cancel()

"""One rollout over two real routers: both follow, figures add up, and who is missing is named with why."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from agt.router import Ledger, Message, Router, Runtimes, SelectorFile
from agt.router.serving import create_app, serve
from agt.router.testing import ScriptedDevice, ScriptedPath
from agt.router.watching import watch
from agt.supervisor.actions import Action
from agt.supervisor.cli._explain import _from_gateways
from agt.supervisor.cli._show import status_lines
from agt.supervisor.rollout import Rollout, Status, parse_plan
from agt.supervisor.view import Receipt, View
from agt.transport import Barrier

pytestmark = pytest.mark.anyio

NAMES = Runtimes(control="old", candidate="new")
EAST, WEST = "gateway-east.sock", "gateway-west.sock"
PLAN = f"""
schema = 1
name = "two"
checks_every = "200ms"
routers = ["{EAST}", "{WEST}"]
[runtimes]
control = "old"
candidate = "new"
[[phase]]
name = "all-old"
soak = "1h"
[[phase.gate]]
metric = "samples"
at_least = 1
[[phase]]
name = "half"
route = {{ percent = 50 }}
soak = "1h"
"""


@pytest.fixture
def anyio_backend() -> str:
    """Uvicorn runs on asyncio only."""
    return "asyncio"


class Pair:
    """Two routers in a run directory, and the rollout over them."""

    def __init__(self, run: Path) -> None:
        self.run, self.routers = run, dict[str, Router]()
        self._changed = anyio.Event()
        self.rollout = Rollout(parse_plan(PLAN), run, on_change=self._tell)

    async def up(self, name: str, stack: AsyncExitStack, devices: tuple[str, ...]) -> anyio.CancelScope:
        """Bring a router up; cancelling what is returned takes it down."""
        file = SelectorFile(self.run / "selector.toml", runtimes=NAMES)
        router = self.routers[name] = Router(file, runtimes=NAMES, ledger=Ledger(("old", "new")))
        for device in devices:
            far = ScriptedDevice()
            paths = {
                runtime: ScriptedPath(anyio.current_time, far, barrier=Barrier.ACK, legacy=runtime == "old")
                for runtime in ("old", "new")
            }
            router.attach(device, paths)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        tasks.start_soon(router.run)
        await tasks.start(serve, create_app(router), self.run / name)
        tasks.start_soon(watch, router, file)
        return tasks.cancel_scope

    async def until(self, holds: Callable[[], bool]) -> None:
        """Look at each change until something holds."""
        with anyio.fail_after(10):
            while not holds():
                await self._changed.wait()

    async def act(self, name: str, **fields: object) -> Receipt:
        """Do what an operator asks."""
        return await self.rollout.act(Action(action=name, by="ana", version=10**12, **fields))  # type: ignore[arg-type]

    @property
    def view(self) -> View:
        """What an operator sees."""
        return View(version=1, at=0.0, **self.rollout.sections())

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


@asynccontextmanager
async def pair(run: Path) -> AsyncIterator[tuple[Pair, anyio.CancelScope]]:
    """Both routers up, the rollout begun; and what takes the western one down."""
    found = Pair(run)
    async with AsyncExitStack() as stack:
        await found.up(EAST, stack, ("a", "b", "c"))
        west = await found.up(WEST, stack, ("d", "e"))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        await tasks.start(found.rollout.run)
        await found.until(lambda: found.rollout.state.status is Status.RUNNING)
        yield found, west


async def test_both_follow_and_what_they_say_is_added_up(tmp_path: Path) -> None:
    """A preview over all devices, a generation that each confirms, the devices of both in one status."""
    async with pair(tmp_path) as (found, _):
        preview = await found.rollout.preview(Action(action="set", percentage=100, version=10**12))
        assert (preview.moves, preview.devices) == (5, ("a", "b", "c", "d", "e"))
        await found.act("set", percentage=100)
        await found.until(
            lambda: {router.generation for router in found.view.routers} == {found.rollout.state.generation}
        )
        await found.until(lambda: sum(one.devices for one in found.view.runtimes if one.name == "new") == 5)
        lines = status_lines(found.view)
        generation = found.rollout.state.generation
        assert f"    {EAST}: generation {generation}, settled, 3 devices" in lines
        assert f"    {WEST}: generation {generation}, settled, 2 devices" in lines


async def test_a_count_of_devices_goes_over_both(tmp_path: Path) -> None:
    """Exactly three of five, wherever they are attached."""
    async with pair(tmp_path) as (found, _):
        await found.act("set", devices=3)
        await found.until(lambda: sum(one.devices for one in found.view.runtimes if one.name == "new") == 3)


async def test_the_router_that_has_a_device_explains_it(tmp_path: Path) -> None:
    """Where several answer; any of them speaks for a device that none of them knows."""
    async with pair(tmp_path) as (found, _):
        await found.act("set", percentage=100)
        await found.act("override", device="d", side="control", reason="flickers")
        await found.until(lambda: sum(one.devices for one in found.view.runtimes if one.name == "new") == 4)
        for device, known, rule in (
            ("d", True, "override"),
            ("a", True, "percentage"),
            ("nobody", False, "percentage"),
        ):
            explained = await anyio.to_thread.run_sync(_from_gateways, tmp_path, device, None)
            assert explained is not None
            decided = [link.rule for link in explained.chain if link.verdict == "decides"]
            assert (explained.attached, decided) == (known, [rule])
        assert await anyio.to_thread.run_sync(_from_gateways, tmp_path / "nowhere", "d", None) is None


async def test_a_kill_is_told_to_both_and_the_receipt_says_how_fast(tmp_path: Path) -> None:
    """What is in flight on both is draining; the slowest is there with its time."""
    async with pair(tmp_path) as (found, _):
        await found.act("set", percentage=100)
        await found.until(lambda: sum(one.devices for one in found.view.runtimes if one.name == "new") == 5)
        for name, device in ((EAST, "a"), (WEST, "d")):
            found.routers[name].send(Message(device=device, number=1, payload=b"set 1 1"))
        receipt = await found.act("kill-switch-on", reason="flickers")
        assert receipt.missing == ()
        assert receipt.latched
        assert [(one.router, one.moving) for one in receipt.routers] == [(EAST, 1), (WEST, 1)]
        assert receipt.routed_ms == max(one.ms or 0 for one in receipt.routers)
        assert all(router.killed for router in found.routers.values())


async def test_who_is_missing_is_named_with_why(tmp_path: Path) -> None:
    """One router hangs: the other goes back at once, status and receipt name the one, and a second kill reaches it."""
    async with pair(tmp_path) as (found, west):
        west.cancel()
        await found.until(lambda: any(one.error for one in found.view.routers))
        assert any(
            line.startswith(f"  ! {WEST}: MISSING, {WEST} can't be reached") for line in status_lines(found.view)
        )
        (tmp_path / WEST).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as hung:
            hung.bind(str(tmp_path / WEST))
            hung.listen()
            receipt = await found.act("kill-switch-on")
        east, gone = receipt.routers
        assert east.confirmed
        assert (gone.router, gone.why) == (WEST, "doesn't answer within 2 s")
        assert receipt.missing == (WEST,)
        assert receipt.routed_ms == east.ms
        assert found.routers[EAST].killed
        says = [alert.message for alert in found.view.alerts]
        assert f"{WEST} did not confirm to go back: doesn't answer within 2 s" in says
        (tmp_path / WEST).unlink()
        async with AsyncExitStack() as stack:
            await found.up(WEST, stack, ("d",))
            receipt = await found.act("kill-switch-on")
            assert receipt.missing == ()

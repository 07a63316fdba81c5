"""`agt sessions` through a control API over two real routers on their sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec
import pytest

from agt.router import MemorySelector, Message, MoveLimits, Route, Router, Runtimes, Selector
from agt.router.serving import create_app, serve
from agt.router.testing import ScriptedDevice, ScriptedPath
from agt.supervisor import cli
from agt.supervisor._session_desk import SessionDesk
from agt.supervisor.actions import Refused
from agt.supervisor.control import serve_control
from agt.supervisor.sessions import SessionList, SessionOrder, SessionReceipt
from agt.supervisor.view import View

RUNTIMES = Runtimes(control="v4", candidate="v5")
SOCKETS = ("gateway-a.sock", "gateway-b.sock")

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Uvicorn serves on asyncio only."""
    return "asyncio"


def route(percentage: float, *, pin: bool = False, generation: int = 0) -> Selector:
    """A selector at a percentage."""
    fields = Route(enabled=True, percentage=percentage, pin_live_sessions=pin)
    return Selector(runtimes=RUNTIMES, generation=generation, runtime=fields)


class Gateways:
    """Two routers with pinned sessions on control, and a control API over both."""

    def __init__(self, run: Path, *, names: dict[str, tuple[str, ...]]) -> None:
        self.run = run
        self.desk = SessionDesk({name: run / name for name in SOCKETS})
        self.sessions, self.restart_sessions = self.desk.page, self.desk.restart
        limits = MoveLimits(forward_drain_s=0.2, poll_s=0.02)
        self.routers = {
            name: Router(MemorySelector(route(0.0, generation=1)), runtimes=RUNTIMES, limits=limits) for name in SOCKETS
        }
        self.legacy: dict[str, ScriptedPath] = {}
        for name, devices in names.items():
            router = self.routers[name]
            for device in devices:
                self.legacy[device] = ScriptedPath(anyio.current_time, ScriptedDevice(), legacy=True)
                paths = {"v4": self.legacy[device], "v5": ScriptedPath(anyio.current_time)}
                router.attach(device, paths, session=f"session-{device}")
            router.apply(route(100.0, pin=True, generation=2))

    def view(self) -> View:
        """Return as much of a view as a command looks at."""
        return View(version=1, at=0.0, plan="sessions", status="running")

    async def changes(self) -> AsyncIterator[View]:
        """Yield the present view, and nothing more."""
        yield self.view()
        await anyio.sleep_forever()

    async def agt(self, *arguments: str) -> int:
        """Run a command on this run directory, beside the servers."""
        return await anyio.to_thread.run_sync(lambda: cli.run([*arguments, "--run-dir", str(self.run)]))


@asynccontextmanager
async def gateways(run: Path, **names: tuple[str, ...]) -> AsyncIterator[Gateways]:
    """Serve two routers and a control API."""
    both = Gateways(run, names={f"gateway-{name}.sock": devices for name, devices in names.items()})
    async with anyio.create_task_group() as tasks:
        for name, router in both.routers.items():
            tasks.start_soon(router.run)
            await tasks.start(serve, create_app(router), run / name)
        await tasks.start(serve_control, both, run / "control.sock")
        yield both
        tasks.cancel_scope.cancel()


async def test_list_and_restart_over_all_routers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What would happen first, then all of it, paced; a second time nothing is left to do."""
    async with gateways(tmp_path, a=("d1", "d3"), b=("d2",)) as both:
        assert await both.agt("sessions", "list", "--runtime", "v4", "--pinned", "--json") == 0
        listed = msgspec.json.decode(capsys.readouterr().out, type=SessionList)
        assert [(one.session, one.router) for one in listed.sessions] == [
            ("session-d1", "gateway-a.sock"),
            ("session-d2", "gateway-b.sock"),
            ("session-d3", "gateway-a.sock"),
        ]
        assert listed.generations == dict.fromkeys(SOCKETS, 2)
        assert {(one.at_restart, one.move, one.pinned) for one in listed.sessions} == {("v5", "warm", True)}
        assert await both.agt("sessions", "restart", "--all-on", "v4", "--dry-run") == 0
        assert capsys.readouterr().out == "would be: 3 restarted, of 3\n"
        assert both.routers["gateway-a.sock"].runtime_of("d1") == "v4"
        assert await both.agt("sessions", "restart", "--all-on", "v4", "--per-second", "100", "--json") == 0
        receipt = msgspec.json.decode(capsys.readouterr().out, type=SessionReceipt)
        assert sorted(receipt.restarted) == ["session-d1", "session-d2", "session-d3"]
        assert await both.agt("sessions", "list", "--runtime", "v4") == 0
        assert capsys.readouterr().out == "0 sessions\n"
        assert await both.agt("sessions", "restart", "session-d1", "d2") == 0
        assert capsys.readouterr().out == "2 unchanged, of 2\n"
        assert await both.agt("sessions", "list") == 0
        line = capsys.readouterr().out.splitlines()[0]
        assert line.startswith("session-d1 (d1) on v5: position ")
        assert line.endswith("at a restart would stay")


async def test_commands_that_nobody_answers_are_counted_in_the_receipt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The restart waits for the drain's deadline, not longer; unknown names are refused, and the status says so."""
    async with gateways(tmp_path, a=("d1",), b=("d2",)) as both:
        both.routers["gateway-a.sock"].send(Message("d1", 1, b"set 1 1"))
        assert await both.agt("sessions", "restart", "d1", "d2", "nobody") == 1
        assert capsys.readouterr().out.splitlines() == [
            "1 restarted, 1 restarted at the deadline, with commands unanswered, of 3",
            "1 commands sent again, 0 indeterminate",
            "refused nobody: no such session",
        ]


async def test_rollback_in_the_middle_stops_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each order names the selector that the list was read under; what is done stays done."""
    async with gateways(tmp_path, a=("d1", "d2", "d3", "d4"), b=()) as both:
        router = both.routers["gateway-a.sock"]
        seen = 0

        async def restart(order: SessionOrder) -> SessionReceipt:
            nonlocal seen
            seen += 1
            if seen == 2:
                router.apply(route(0.0, pin=True, generation=3))
            return await both.desk.restart(order)

        both.restart_sessions = restart
        assert await both.agt("sessions", "restart", "--all-on", "v4", "--per-second", "2") == 1
        said = capsys.readouterr()
        assert said.out.startswith("1 restarted, of 4")
        assert "selector is at generation 3, not 2" in said.err
        assert [router.runtime_of(f"d{number}") for number in range(1, 5)] == ["v4"] * 4


async def test_silent_router_is_named_and_its_sessions_are_not_guessed(tmp_path: Path) -> None:
    """The list says whose are missing; a restart refuses what it can't find out about."""
    async with gateways(tmp_path, a=("d1",), b=("d2",)) as both:
        (tmp_path / "gateway-b.sock").unlink()
        listed = await both.desk.page()
        assert ([one.device for one in listed.sessions], list(listed.missing)) == (["d1"], ["gateway-b.sock"])
        receipt = await both.desk.restart(SessionOrder(sessions=("d1", "d2")))
        assert receipt.restarted == ("d1",)
        assert receipt.refused["d2"].startswith("gateway-b.sock ")
        with pytest.raises(Refused, match="no runtime 'v9'"):
            await both.desk.page(runtime="v9")


async def test_pages_of_several_routers_are_one_list(tmp_path: Path) -> None:
    """In the order of devices, each once, whatever router has it."""
    names = [f"d{number:02}" for number in range(11)]
    async with gateways(tmp_path, a=tuple(names[::2]), b=tuple(names[1::2])) as both:
        seen, after = [], ""
        while True:
            page = await both.desk.page(after=after, limit=3)
            assert page.total == len(names)
            seen += [one.device for one in page.sessions]
            after = page.after
            if not after:
                break
        assert seen == names

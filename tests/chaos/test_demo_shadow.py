"""The demo's shadow over real sockets: stand-ins that answer, a device that counts, and the command that shows it."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from agt.chaos.demo._files import DemoFiles
from agt.chaos.demo._twin import dialled_twins, make_shadow, serve_control_twin, serve_twin
from agt.router import LegacyPath, MemorySelector, Message, Route, Router, Runtimes, Selector
from agt.router.serving import create_app, serve
from agt.router.shadow import RulesInvalid
from agt.supervisor.cli import run
from agt.transport import Outcome, ReceivedMessage, Session, TCPConnection, TransportMetrics, WireListener
from agt.transport.wires.lines import LinesConfig, LinesLink, number_in

RUNTIMES = Runtimes(control="legacy", candidate="reliable")

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The router's API serves on asyncio only."""
    return "asyncio"


class Lamp:
    """A device that counts how often each command really moved it; it drops no double."""

    def __init__(self) -> None:
        self.moved: Counter[int] = Counter()

    def take(self, message: ReceivedMessage) -> None:
        """Act."""
        number = number_in(message.payload)
        assert number is not None
        self.moved[number] += 1


async def send(router: Router, numbers: range) -> None:
    """Send commands, each in a turn of the loop of its own: a legacy path has no queue to speak of."""
    for number in numbers:
        delivery = await router.send(Message("lamp", number, b"set %d 1" % number))
        assert delivery.outcome is Outcome.WRITTEN
        await anyio.lowlevel.checkpoint()


async def until(condition) -> None:
    """Let the loop turn until something has happened."""
    with anyio.fail_after(40):
        while not condition():
            await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def gateway(folder: Path, lamp: Lamp) -> AsyncIterator[tuple[Router, anyio.CancelScope]]:
    """A gateway in dark launch with its device on a socket, its stand-ins on two more, and its API."""
    files = DemoFiles(folder)
    selector = Selector(runtimes=RUNTIMES, runtime=Route(enabled=False, shadow="candidate"))
    shadow = make_shadow(files)
    router = Router(MemorySelector(selector), runtimes=RUNTIMES, clock=anyio.current_time, shadow=shadow)
    twins = anyio.CancelScope()

    async def serve_twins() -> None:
        with twins:
            async with anyio.create_task_group() as serving:
                serving.start_soon(serve_twin, files.twin_socket)
                serving.start_soon(serve_control_twin, files.control_twin_socket)

    listener = WireListener(
        lambda: LinesLink("controller"),
        on_peer=lambda session: router.attach("lamp", {"legacy": LegacyPath(session)}) and None,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve_twins)
        await until(lambda: files.twin_socket.exists() and files.control_twin_socket.exists())
        async with listener, dialled_twins(shadow, files, RUNTIMES, TransportMetrics("mirror")):
            device = Session(LinesLink("device", LinesConfig(name="lamp")), on_message=lamp.take)
            tasks.start_soon(device.run, await TCPConnection("127.0.0.1", listener.port).connect())
            tasks.start_soon(router.run)
            await tasks.start(serve, create_app(router), folder / "gateway.sock")
            await until(lambda: router.runtime_of("lamp"))
            yield router, twins
            tasks.cancel_scope.cancel()


async def test_each_command_moves_the_lamp_once_while_everything_is_mirrored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stand-ins get all commands, the lamp each once; with the stand-ins gone the lamp notices nothing."""
    lamp = Lamp()
    async with gateway(tmp_path, lamp) as (router, twins):
        await send(router, range(1, 121))
        tallies = router._state.shadow.tallies
        await until(lambda: "reliable" in tallies and tallies["reliable"].compared == 120)
        assert await anyio.to_thread.run_sync(run, ["shadow", "--json", "--run-dir", str(tmp_path)]) == 0
        said = json.loads(capsys.readouterr().out)["shadow"]
        assert (said["writes"], said["reads"], said["decided"], said["shed"]) == (120, 0, 0, {})
        (tried,) = said["runtimes"]
        assert (tried["runtime"], tried["paired"], tried["differences"], tried["errors"]) == ("reliable", 120, 0, 0)
        assert tried["verdict"] == "undecided"
        twins.cancel()
        await send(router, range(121, 161))
        await until(lambda: len(lamp.moved) == 160)
        assert await anyio.to_thread.run_sync(run, ["shadow", "--restart", "--run-dir", str(tmp_path)]) == 0
        assert "nothing compared yet" in capsys.readouterr().out
    assert lamp.moved == dict.fromkeys(range(1, 161), 1)


async def test_wrong_rules_are_refused_before_anything_is_mirrored(tmp_path: Path) -> None:
    """The gateway says what is wrong with its `shadow.toml` and doesn't start."""
    (tmp_path / "shadow.toml").write_text("[[ignore]]\nfield = 'x'\n", encoding="utf-8")
    with pytest.raises(RulesInvalid, match="owner"):
        make_shadow(DemoFiles(tmp_path))


async def test_without_a_gateway_the_command_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit status 1."""
    assert await anyio.to_thread.run_sync(run, ["shadow", "--run-dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "no gateway answers" in said
    assert "--run-dir" in said

"""Devices with one connection at a time: a kill ends it, they dial again, and the gateway takes them in at its pace."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from agt.router import LegacyPath, MemorySelector, ReliablePath, Route, Router, Runtimes, Selector
from agt.transport import (
    ConnectBudget,
    MoveKind,
    ReliableListener,
    ReliableTransport,
    Session,
    TCPConnection,
    WireListener,
)
from agt.transport.wires.lines import LinesLink

RUNTIMES = Runtimes(control="legacy", candidate="reliable")
BUDGET = ConnectBudget(connects_per_s=25, connect_burst=2)
DEVICES = 12

pytestmark = pytest.mark.anyio


class Gateway:
    """A native and a lines listener before one router, all of whose devices are on the candidate."""

    def __init__(self) -> None:
        selector = Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=100.0))
        self.router = Router(
            MemorySelector(selector),
            runtimes=RUNTIMES,
            clock=anyio.current_time,
            redial_per_s=BUDGET.connects_per_s,
        )
        self.native = ReliableListener(name="gateway", on_peer=self._native_came)
        self.lines = WireListener(lambda: LinesLink("controller"), on_peer=self._lines_came, connect_budget=BUDGET)
        self.move = MoveKind.REDIAL
        self.ended: dict[str, anyio.Event] = {}
        self.dialled: list[float] = []
        self.changed = anyio.Event()

    def _native_came(self, session: Session) -> None:
        self.router.attach(session.peer, {"reliable": ReliablePath(session, move=self.move)})
        ended = self.ended[session.peer] = anyio.Event()
        session.on_connection(lambda changed: None if changed.connected else ended.set())
        self._tell()

    def _lines_came(self, session: Session) -> None:
        self.dialled.append(anyio.current_time())
        self.router.attach(session.peer, {"legacy": LegacyPath(session)})
        self._tell()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()


async def until(gateway: Gateway, holds: Callable[[], bool]) -> None:
    """Look whenever somebody came."""
    with anyio.fail_after(10):
        while not holds():
            await gateway.changed.wait()


async def live(gateway: Gateway, name: str, hold: Callable[[], Awaitable[None]]) -> None:
    """Be a device: native as long as the gateway lets it, then on the lines socket."""
    connection = TCPConnection("127.0.0.1", gateway.native.port)
    async with ReliableTransport(connection=connection, name=name):
        while name not in gateway.ended:
            await gateway.changed.wait()
        await gateway.ended[name].wait()
    async with await anyio.connect_tcp("127.0.0.1", gateway.lines.port) as stream:
        await stream.send(f"hello {name}\n".encode())
        await hold()


async def test_a_kill_makes_them_dial_and_they_come_back_paced() -> None:
    """Named in the receipt by number and pace; in no stretch of time do more come in than the budget says."""
    gateway, forever = Gateway(), anyio.Event()
    async with gateway.native, gateway.lines, anyio.create_task_group() as tasks:
        tasks.start_soon(gateway.router.run)
        for number in range(DEVICES):
            tasks.start_soon(live, gateway, f"lamp-{number}", forever.wait)
        await until(gateway, lambda: len(gateway.ended) == DEVICES)
        receipt = gateway.router.kill("flickers").receipt()
        assert (receipt.redial, receipt.redial_per_s) == (DEVICES, BUDGET.connects_per_s)
        await until(gateway, lambda: len(gateway.dialled) == DEVICES)
        status = gateway.router.status()
        assert (status.runtimes["legacy"].devices, status.moves.waiting) == (DEVICES, 0)
        tasks.cancel_scope.cancel()
    for first, began in enumerate(gateway.dialled):
        for last in range(first, DEVICES):
            allowed = BUDGET.connect_burst + BUDGET.connects_per_s * (gateway.dialled[last] - began)
            assert last - first + 1 <= allowed + 1


@pytest.mark.parametrize("move", list(MoveKind))
async def test_only_a_device_that_has_no_other_connection_is_made_to_dial(move: MoveKind) -> None:
    """Warm and in place there is another way, or there will be one; nobody's connection is ended for that."""
    gateway = Gateway()
    gateway.move = move
    async with gateway.native:
        connection = TCPConnection("127.0.0.1", gateway.native.port)
        async with ReliableTransport(connection=connection, name="lamp"):
            await until(gateway, lambda: "lamp" in gateway.ended)
            ended = gateway.ended["lamp"]
            gateway.router.kill()
            with anyio.move_on_after(5 if move is MoveKind.REDIAL else 0.2):
                await ended.wait()
            assert ended.is_set() is (move is MoveKind.REDIAL)

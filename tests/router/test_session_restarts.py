"""Restarts over real sockets, under load: sessions that move warm, and sessions whose connections are closed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from agt.router import (
    LegacyPath,
    MemorySelector,
    Message,
    ReliablePath,
    RestartOrder,
    Route,
    Router,
    Runtimes,
    Selector,
)
from agt.transport import (
    Barrier,
    Delivery,
    MoveKind,
    ReceivedMessage,
    ReliableListener,
    ReliableTransport,
    Session,
    TCPConnection,
    WireListener,
)
from agt.transport.wires.cync import CyncConfig, CyncLink, hello, inner_frame, one_packet, power_command
from agt.transport.wires.lines import LinesConfig, LinesLink, number_in

RUNTIMES = Runtimes(control="legacy", candidate="reliable")
ENDPOINT = bytes.fromhex("45880f3a")
LOAD = 60
"""Commands that are sent around a restart."""

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run on both event loops."""
    return request.param


def at(percentage: float, *, pin: bool = False) -> Selector:
    """A selector at a percentage."""
    return Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=percentage, pin_live_sessions=pin))


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something has happened."""
    with anyio.fail_after(10):
        while not condition():
            await anyio.wait_all_tasks_blocked()
            await anyio.lowlevel.checkpoint()


class Load:
    """Sends a device numbered commands, a few each turn of the loop, and keeps every handle."""

    def __init__(self, router: Router, payload: Callable[[int], bytes]) -> None:
        self._router, self._payload = router, payload
        self.handles: list[Delivery] = []

    def send(self, count: int) -> None:
        """Send so many at once."""
        for _ in range(count):
            number = len(self.handles) + 1
            self.handles.append(self._router.send(Message("d", number, self._payload(number))))

    async def run(self, count: int) -> None:
        """Send so many, spread over turns, while whatever else happens goes on."""
        for _ in range(count // 5):
            self.send(5)
            await anyio.lowlevel.checkpoint()

    async def ended(self) -> None:
        """Wait until every command has its outcome."""
        with anyio.fail_after(10):
            for handle in self.handles:
                await handle


@asynccontextmanager
async def routed(selector: Selector) -> AsyncIterator[Router]:
    """A running router on the loop's clock."""
    router = Router(MemorySelector(selector), runtimes=RUNTIMES, clock=anyio.current_time)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(router.run)
        yield router
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def redialling(port: int, make_session: Callable[[], Session]) -> AsyncIterator[None]:
    """A device that dials again whenever its connection ends, each time as a new session of its own."""

    async def live() -> None:
        while True:
            await make_session().run(await TCPConnection("127.0.0.1", port).connect())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live)
        yield
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def warm_device(router: Router, applied: list[int]) -> AsyncIterator[None]:
    """A device with a legacy lines socket and a native one, and one watermark over both."""

    def apply(message: ReceivedMessage) -> None:
        number = number_in(message.payload)
        assert number is not None
        if number > max(applied, default=0):
            applied.append(number)

    gone: dict[Session, LegacyPath] = {}

    def legacy_came(session: Session) -> None:
        gone[session] = LegacyPath(session)
        router.attach("d", {"legacy": gone[session]})

    def native_came(session: Session) -> None:
        router.attach("d", {"reliable": ReliablePath(session, barrier=Barrier.SEQUENCE, move=MoveKind.WARM)})

    lines = WireListener(
        lambda: LinesLink("controller"),
        on_peer=legacy_came,
        on_gone=lambda session: router.detach("d", {"legacy": gone.pop(session)}),
    )
    native = ReliableListener(on_peer=native_came)
    async with lines, native:

        def legacy() -> Session:
            return Session(LinesLink("device", LinesConfig(name="d", sequenced=True)), on_message=apply)

        reliable = ReliableTransport(TCPConnection("127.0.0.1", native.port), name="d", on_message=apply)
        async with redialling(lines.port, legacy), reliable:
            await until(lambda: router.runtime_of("d") and len(router.devices()[0].attachments) == 2)
            yield


async def test_pinned_session_restarts_under_load_and_loses_nothing() -> None:
    """Lines to native: held by its pin until the restart, then on the candidate; every command once, in order."""
    applied: list[int] = []
    async with routed(at(0.0)) as router, warm_device(router, applied), anyio.create_task_group() as tasks:
        load = Load(router, lambda number: b"set %d 1" % number)
        load.send(5)
        router.apply(at(100.0, pin=True))
        assert router.sessions(pinned=True).total == 1
        tasks.start_soon(load.run, LOAD)
        await anyio.lowlevel.checkpoint()
        receipt = await router.restart_sessions(RestartOrder(sessions=("d",))).settled()
        assert (receipt.restarted, receipt.timed_out, receipt.indeterminate) == (("d",), (), 0)
        await until(lambda: len(load.handles) == LOAD + 5)
        await load.ended()
        await until(lambda: len(applied) == LOAD + 5)
        assert (router.runtime_of("d"), router.sessions().sessions[0].number) == ("reliable", 2)
        assert router.ledger.totals["reliable"].delivered > 0
    assert applied == list(range(1, LOAD + 6))


@pytest.mark.parametrize("percentage", [0.0, 100.0])
async def test_redial_under_load_loses_nothing(percentage: float) -> None:
    """All of its connections are closed between commands and come back: legacy by a new session, native by resuming."""
    applied: list[int] = []
    async with routed(at(percentage)) as router, warm_device(router, applied), anyio.create_task_group() as tasks:
        load = Load(router, lambda number: b"set %d 1" % number)
        tasks.start_soon(load.run, LOAD)
        await anyio.lowlevel.checkpoint()
        done = router.restart_sessions(RestartOrder(sessions=("d",), redial=True))
        await done.settled()
        await until(lambda: len(load.handles) == LOAD)
        await load.ended()
        await until(lambda: len(applied) == LOAD)
        # Until the candidate's connection is back, control may carry the new session.
        await until(lambda: done.receipt().restarted == ("d",))
        assert router.status().sessions.cut == 0
    assert applied == list(range(1, LOAD + 1))


async def test_cync_device_is_closed_between_commands_and_dials_again() -> None:
    """One socket for both runtimes: closed once it has answered everything; what waited goes over the next one."""
    applied: list[int] = []
    came: list[Session] = []

    def attach(session: Session) -> None:
        came.append(session)
        router.attach("d", {"legacy": LegacyPath(session), "reliable": ReliablePath(session)})

    def apply(message: ReceivedMessage) -> None:
        frame = inner_frame(one_packet(message.payload))
        assert frame is not None
        applied.append(int.from_bytes(message.payload[14:18], "little"))

    def payload(number: int) -> bytes:
        return power_command(ENDPOINT, 0x50, on=True, number=number).data

    def device() -> Session:
        return Session(CyncLink("device", CyncConfig(hello=hello(ENDPOINT).data)), on_message=apply)

    async with routed(at(100.0)) as router:
        listener = WireListener(lambda: CyncLink("controller"), on_peer=attach)
        async with listener, redialling(listener.port, device), anyio.create_task_group() as tasks:
            await until(lambda: router.runtime_of("d"))
            load = Load(router, payload)
            tasks.start_soon(load.run, LOAD)
            await anyio.lowlevel.checkpoint()
            done = router.restart_sessions(RestartOrder(sessions=("d",), redial=True))
            await done.settled()
            await until(lambda: len(load.handles) == LOAD)
            await load.ended()
            assert done.receipt().restarted == ("d",)
            assert len(came) == 2
    assert applied == list(range(1, LOAD + 1))

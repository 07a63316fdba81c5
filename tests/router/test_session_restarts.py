"""Restarts over real sockets, under load: sessions that move warm, and sessions whose connections are closed."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

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
COMMANDS = 100
"""Commands to each device of a crowd."""
AHEAD = 20
"""How many of these may be on their way to the slowest."""

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


async def turning(condition: Callable[[], object]) -> None:
    """Like `until`, for crowds: asking every task whether it is blocked would take longer than what they do."""
    with anyio.fail_after(60):
        while not condition():
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
async def listeners(router: Router) -> AsyncIterator[tuple[int, int]]:
    """A legacy lines listener and a native one whose callers are the router's; yields their ports."""
    gone: dict[Session, LegacyPath] = {}

    def legacy_came(session: Session) -> None:
        gone[session] = LegacyPath(session)
        router.attach(session.peer, {"legacy": gone[session]})

    def native_came(session: Session) -> None:
        path = ReliablePath(session, barrier=Barrier.SEQUENCE, move=MoveKind.WARM)
        router.attach(session.peer, {"reliable": path})

    def legacy_went(session: Session) -> None:
        router.detach(session.peer, {"legacy": gone.pop(session)})

    lines = WireListener(lambda: LinesLink("controller"), on_peer=legacy_came, on_gone=legacy_went)
    native = ReliableListener(on_peer=native_came)
    async with lines, native:
        yield lines.port, native.port


@asynccontextmanager
async def two_sockets(name: str, lines: int, native: int, applied: list[int]) -> AsyncIterator[None]:
    """A device on both sockets, with one watermark over them."""

    def apply(message: ReceivedMessage) -> None:
        number = number_in(message.payload)
        assert number is not None
        if number > max(applied, default=0):
            applied.append(number)

    def legacy() -> Session:
        return Session(LinesLink("device", LinesConfig(name=name, sequenced=True)), on_message=apply)

    reliable = ReliableTransport(TCPConnection("127.0.0.1", native), name=name, on_message=apply)
    async with redialling(lines, legacy), reliable:
        yield


@asynccontextmanager
async def warm_device(router: Router, applied: list[int]) -> AsyncIterator[None]:
    """One device with a legacy lines socket and a native one."""
    async with listeners(router) as (lines, native), two_sockets("d", lines, native, applied):
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


@pytest.mark.soak
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_hundred_sessions_restart_in_small_orders_under_load() -> None:
    """Paced, with every device commanded all the time: nothing lost, doubled or misordered, and nobody left behind."""
    names = tuple(f"d{number:03}" for number in range(100))
    applied: dict[str, list[int]] = {name: [] for name in names}
    handles: list[Delivery] = []

    async def command(router: Router) -> None:
        for number in range(1, COMMANDS + 1):
            handles.extend(router.send(Message(name, number, b"set %d 1" % number)) for name in names)
            await turning(lambda sent=number: min(map(len, applied.values())) >= sent - AHEAD)

    async with routed(at(0.0)) as router, AsyncExitStack() as stack:
        lines, native = await stack.enter_async_context(listeners(router))
        for name in names:
            await stack.enter_async_context(two_sockets(name, lines, native, applied[name]))
        await turning(
            lambda: all(len(one.attachments) == 2 for one in router.devices()) and len(router.devices()) == 100
        )
        tasks = await stack.enter_async_context(anyio.create_task_group())
        router.apply(at(100.0, pin=True))
        assert router.sessions(pinned=True).total == len(names)
        tasks.start_soon(command, router)
        for first in range(0, len(names), 10):
            order = RestartOrder(sessions=names[first : first + 10], generation=router.status().generation)
            receipt = await router.restart_sessions(order).settled()
            assert (len(receipt.restarted), receipt.timed_out, receipt.indeterminate) == (10, (), 0)
        await turning(lambda: len(handles) == COMMANDS * len(names))
        for handle in handles:
            await handle
        await turning(lambda: all(len(one) == COMMANDS for one in applied.values()))
        status = router.status()
        assert (status.runtimes["legacy"].sessions, status.runtimes["reliable"].sessions) == (0, len(names))
        assert status.sessions.cut == 0
    assert all(one == list(range(1, COMMANDS + 1)) for one in applied.values())

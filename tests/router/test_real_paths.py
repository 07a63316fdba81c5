"""Moves over real sockets: cync in place on one socket, lines and native warm on two."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from agt.router import LegacyPath, MemorySelector, Message, ReliablePath, Route, Router, Runtimes, Selector
from agt.transport import (
    Barrier,
    MoveKind,
    Outcome,
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

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run on both event loops."""
    return request.param


def at(percentage: float) -> Selector:
    """A selector at a percentage."""
    return Selector(runtimes=RUNTIMES, runtime=Route(enabled=True, percentage=percentage))


@asynccontextmanager
async def routed(percentage: float) -> AsyncIterator[Router]:
    """A running router on the loop's clock."""
    router = Router(MemorySelector(at(percentage)), runtimes=RUNTIMES, clock=anyio.current_time)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(router.run)
        yield router
        tasks.cancel_scope.cancel()


async def until(condition) -> None:
    """Let the loop turn until something has happened."""
    with anyio.fail_after(5):
        while not condition():
            await anyio.wait_all_tasks_blocked()
            await anyio.lowlevel.checkpoint()


def command(number: int) -> Message:
    """A cync command whose inner number is the message's."""
    packet = power_command(ENDPOINT, 0x50, on=True, number=number)
    return Message(device="d", number=number, payload=packet.data)


@asynccontextmanager
async def cync_device(router: Router, applied: list[int]) -> AsyncIterator[None]:
    """An unmodified device on one TCP connection, attached to both runtimes in place."""

    def attach(session: Session) -> None:
        router.attach("d", {"legacy": LegacyPath(session), "reliable": ReliablePath(session)})

    def apply(message: ReceivedMessage) -> None:
        frame = inner_frame(one_packet(message.payload))
        assert frame is not None
        applied.append(int.from_bytes(message.payload[14:18], "little"))

    listener = WireListener(lambda: CyncLink("controller"), on_peer=attach)
    async with listener, anyio.create_task_group() as tasks:
        device = Session(CyncLink("device", CyncConfig(hello=hello(ENDPOINT).data)), on_message=apply)
        tasks.start_soon(device.run, await TCPConnection("127.0.0.1", listener.port).connect())
        await until(lambda: router.runtime_of("d"))
        yield
        tasks.cancel_scope.cancel()


async def test_cync_device_moves_in_place_there_and_back() -> None:
    """One socket, three changes of way under load: each command acted upon once, in order."""
    applied: list[int] = []
    async with routed(0.0) as router, cync_device(router, applied):
        assert router.devices()[0].attachments == ("legacy", "reliable")
        number, deliveries = 0, []
        for percentage in (100.0, 0.0, 100.0):
            for _ in range(20):
                number += 1
                deliveries.append(router.send(command(number)))
                if number % 20 == 10:
                    batch = router.apply(at(percentage))
            receipt = await batch.settled()
            assert (receipt.moved, receipt.indeterminate, receipt.resent) == (1, 0, 0)
        for delivery in deliveries:
            await delivery
        await until(lambda: len(applied) >= number)
    assert applied == list(range(1, number + 1))
    by_runtime = {
        runtime: {d.outcome for d in deliveries if d.runtime == runtime} for runtime in ("legacy", "reliable")
    }
    assert by_runtime == {"legacy": {Outcome.WRITTEN}, "reliable": {Outcome.DELIVERED}}


@asynccontextmanager
async def warm_device(
    router: Router, applied: list[int], *, handle: Callable[[ReceivedMessage], None] | None = None
) -> AsyncIterator[None]:
    """A device with a legacy lines socket and a native one, and one watermark over both."""

    def apply(message: ReceivedMessage) -> None:
        number = number_in(message.payload)
        assert number is not None
        if number > max(applied, default=0):
            applied.append(number)

    def attach_legacy(session: Session) -> None:
        router.attach("d", {"legacy": LegacyPath(session)})

    def attach_reliable(session: Session) -> None:
        router.attach("d", {"reliable": ReliablePath(session, barrier=Barrier.SEQUENCE, move=MoveKind.WARM)})

    lines = WireListener(lambda: LinesLink("controller"), on_peer=attach_legacy)
    native = ReliableListener(on_peer=attach_reliable)
    async with lines, native, anyio.create_task_group() as tasks:
        legacy = Session(LinesLink("device", LinesConfig(name="d", sequenced=True)), on_message=handle or apply)
        tasks.start_soon(legacy.run, await TCPConnection("127.0.0.1", lines.port).connect())
        reliable = ReliableTransport(TCPConnection("127.0.0.1", native.port), name="d", on_message=handle or apply)
        async with reliable:
            await until(lambda: router.runtime_of("d") and len(router.devices()[0].attachments) == 2)
            yield
        tasks.cancel_scope.cancel()


async def test_lines_device_moves_warm_to_native_and_is_killed_back() -> None:
    """Two sockets: forward under load, then a kill under load; nothing lost, doubled or misordered."""
    applied: list[int] = []
    async with routed(0.0) as router, warm_device(router, applied):
        deliveries = []

        def send(count: int) -> None:
            for _ in range(count):
                number = len(deliveries) + 1
                deliveries.append(router.send(Message(device="d", number=number, payload=b"set %d 1" % number)))

        send(20)
        forward = router.apply(at(100.0))
        send(20)
        assert (await forward.settled()).moved == 1
        await until(lambda: router.runtime_of("d") == "reliable")
        send(20)
        back = router.kill("test")
        send(20)
        assert (await back.settled()).moved == 1
        for delivery in deliveries:
            await delivery
        await until(lambda: len(applied) >= 80)
        totals = router.ledger.totals
        assert totals["legacy"].in_flight == totals["reliable"].in_flight == 0
        assert totals["reliable"].delivered + totals["legacy"].written == 80
    assert applied == list(range(1, 81))


async def test_message_for_a_silent_native_device_comes_back_to_legacy() -> None:
    """The device's application stops answering on native: the kill sends its messages again, once each."""
    applied: list[int] = []
    async with routed(0.0) as router, warm_device(router, applied):
        router.apply(at(100.0))
        await until(lambda: router.runtime_of("d") == "reliable")
        native = router._state.devices["d"].paths["reliable"]
        assert isinstance(native, ReliablePath)
        native._session.disconnect("test")
        deliveries = [router.send(Message(device="d", number=n, payload=b"set %d 1" % n)) for n in range(1, 6)]
        await router.kill("test").settled()
        for delivery in deliveries:
            await delivery
        await until(lambda: len(applied) >= 5)
    assert applied == [1, 2, 3, 4, 5]


async def test_unanswered_legacy_tail_is_repeated_and_the_answered_part_is_not() -> None:
    """The device acts on 1 to 5 and answers 1 and 3: of the written, only 4 and 5 go again, before what waited."""
    applied: list[int] = []
    received: list[int] = []

    def mumble(message: ReceivedMessage) -> None:
        number = number_in(message.payload)
        assert number is not None
        received.append(number)
        if number > max(applied, default=0):
            applied.append(number)
        if len(received) in (2, 4, 5):  # On the lines wire a refusal is silence.
            message.refuse("rejected")

    async with routed(0.0) as router, warm_device(router, applied, handle=mumble):
        for number in range(1, 6):
            router.send(Message(device="d", number=number, payload=b"set %d 1" % number))
        await until(lambda: len(received) == 5 and router.devices()[0].in_flight == 3)
        batch = router.apply(at(100.0))
        last = router.send(Message(device="d", number=6, payload=b"set 6 1"))
        receipt = await batch.settled()
        await last
        assert (receipt.moved, batch.receipt().resent) == (1, 2)
        assert router.ledger.totals["reliable"].resends == 2
    assert received == [1, 2, 3, 4, 5, 4, 5, 6]
    assert applied == [1, 2, 3, 4, 5, 6]


async def test_oversized_message_is_refused_by_its_path() -> None:
    """A refusal of the wire is an outcome, never an exception."""
    applied: list[int] = []
    async with routed(0.0) as router, warm_device(router, applied):
        delivery = router.send(Message(device="d", number=1, payload=b"set 1 " + b"x" * 100_000))
        assert delivery.outcome is Outcome.NOT_DELIVERED
        assert "over the wire's limit" in delivery.reason

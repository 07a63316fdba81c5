"""The connect budget on real sockets: who comes too fast is told when, and comes back then."""

from contextlib import AsyncExitStack

import anyio
import pytest
from anyio.abc import TaskStatus

from agt.transport import (
    ConnectBudget,
    Refusal,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    Session,
    TCPConnection,
    WireListener,
)
from agt.transport.blocking import BlockingListener, BlockingTransport
from agt.transport.wires.lines import LinesConfig, LinesLink
from agt.transport.wires.native._frames import FrameParser, FrameType
from agt.transport.wires.native._handshake import AwayCode, GoAway, decode_body, go_away_frame

pytestmark = pytest.mark.anyio


async def test_a_caller_over_the_budget_is_told_when_and_comes_back_then(until) -> None:
    """Not before its slot, at the second dial, and without a failure being counted against anybody."""
    budget = ConnectBudget(connects_per_s=5, connect_burst=1)
    came: list[float] = []
    async with (
        ReliableListener(connect_budget=budget, on_peer=lambda _: came.append(anyio.current_time())) as listener,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="first") as first,
    ):
        await first.wait_connected()
        async with ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="second") as second:
            await until(lambda: second.last_error)
            assert "busy: come back in 0.2 s" in second.last_error or "busy: come back in 0.1" in second.last_error
            await second.wait_connected()
        assert 0.19 <= came[1] - came[0] <= 3.0
        assert (listener.pacer.admitted, listener.pacer.sent_away) == (2, 1)
        assert listener.metrics.decode_errors == 0


async def test_the_welcome_says_how_many_seconds_everybody_needs(until) -> None:
    """Peers by the rate: what a dialler spreads itself over when the listener dies."""
    budget = ConnectBudget(connects_per_s=4, connect_burst=9)
    async with ReliableListener(connect_budget=budget) as listener, AsyncExitStack() as devices:
        for number in (1, 2, 3):
            transport = ReliableTransport(TCPConnection("127.0.0.1", listener.port), name=f"dev-{number}")
            await devices.enter_async_context(transport)
            await transport.wait_connected()
            assert transport.session.link.spread_s == number / 4


async def test_a_crowd_comes_back_to_a_listener_that_was_started_again(until) -> None:
    """Sixty real transports: all back within the bound, and never more of them at once than the budget allows."""
    crowd, budget = 60, ConnectBudget(connects_per_s=60, connect_burst=5)
    config = ReliableConfig(backoff_base_s=0.05, backoff_max_s=0.4, redial_spread_max_s=0.5)
    back: list[float] = []

    def came(_session: Session) -> None:
        back.append(anyio.current_time())

    async def serve_first(*, task_status: TaskStatus[int]) -> None:
        async with ReliableListener() as first:
            task_status.started(first.port)
            with first_life:
                await anyio.sleep_forever()

    first_life = anyio.CancelScope()
    async with anyio.create_task_group() as tasks, AsyncExitStack() as devices:
        port = await tasks.start(serve_first)
        address = TCPConnection("127.0.0.1", port)
        transports = [ReliableTransport(address, name=f"dev-{n}", config=config) for n in range(crowd)]
        for transport in transports:
            await devices.enter_async_context(transport)
        for transport in transports:
            await transport.wait_connected()
        first_life.cancel()
        await until(lambda: not any(transport.connected for transport in transports))
        async with ReliableListener(port=port, connect_budget=budget, on_peer=came) as second:
            started = anyio.current_time()
            bound_s = max(0.5, 1.5 * config.backoff_max_s) + crowd / budget.connects_per_s + 1.0
            with anyio.fail_after(bound_s):
                for transport in transports:
                    await transport.wait_connected()
            for first_one, since in enumerate(back):
                for last_one in range(first_one, crowd):
                    allowed = budget.connect_burst + budget.connects_per_s * (back[last_one] - since)
                    assert last_one - first_one + 1 <= allowed + 2, "two for the clock's and the loop's grain"
            assert back[-1] - started > (crowd - budget.connect_burst - 1) / budget.connects_per_s
            assert second.pacer.admitted == crowd


async def test_legacy_callers_are_held_for_their_token_or_let_go(until) -> None:
    """Their wire has no word for "later": a short wait, unread; a long one is spared them."""
    budget = ConnectBudget(connects_per_s=2, connect_burst=1, hold_max_s=0.6)
    came: list[float] = []
    listener = WireListener(
        lambda: LinesLink("controller"),
        connect_budget=budget,
        on_peer=lambda _: came.append(anyio.current_time()),
    )
    async with listener, anyio.create_task_group() as tasks:
        ends = []

        async def dial(name: str) -> None:
            session = Session(LinesLink("device", LinesConfig(name=name)))
            ends.append(await session.run(await TCPConnection("127.0.0.1", listener.port).connect()))

        for number in range(3):
            tasks.start_soon(dial, f"lamp-{number}")
        await until(lambda: len(came) == 2 and len(ends) == 1)
        assert 0.3 <= came[1] - came[0] <= 3.0
        assert (listener.pacer.admitted, listener.pacer.sent_away) == (2, 1)
        assert listener.door.refused[Refusal.BUSY] == 1
        tasks.cancel_scope.cancel()


def test_go_away_says_when_and_an_older_peers_go_away_says_nothing() -> None:
    """The time is a field behind the others: who doesn't know it never looks at it."""
    ((kind, _, _, _, payload),) = FrameParser().feed(go_away_frame(AwayCode.BUSY, "busy", 1.2345))
    assert kind == FrameType.GO_AWAY
    assert decode_body(payload, GoAway) == GoAway(AwayCode.BUSY, "busy", 1235)
    older = bytes((0x92, AwayCode.BUSY, 0xA4)) + b"busy"
    assert decode_body(older, GoAway) == GoAway(AwayCode.BUSY, "busy", 0)


def test_the_blocking_listener_keeps_to_a_budget_too() -> None:
    """Told when, the second device comes back then, on plain threads."""
    budget = ConnectBudget(connects_per_s=5, connect_burst=1)
    with (
        BlockingListener(connect_budget=budget) as listener,
        BlockingTransport(TCPConnection("127.0.0.1", listener.port), name="first") as first,
    ):
        assert first.wait_connected(5)
        with BlockingTransport(TCPConnection("127.0.0.1", listener.port), name="second") as second:
            assert second.wait_connected(5)
        assert (listener.pacer.admitted, listener.pacer.sent_away) == (2, 1)
        assert listener.metrics.decode_errors == 0

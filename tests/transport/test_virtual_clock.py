"""A few seeds through the real driver on trio's virtual clock: hours of network in a moment, no sleeping.

The simulated world drives the bare cores by the thousand; this shows that the driver adds nothing of its own.
"""

import math
from random import Random

import anyio
import pytest
import trio
from trio.testing import MockClock

from agt.transport import Outcome, ReceivedMessage, Session, Timers
from agt.transport.testing import memory_streams
from agt.transport.wires.native import NativeConfig, NativeLink, Role

MESSAGES = 60


async def one_seed(seed: int) -> tuple[list[bytes], list[Outcome | None], float]:
    """Send over connections that break at random, with minutes between them; return what became of it."""
    rng = Random(seed)
    config = NativeConfig(max_retries=None, send_queue_max=MESSAGES)
    handed: list[bytes] = []

    def on_message(message: ReceivedMessage) -> None:
        handed.append(message.payload)

    timers = Timers()
    device = Session(NativeLink("device", rng=rng, config=config), timers=timers)
    accepting = NativeLink("controller", rng=rng, config=config, role=Role.ACCEPTING)
    controller = Session(accepting, timers=timers, on_message=on_message)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        deliveries = [device.send_nowait(b"%d" % number, deadline_s=86_400) for number in range(MESSAGES)]
        while not all(delivery.done for delivery in deliveries):
            ours, theirs = memory_streams(rng=rng, cut_after=rng.choice([50, 300, 900, math.inf]))
            async with anyio.create_task_group() as connection:
                connection.start_soon(controller.run, theirs)
                device.on_quiet(connection.cancel_scope.cancel)
                await device.run(ours)
                connection.cancel_scope.cancel()
            await anyio.sleep(rng.uniform(1, 120))
        tasks.cancel_scope.cancel()
    return handed, [delivery.outcome for delivery in deliveries], anyio.current_time()


@pytest.mark.parametrize("seed", range(8))
def test_broken_connections_on_a_virtual_clock_lose_and_double_nothing(seed: int):
    """Minutes pass between connections; the test takes none."""
    handed, outcomes, _ = trio.run(one_seed, seed, clock=MockClock(autojump_threshold=0))
    assert handed == [b"%d" % number for number in range(MESSAGES)]
    assert set(outcomes) == {Outcome.DELIVERED}


def test_a_deadline_of_a_day_passes_in_a_moment():
    """The driver's one timer follows whatever clock the event loop has."""

    async def wait_a_day() -> tuple[Outcome | None, float]:
        timers = Timers()
        session = Session(NativeLink("device", rng=Random(1)), timers=timers)
        started = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(timers.run)
            delivery = await session.send_nowait(b"x", deadline_s=86_400)
            tasks.cancel_scope.cancel()
        return delivery.outcome, anyio.current_time() - started

    outcome, took_s = trio.run(wait_a_day, clock=MockClock(autojump_threshold=0))
    assert outcome is Outcome.NOT_DELIVERED
    assert took_s == pytest.approx(86_400, abs=1)

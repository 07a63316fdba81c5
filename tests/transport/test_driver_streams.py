"""The portable driver over what is no socket at all: two byte streams in memory, sliced at random and cut."""

from random import Random

import anyio
import pytest

from agt.transport import Outcome, ReceivedMessage, Session, Timers
from agt.transport.testing import memory_streams
from agt.transport.wires.native import NativeConfig, NativeLink, Role

pytestmark = pytest.mark.anyio

MESSAGES = 100


@pytest.mark.parametrize("seed", range(3))
async def test_a_byte_stream_in_memory_carries_a_session_across_cuts(seed: int) -> None:
    """Whatever is an anyio byte stream will do: nothing is lost or doubled, and the order holds."""
    rng = Random(seed)
    handed: list[bytes] = []

    def on_message(message: ReceivedMessage) -> None:
        handed.append(message.payload)

    timers, config = Timers(), NativeConfig(max_retries=None, send_queue_max=MESSAGES)
    device = Session(NativeLink("device", rng=rng, config=config), timers=timers)
    accepting = NativeLink("controller", rng=rng, config=config, role=Role.ACCEPTING)
    controller = Session(accepting, timers=timers, on_message=on_message)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        deliveries = [device.send_nowait(b"%100d" % number) for number in range(MESSAGES)]
        with anyio.fail_after(20):
            for cut_after in (700, 1500, 3000, 1 << 20):
                ours, theirs = memory_streams(rng=rng, cut_after=cut_after)
                async with anyio.create_task_group() as connection:
                    connection.start_soon(controller.run, theirs)
                    connection.start_soon(device.run, ours)
                    if cut_after == 1 << 20:
                        for delivery in deliveries:
                            await delivery
                        device.close()
                        controller.close()
        tasks.cancel_scope.cancel()
    assert {delivery.outcome for delivery in deliveries} == {Outcome.DELIVERED}
    assert handed == [b"%100d" % number for number in range(MESSAGES)]

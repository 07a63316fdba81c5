"""Each driver with each other, as device and as controller: what one writes the other reads, and the counts agree."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from agt.transport import Outcome, TCPConnection
from support.cable import cable_to
from support.driver_harness import Driver, until
from support.drivers import DRIVERS, available

MESSAGES = 20


@pytest.fixture(scope="module")
def running() -> Iterator[ExitStack]:
    """Start each driver once, when it is first asked for."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module")
def started(running: ExitStack) -> dict[str, Driver]:
    """Return the drivers that were started."""
    drivers: dict[str, Driver] = {}
    for driver in DRIVERS:
        if available(driver):
            running.enter_context(driver.running())
            drivers[driver.name] = driver
    return drivers


@pytest.mark.parametrize("device", [driver.name for driver in DRIVERS])
@pytest.mark.parametrize("controller", [driver.name for driver in DRIVERS])
def test_any_device_talks_to_any_controller(started: dict[str, Driver], device: str, controller: str) -> None:
    """Both directions, acknowledged and refused, across a cut connection, in order and once."""
    for name in (device, controller):
        if name not in started:
            pytest.skip(f"{name} is not installed here")
    seen: list[bytes] = []
    with (
        started[controller].listen(on_message=lambda message: seen.append(message.payload)) as listening,
        cable_to(listening.port) as cable,
        started[device].dial(TCPConnection("127.0.0.1", cable.port)) as dialled,
    ):
        dialled.wait_connected()
        session = listening.peer("device")
        up = [dialled.send(b"up %d" % number) for number in range(MESSAGES)]
        cable.cut()
        down = [session.send(b"down %d" % number) for number in range(2)]
        taken = dialled.take()
        assert taken.payload == b"down 0"
        taken.ack()
        dialled.take().refuse("rejected")
        assert {each.ended() for each in up} == {Outcome.DELIVERED}
        assert [each.ended() for each in down] == [Outcome.DELIVERED, Outcome.NOT_DELIVERED]
        until(lambda: dialled.metrics.reconnections == 1)
        assert (dialled.metrics.acks_received, listening.metrics.received) == (MESSAGES, MESSAGES)
    assert seen == [b"up %d" % number for number in range(MESSAGES)]

"""The legacy wires under the real driver: sessions on loopback sockets, on asyncio and trio."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from agt.transport import Outcome
from agt.transport._received import ReceivedMessage
from agt.transport._session import Session
from agt.transport._wire_listener import WireListener
from agt.transport.wires.cync import CyncConfig, CyncLink, hello, power_command, status
from agt.transport.wires.lines import LinesConfig, LinesLink

pytestmark = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
ENDPOINT = bytes.fromhex("45880f3a")


class Peers:
    """Who has connected to a listener."""

    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.came = anyio.Event()

    def take(self, session: Session) -> None:
        """Remember a session."""
        self.sessions.append(session)
        self.came.set()


@asynccontextmanager
async def connected(device: Session, listener: WireListener, peers: Peers) -> AsyncIterator[Session]:
    """Dial the listener with a device's session; gives the controller's session."""
    async with listener, anyio.create_task_group() as tasks:
        stream = await anyio.connect_tcp("127.0.0.1", listener.port)
        tasks.start_soon(device.run, stream)
        with anyio.fail_after(5):
            await peers.came.wait()
        yield peers.sessions[0]
        tasks.cancel_scope.cancel()


async def test_cync_device_is_commanded_both_ways_over_one_socket() -> None:
    """As today and reliably, in place; the device's status reaches the application."""
    effects: list[bytes] = []
    reports: list[bytes] = []
    came = anyio.Event()
    peers = Peers()

    def on_report(message: ReceivedMessage) -> None:
        reports.append(bytes(message.payload))
        came.set()

    device = Session(
        CyncLink("device", CyncConfig(hello=hello(ENDPOINT).data)),
        on_message=lambda message: effects.append(bytes(message.payload)),
    )
    listener = WireListener(lambda: CyncLink("controller"), on_peer=peers.take, on_message=on_report)
    first, second = (power_command(ENDPOINT, 1, on=True, number=number).data for number in (1, 2))
    report = status(ENDPOINT, bytes(12), message_id=9).data
    async with connected(device, listener, peers) as controller:
        assert controller.peer == ENDPOINT.hex()
        assert controller.write_nowait(first).outcome is Outcome.WRITTEN
        with anyio.fail_after(5):
            assert await controller.send_nowait(second)
            assert await device.send_nowait(report)
            await came.wait()
        assert effects == [first, second]
        assert reports == [report]
        assert controller.unanswered == 0
        assert listener.written_metrics.observed_replies == 1


async def test_lines_device_is_written_to_and_observed() -> None:
    """Its reply is matched passively; what the controller has to say reaches it in words."""
    effects: list[bytes] = []
    peers = Peers()
    link = LinesLink("device", LinesConfig(name="fan-1", sequenced=True))
    device = Session(link, on_message=lambda message: effects.append(bytes(message.payload)))
    controller_link = LinesLink("controller")
    listener = WireListener(lambda: controller_link, on_peer=peers.take)
    async with connected(device, listener, peers) as controller:
        assert controller.peer == "fan-1"
        controller_link.say("warn", "use native")
        assert controller.write_nowait(b"set 4 on").outcome is Outcome.WRITTEN
        with anyio.fail_after(5):
            while controller.unanswered:
                await anyio.wait_all_tasks_blocked()
        assert effects == [b"set 4 on"]
        assert list(link.warnings) == ["use native"]
        assert listener.written_metrics.observed_replies == 1

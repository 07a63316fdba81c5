"""A gateway that is restarted on purpose: nobody new is let in, everything is answered, nothing ends in doubt."""

from collections import Counter

import anyio
import msgspec
import pytest

from agt.transport import (
    Delivery,
    Outcome,
    Overflow,
    ReceivedMessage,
    ReliableConfig,
    ReliableListener,
    ReliableTransport,
    Session,
    TCPConnection,
)
from support.scenes import unused_port

pytestmark = pytest.mark.anyio
CONFIG = ReliableConfig(backoff_base_s=0.01, backoff_max_s=0.02, recv_queue_max=20)
LOADED = msgspec.structs.replace(CONFIG, send_queue_max=100, overflow=Overflow.BLOCK)
DEVICES, MESSAGES, OURS = 4, 500, 50


class Application:
    """What stands behind both gateways: takes its time to answer, and sends to whoever sends."""

    def __init__(self, enough: int) -> None:
        self.enough = anyio.Event()
        """Set when so many messages have come."""
        self._missing = enough
        self.seen: Counter[bytes] = Counter()
        self.sent: list[Delivery] = []
        self.waiting: list[ReceivedMessage] = []

    def on_message(self, message: ReceivedMessage) -> None:
        """Keep a message for later."""
        self.seen[message.payload] += 1
        self._missing -= 1
        if not self._missing:
            self.enough.set()
        message.defer()
        self.waiting.append(message)

    def on_peer(self, session: Session) -> None:
        """Have something to say to every device."""
        self.sent += [session.send_nowait(b"%d" % number) for number in range(OURS)]

    async def answer(self) -> None:
        """Answer what came some turns of the event loop ago, until cancelled."""
        while True:
            waiting, self.waiting = self.waiting, []
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            for message in waiting:
                message.ack()


async def test_a_planned_restart_under_load_leaves_nothing_in_doubt():
    """Devices send on all the while; every message of theirs is delivered once, over both gateways together."""
    port, application, heard = unused_port(), Application(DEVICES * MESSAGES // 4), Counter[str]()
    sent: list[Delivery] = []
    done = anyio.Event()

    async def gateway(stop: anyio.Event) -> None:
        async with ReliableListener(
            port=port, on_message=application.on_message, on_peer=application.on_peer, config=LOADED
        ) as listener:
            await stop.wait()
            assert await listener.drain(5.0, retry_after_s=0.01) == ()
            assert not any(session.connected for session in listener.sessions.values())

    async def device(name: str) -> None:
        async with ReliableTransport(
            TCPConnection("127.0.0.1", port), name=name, config=LOADED, on_message=lambda _: heard.update([name])
        ) as transport:
            for number in range(MESSAGES):
                delivery = await transport.session.send(b"%s %d" % (name.encode(), number))
                sent.append(delivery)
            for delivery in sent:
                await delivery
            if len(sent) == DEVICES * MESSAGES:
                done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(application.answer)
        for index in range(DEVICES):
            tasks.start_soon(device, f"device-{index}")
        await gateway(application.enough)
        assert len(sent) < DEVICES * MESSAGES, "it was under load"
        await gateway(done)
        tasks.cancel_scope.cancel()
    assert Counter(delivery.outcome for delivery in sent) == {Outcome.DELIVERED: DEVICES * MESSAGES}
    assert set(application.seen.values()) == {1}
    ours = Counter(delivery.outcome for delivery in application.sent)
    assert set(ours) <= {Outcome.DELIVERED, Outcome.NOT_DELIVERED}
    assert sum(heard.values()) == ours[Outcome.DELIVERED] >= OURS * DEVICES


async def test_a_caller_of_a_gateway_that_drains_is_told_when_to_come_back(until):
    """In words; it waits as long, and finds the next gateway."""
    port = unused_port()
    async with ReliableTransport(TCPConnection("127.0.0.1", port), config=CONFIG) as device:
        async with ReliableListener(port=port, on_message=lambda _: None, config=CONFIG) as listener:
            await device.wait_connected()
            assert await listener.drain(5.0, reason="restart", retry_after_s=0.05) == ()
            await until(lambda: "busy: restart, come back in 0.0" in str(device.last_error))
            assert not device.connected
        async with ReliableListener(port=port, on_message=lambda _: None, config=CONFIG):
            assert await device.send_reliable(b"x")


async def test_a_drain_says_who_did_not_finish(cable, until):
    """One whose message nobody answers, and one that was cut off in the middle; not the one that is through."""
    waiting: list[ReceivedMessage] = []

    def on_message(message: ReceivedMessage) -> None:
        if message.payload != b"quick":
            message.defer()
            waiting.append(message)

    async with (
        ReliableListener(on_message=on_message, config=CONFIG) as listener,
        cable(listener.port) as wire,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="quick", config=CONFIG) as quick,
        ReliableTransport(TCPConnection("127.0.0.1", listener.port), name="slow", config=CONFIG) as slow,
        ReliableTransport(TCPConnection("127.0.0.1", wire.port), name="cut", config=CONFIG) as cut,
    ):
        assert await quick.send_reliable(b"quick")
        slow.send_nowait(b"slow")
        cut.send_nowait(b"cut off")
        await until(lambda: len(waiting) == 2)
        wire.plugged = False
        wire.cut()
        await until(lambda: not listener.sessions["cut"].connected)
        assert await listener.drain(0.05) == ("cut", "slow")
        assert not any(session.connected for session in listener.sessions.values())

"""The shadow's stand-ins: what takes mirrored commands, answers or swallows them like a device, and moves nothing.

The fleet runs two of them, the gateway dials them: one speaks the candidate's wire, so that it is exercised and
measured before it carries anything; the other only reads, as a device that control writes to. Whichever runtime is
tried out, its stand-in shows what it would have done, and the other's how much of a difference is noise.
"""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import ByteStream

from agt.chaos.demo._device import REPLY_P50_S
from agt.chaos.demo._files import DemoFiles
from agt.chaos.demo._replies import Replies
from agt.router import Message, Runtimes, Shadow, Twin
from agt.router.shadow import NO_RULES, cync, first_of, lines, parse_shadow_rules
from agt.transport import (
    ConnectionUnavailable,
    Delivery,
    Outcome,
    QueueFull,
    ReceivedMessage,
    ReliableListener,
    ReliableTransport,
    TransportError,
    TransportMetrics,
    UnixConnection,
)

MIRROR_QUEUE_MAX: Final = 2000
"""One twin takes the whole fleet's mirrored commands, so its queue is that of many devices."""
REDIAL_S: Final = 0.5
"""Between two tries to reach control's stand-in."""


async def serve_twin(path: Path) -> None:
    """Take mirrored commands on a socket until cancelled.

    It takes the same time for each: answers of a whole fleet share one connection here, and on that a slow one would
    hold up all behind it, which no device does to another.
    """
    replies = Replies()

    def take(message: ReceivedMessage) -> None:
        message.defer()
        replies.after(REPLY_P50_S, _acknowledging(message))

    await anyio.Path(path).unlink(missing_ok=True)
    async with ReliableListener(path=str(path), name="twin", on_message=take), anyio.create_task_group() as tasks:
        tasks.start_soon(replies.run)


async def serve_control_twin(path: Path) -> None:
    """Swallow what control would have written, until cancelled."""

    async def swallow(stream: ByteStream) -> None:
        async with stream:
            async for _ in stream:
                pass

    await anyio.Path(path).unlink(missing_ok=True)
    async with await anyio.create_unix_listener(path, mode=0o600) as listener:
        await listener.serve(swallow)


def make_shadow(files: DemoFiles) -> Shadow:
    """Make the gateway's shadow, with the rules of `shadow.toml` where there is one.

    Raises:
        RulesInvalid: when those make no sense.
        OSError: when they can't be read.
    """
    path = files.shadow_rules
    rules = parse_shadow_rules(path.read_text("utf-8"), origin=str(path)) if path.exists() else NO_RULES
    return Shadow(classifier=first_of(cync.classify, lines.classify), rules=rules)


@asynccontextmanager
async def dialled_twins(
    shadow: Shadow, files: DemoFiles, runtimes: Runtimes, metrics: TransportMetrics
) -> AsyncIterator[None]:
    """Keep the shadow's stand-ins connected; each runtime's is the one to be tried out, or the floor of the other."""
    transport = ReliableTransport(
        UnixConnection(str(files.twin_socket)), name="mirror", metrics=metrics, send_queue_max=MIRROR_QUEUE_MAX
    )
    control = ControlTwin()
    async with transport, anyio.create_task_group() as tasks:
        tasks.start_soon(control.run, files.control_twin_socket)
        twins: dict[str, Twin] = {runtimes.candidate: TwinPath(transport), runtimes.control: control}
        shadow.twins.update(twins)
        shadow.floor_twins.update(twins)
        yield
        tasks.cancel_scope.cancel()


class ControlTwin:
    """Mirrors messages as control writes: handed to the socket is all that it can say."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Message, Delivery]] = deque()
        self._wake = anyio.Event()

    def send(self, message: Message) -> Delivery:
        """Write a copy soon.

        Raises:
            QueueFull: when the mirror has no room.
        """
        if len(self._waiting) >= MIRROR_QUEUE_MAX:
            raise QueueFull("control's mirror", len(self._waiting))
        delivery = Delivery()
        self._waiting.append((message, delivery))
        self._wake.set()
        return delivery

    async def run(self, path: Path) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                stream = await UnixConnection(str(path)).connect()
                async with stream:
                    await self._write_to(stream)
            except (ConnectionUnavailable, anyio.BrokenResourceError, anyio.ClosedResourceError):
                self._refuse("control's stand-in is gone")
                await anyio.sleep(REDIAL_S)

    async def _write_to(self, stream: ByteStream) -> None:
        while True:
            self._wake = anyio.Event()
            while self._waiting:
                message, delivery = self._waiting.popleft()
                try:
                    await stream.send(message.payload)
                except BaseException:
                    delivery.settle(Outcome.NOT_DELIVERED, reason="control's stand-in is gone")
                    raise
                delivery.settle(Outcome.WRITTEN)
            await self._wake.wait()

    def _refuse(self, reason: str) -> None:
        while self._waiting:
            self._waiting.popleft()[1].settle(Outcome.NOT_DELIVERED, reason=reason)


class TwinPath:
    """Mirrors messages to the stand-in."""

    def __init__(self, transport: ReliableTransport) -> None:
        self._transport = transport

    def send(self, message: Message) -> Delivery:
        """Send a copy; the answer is the twin's.

        Raises:
            QueueFull: when the mirror has no room, which says nothing about the candidate; the shadow sheds it.
        """
        try:
            return self._transport.send_nowait(message.payload, deadline_s=message.deadline_s)
        except QueueFull:
            raise
        except TransportError as error:
            delivery = Delivery()
            delivery.settle(Outcome.NOT_DELIVERED, reason=str(error))
            return delivery


def _acknowledging(message: ReceivedMessage) -> Callable[[], Awaitable[None]]:
    async def acknowledge() -> None:
        message.ack()

    return acknowledge

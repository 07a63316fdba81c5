"""The stand-in for dark launches: a device that takes mirrored commands, answers like a real one, and moves nothing.

The fleet runs it, the gateway dials it over the native wire: so the candidate path is exercised and measured before
it carries anything, and no lamp is switched twice.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

from agt.chaos.demo._device import REPLY_P50_S
from agt.chaos.demo._replies import Replies
from agt.router import Message
from agt.transport import (
    Delivery,
    Outcome,
    QueueFull,
    ReceivedMessage,
    ReliableListener,
    ReliableTransport,
    TransportError,
)


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

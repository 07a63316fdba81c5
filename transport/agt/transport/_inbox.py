"""What has arrived for the application and what it has not taken yet.

Two ways to take it: a bounded queue to wait on, or a handler that is called at once. When the queue is over its
limit, reading from the connection pauses, and so the peer is slowed by its own socket.
"""

import logging
from collections import deque
from collections.abc import Callable

import anyio

from agt.transport._errors import Closed
from agt.transport._received import ReceivedMessage

logger = logging.getLogger("agt.transport")


class Inbox:
    """Received messages of one session, oldest first."""

    __slots__ = ("_arrived", "_closed", "_limit", "_messages", "_on_message")

    def __init__(self, limit: int, on_message: Callable[[ReceivedMessage], None] | None) -> None:
        self._limit = limit
        self._on_message = on_message
        self._messages: deque[ReceivedMessage] = deque()
        self._arrived: anyio.Event | None = None
        self._closed = ""

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: ReceivedMessage) -> None:
        """Queue a message, or hand it to the handler and answer it by how that ended."""
        if self._on_message is None:
            self._messages.append(message)
            if self._arrived is not None:
                self._arrived.set()
                self._arrived = None
            return
        try:
            self._on_message(message)
        except Exception:  # one bad message must not take down every other session
            logger.exception("the message handler failed for a message from %r; it was refused", message.peer)
            message.refuse("rejected")
        else:
            if not message.deferred:
                message.ack()

    async def take(self, limit: int) -> list[ReceivedMessage]:
        """Return what is there, at least one and at most `limit`, waiting for the first.

        Raises:
            Closed: when nothing is left and nothing will come.
        """
        while not self._messages:
            if self._closed:
                raise Closed(f"nothing more can be received: {self._closed}")
            if self._arrived is None:
                self._arrived = anyio.Event()
            await self._arrived.wait()
        return [self._messages.popleft() for _ in range(min(limit, len(self._messages)))]

    @property
    def behind(self) -> bool:
        """Whether more than the limit is waiting for the application."""
        return len(self._messages) > self._limit and not self._closed

    def close(self, reason: str) -> None:
        """Wake everyone who waits: nothing more will come."""
        self._closed = reason
        if self._arrived is not None:
            self._arrived.set()

"""What has arrived for the application and what it has not taken yet.

Two ways to take it: a bounded queue to wait on, or a handler that is called at once, with each message or with all that
came together. When the queue is over its limit, reading from the connection pauses, and so the peer is slowed by its
own socket. Answers go to the link in runs, as far as they are the same.
"""

import logging
from collections.abc import Callable

import anyio

from agt.transport._errors import Closed, UsageError
from agt.transport._events import Received
from agt.transport._received import Answers, ReceivedBatch, ReceivedMessage, messages_of

logger = logging.getLogger("agt.transport")


class Inbox:
    """Received messages of one session, oldest first."""

    __slots__ = ("_arrived", "_closed", "_limit", "_messages", "_on_batch", "_on_message", "behind")

    def __init__(
        self,
        limit: int,
        on_message: Callable[[ReceivedMessage], None] | None,
        on_batch: Callable[[ReceivedBatch], None] | None,
    ) -> None:
        if on_message is not None and on_batch is not None:
            raise UsageError("give on_message or on_batch, not both: each message goes one way")
        self._limit = limit
        self._on_message = on_message
        self._on_batch = on_batch
        self._messages: list[ReceivedMessage] = []  # Emptied in runs, and an empty deque weighs ten times as much.
        self._arrived: anyio.Event | None = None
        self._closed = ""
        self.behind = False
        """Whether more than the limit is waiting for the application."""

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, event: Received, answers: Answers) -> None:
        """Queue messages, or hand them to the handler and answer them by how that ended."""
        if self._on_batch is not None:
            handle_batch(self._on_batch, ReceivedBatch(answers, event.token, event.payloads, event.sequence))
            return
        messages = messages_of(answers, event.token, event.payloads, event.sequence)
        if self._on_message is not None:
            handle_run(self._on_message, event.token, messages, answers)
            return
        self._messages += messages
        self.behind = len(self._messages) > self._limit
        if self._arrived is not None:
            self._arrived.set()
            self._arrived = None

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
        taken = self._messages[:limit]
        del self._messages[:limit]
        self.behind = len(self._messages) > self._limit and not self._closed
        return taken

    def close(self, reason: str) -> None:
        """Wake everyone who waits: nothing more will come."""
        self._closed = reason
        self.behind = False
        if self._arrived is not None:
            self._arrived.set()


def handle_run(
    handler: Callable[[ReceivedMessage], None], first: int, messages: list[ReceivedMessage], answers: Answers
) -> None:
    """Call the handler with each message; those whose answer it left to us are acknowledged by the run."""
    unsaid = first  # The token from which on nothing has been answered.
    for token, message in enumerate(messages, first):
        failed = False
        try:
            handler(message)
        except Exception:  # one bad message must not take down every other session
            logger.exception("the message handler failed for a message from %r; it was refused", message.peer)
            failed = True
        if failed or message.answered or message.deferred:
            if token > unsaid:
                answers.acknowledge(unsaid, token - unsaid)
            unsaid = token + 1
            if failed:
                message.refuse("rejected")
            elif message.put_off_s >= 0:
                # What came with it is put off unseen, so that it comes again in order.
                for later in messages[token - first + 1 :]:
                    later.refuse("busy", retry_after_s=message.put_off_s)
                return
        else:
            message.answered = True
    behind = first + len(messages)
    if behind > unsaid:
        answers.acknowledge(unsaid, behind - unsaid)


def handle_batch(handler: Callable[[ReceivedBatch], None], batch: ReceivedBatch) -> None:
    """Call the handler with a batch, and answer for it what it left to us."""
    try:
        handler(batch)
    except Exception:  # one bad batch must not take down every other session
        logger.exception("the batch handler failed for %r; what it had not answered was refused", batch)
        batch.refuse("rejected")
    else:
        if not batch.deferred:
            batch.ack()

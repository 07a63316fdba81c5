"""What has arrived for the application and what it has not taken yet, for any thread.

Two ways to take it: a bounded queue to wait on, or a handler that the I/O thread calls. When the queue is over its
limit, reading from the connection pauses, and so the peer is slowed by its own socket.
"""

import math
from collections import deque
from collections.abc import Callable

from agt.transport._errors import Closed
from agt.transport._events import Received
from agt.transport._inbox import handle_run
from agt.transport._message_id import CHANNEL_SHIFT
from agt.transport._received import Answers, ReceivedMessage, messages_of
from agt.transport.blocking._engine import HELD_BACK_S, Engine, clock
from agt.transport.blocking._handle import Ticket
from agt.transport.blocking._io_thread import not_in
from agt.transport.blocking._waiting import Waiting


class Inbox:
    """Received messages of one session, oldest first."""

    def __init__(
        self,
        engine: Engine,
        waiting: Waiting,
        answers: Answers,
        limit: int,
        on_message: Callable[[ReceivedMessage], None] | None,
    ) -> None:
        self._engine, self._waiting, self._answers = engine, waiting, answers
        self._limit = limit
        self._on_message = on_message
        engine.answers_follow = on_message is not None
        self._messages: deque[tuple[int, ReceivedMessage]] = deque()  # With their tokens.
        self._arrivals: deque[Ticket] = deque()
        self._owed = 0
        self._called = False
        self._closed = ""
        self._epoch = 0
        self._epoch_from: dict[int, int] = {}
        self.handing = False
        """Whether the I/O thread is in the handler, and so can't do anything else."""

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, event: Received) -> None:
        """Take messages in; with the lock held."""
        if event.epoch != self._epoch:
            self._epoch, self._epoch_from = event.epoch, {}
        self._epoch_from.setdefault(event.channel, event.token)
        messages = messages_of(self._answers, event.token, event.payloads, event.sequence)
        self._messages.extend(enumerate(messages, event.token))
        if self._on_message is not None:
            if not self._called:
                self._called = True
                self._engine.io.call(self._hand_over)
        else:
            for _ in range(min(len(self._arrivals), len(event.payloads))):
                self._arrivals.popleft().call()
        conduit = self._engine.conduit
        if len(self._messages) > self._limit and conduit is not None:
            conduit.look(reading=False)

    def epoch_of(self, token: int) -> int:
        """Return the incarnation of the peer's outbox that a message is of; 0 when that has gone."""
        first = self._epoch_from.get(token >> CHANNEL_SHIFT)
        return self._epoch if first is not None and token >= first else 0

    def take(self, limit: int, timeout_s: float | None) -> list[ReceivedMessage]:
        """Return what is there, at least one and at most `limit`, waiting for the first; without the lock.

        Raises:
            TimeoutError: when none came within so many seconds.
            UsageError: in a callback, which would wait for itself.
            Closed: when nothing is left and nothing will come.
        """
        not_in(self._engine.io, "waiting for a message")
        give_up_at = math.inf if timeout_s is None else clock() + timeout_s
        while True:
            with self._engine.lock:
                if self._messages:
                    return self._take(limit)
                if self._closed:
                    raise Closed(f"nothing more can be received: {self._closed}")
                ticket = Ticket()
                self._arrivals.append(ticket)
            try:
                self._waiting.wait(ticket, give_up_at)
            finally:
                self._leave(ticket)
            if not ticket.called and timeout_s is not None:
                raise TimeoutError(f"no message within {timeout_s:g} s")

    def acknowledge(self, token: int, count: int = 1) -> None:
        """Tell the peer that messages were processed: `count` of them, from this token on."""
        with self._engine.lock:
            if self._closed:
                return
            self._engine.link.acknowledge(token, now=clock(), count=count)
            self._answered(count)
        self._engine.run_later()

    def refuse(self, token: int, code: str, retry_after_s: float = 0.0) -> None:
        """Tell the peer that a message will not be processed."""
        with self._engine.lock:
            if self._closed:
                return
            self._engine.link.refuse(token, code, now=clock(), retry_after_s=retry_after_s)
            self._answered()
        self._engine.run_later()

    def close(self, reason: str) -> None:
        """Wake everyone who waits: nothing more will come; with the lock held."""
        self._closed = reason
        while self._arrivals:
            self._arrivals.popleft().call()

    def _take(self, limit: int) -> list[ReceivedMessage]:
        batch = [self._messages.popleft()[1] for _ in range(min(limit, len(self._messages)))]
        self._owed += len(batch)
        self._read_on()
        return batch

    def _leave(self, ticket: Ticket) -> None:
        with self._engine.lock:
            if ticket in self._arrivals:
                self._arrivals.remove(ticket)

    def _answered(self, count: int = 1) -> None:
        """Write the answer now, or with those to the other messages that the application has taken."""
        if self.handing and self._engine.io.is_current:
            return
        self._owed -= count
        if self._owed > 0 and not self.handing:
            self._engine.exchange_soon()
        else:
            self._owed = 0
            self._engine.exchange()

    def _read_on(self) -> None:
        conduit = self._engine.conduit
        if conduit is not None and not conduit.reading and len(self._messages) <= self._limit:
            conduit.look(reading=True)

    # In the I/O thread, without the lock

    def _hand_over(self) -> None:
        """Call the handler with everything that is there, and then write what it answered."""
        assert self._on_message is not None, "called only where there is a handler"
        engine = self._engine
        with engine.lock:
            self.handing = True
            if engine.held:
                engine.exchange()  # The handler may take its time; what was gathered doesn't wait for it.
        written_at = clock()
        while self._messages and not self._closed:
            token, message = self._messages.popleft()
            handle_run(self._on_message, token, [message], self._answers)
            if message.put_off_s >= 0:
                self._put_off(message)
            if clock() - written_at > HELD_BACK_S:
                with engine.lock:
                    engine.exchange()
                written_at = clock()
        with engine.lock:
            self.handing = self._called = False
            self._read_on()
            engine.exchange()
            if self._messages and not self._called:
                self._called = True
                engine.io.call(self._hand_over)
        engine.run_later()

    def _put_off(self, message: ReceivedMessage) -> None:
        """Put off, unseen, what waits behind a message that its handler was too busy for: it comes again in order."""
        with self._engine.lock:
            behind = [later for _, later in self._messages if later.channel == message.channel]
            others = [(token, later) for token, later in self._messages if later.channel != message.channel]
            self._messages = deque(others)
        for later in behind:
            later.refuse("busy", retry_after_s=message.put_off_s)

"""A legacy socket that speaks lines: write and hope, with replies that can at least be watched.

Nothing is sent again here, so the most that a send can end as is `written`. What makes this wire measurable is that
devices answer `ok <number>`: replies are matched passively and come as `Observed`. A device that announces `seq`
keeps one watermark over all its attachments, so a message that was in doubt at a move may be given to the other
attachment under the same number: the barrier is then `sequence`, else `none`.
"""

import math
from collections import deque
from collections.abc import Iterator
from typing import Literal

from agt.transport._errors import ConnectionUnavailable, MessageTooLarge, QueueFull, UsageError
from agt.transport._events import Dropped, Event, Opened, Received, Settled
from agt.transport._link import Withdrawal
from agt.transport._outcome import Outcome
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport._wire import Barrier, MoveKind, WireTraits, only_channel
from agt.transport.wires.lines._config import LinesConfig
from agt.transport.wires.lines._observer import ReplyObserver
from agt.transport.wires.lines._text import Greeting, LineReader, greeting_line, number_in, read_greeting

Role = Literal["controller", "device"]


class LinesLink:
    """One end of a lines connection; see `agt.transport.Link` for the calling order."""

    def __init__(self, role: Role, config: LinesConfig | None = None) -> None:
        """Make one end.

        Raises:
            UsageError: when a device has no usable name.
        """
        self._role = role
        self._config = config or LinesConfig()
        self._hello = b""
        if role == "device":
            self._hello = greeting_line(Greeting(self._config.name, self._config.sequenced))
        self._events: deque[Event] = deque()
        self._observer = ReplyObserver(
            self._events, timeout_s=self._config.reply_timeout_s, limit=self._config.unanswered_max
        )
        self._queue: dict[Outgoing, bytes] = {}
        """Message to its line, oldest first."""
        self.make_outgoing: MakesOutgoing = Outgoing
        """Makes each message of `send`; a driver puts its own class here before the first one."""
        self._unprocessed: dict[int, int | None] = {}
        """Token to the number that its reply will carry."""
        self._reader = LineReader(self._config.line_max_bytes)
        self._out: list[bytes] = []
        self._unsent_bytes = 0
        self._last_message = self._last_token = 0
        self._connected = self._opened = self._dropped = False
        self.peer = ""
        """Controller role: the device's id, from its hello on."""
        self.sequenced = self._config.sequenced
        """Whether the device keeps one watermark over all its attachments."""
        self.warnings: deque[str] = deque(maxlen=self._config.warnings_max)
        """Device role: what the controller had to say, latest last."""
        self.decode_errors = 0
        self.overflowed = 0
        """Messages dropped because the application was too far behind."""

    # What can be known

    @property
    def traits(self) -> WireTraits:
        """What this wire can promise; the barrier is known once the device has said hello."""
        return WireTraits(
            name="lines",
            barrier=Barrier.SEQUENCE if self.sequenced else Barrier.NONE,
            move=MoveKind.WARM,
            acknowledges=False,
            recognises_resends=self.sequenced,
            max_payload=self._config.line_max_bytes,
        )

    @property
    def in_flight(self) -> int:
        """Always 0: a message on this wire ends by being written."""
        return 0

    @property
    def queued(self) -> int:
        """Messages accepted and not yet written."""
        return len(self._queue)

    @property
    def oldest_in_flight_at(self) -> float:
        """When the oldest unsettled message was given to `send`; `math.inf` when there is none."""
        return next((message.accepted_at for message in self._queue), math.inf)

    @property
    def unanswered(self) -> int:
        """Written messages whose reply may still come."""
        return len(self._observer)

    @property
    def observed_missing(self) -> int:
        """Written messages whose reply never came."""
        return self._observer.missing

    @property
    def unmatched_acks(self) -> int:
        """Replies that no written message explains."""
        return self._observer.unmatched

    # The connection

    def connection_made(self, *, now: float) -> None:  # noqa: ARG002  # The link protocol gives the time.
        """Start on a fresh connection; a device says hello and takes messages from then on."""
        self._reader = LineReader(self._config.line_max_bytes)
        self._unprocessed.clear()
        self._out.clear()
        self._unsent_bytes = 0
        self._connected, self._opened, self._dropped = True, False, False
        if self._hello:
            self._queue_bytes(self._hello)
            self._open("controller")

    def connection_lost(self, *, now: float) -> None:  # noqa: ARG002  # The link protocol gives the time.
        """Note that the connection is gone; queued messages wait for the next, replies are given up."""
        self._connected = self._opened = False
        self._out.clear()
        self._unsent_bytes = 0
        self._observer.connection_lost()

    # Sending

    def send(self, payload: bytes, *, now: float, deadline: float, channel: int = 0) -> Outgoing:
        """Accept one line and return its message; it ends as `written`, or `not_delivered` by `deadline`.

        Raises:
            QueueFull: when the send queue is at its limit.
            MessageTooLarge: when the line is over the limit.
            UsageError: when it isn't one line, or for another channel.
        """
        only_channel(channel, "lines")
        line = self._line(payload)
        if len(self._queue) >= self._config.send_queue_max:
            raise QueueFull("the send queue", self._config.send_queue_max)
        self._last_message += 1
        message = self.make_outgoing(payload, now, deadline)
        message.sequence = self._last_message
        self._queue[message] = line
        return message

    def write(self, payload: bytes, *, now: float) -> int:
        """Write one line as today and return its number; the reply comes as `Observed`, if it comes.

        Raises:
            ConnectionUnavailable: when there is no connection to write to.
            QueueFull: when the driver can't get rid of what was written before.
            MessageTooLarge: when the line is over the limit.
            UsageError: when it isn't one line.
        """
        line = self._line(payload)
        if not self._connected:
            raise ConnectionUnavailable(self.peer or "the peer", "it is not connected")
        if self._unsent_bytes + len(line) > self._config.unsent_max_bytes:
            raise QueueFull("the unsent bytes", self._config.unsent_max_bytes)
        self._last_message += 1
        self._put(self._last_message, line, now)
        return self._last_message

    def say(self, kind: Literal["warn", "error"], text: str) -> None:
        """Controller role: tell the device's people something, in one line; `error` means that it is refused.

        Says nothing where there is no connection. The text is cut to one line within the limit.
        """
        if self._connected:
            line = f"{kind} {' '.join(text.split())}".encode()[: self._config.line_max_bytes]
            self._queue_bytes(line.decode("utf-8", "ignore").encode() + b"\n")

    def cancel(self, message: Outgoing, *, now: float) -> None:
        """Give up on a message that was not written yet; it ends as `not_delivered`."""
        self._end_unwritten(message, "cancelled", now)

    def withdraw(self, *, now: float) -> Withdrawal:  # noqa: ARG002  # The link protocol gives the time.
        """Take back what was not written; what was has ended as `written` and is in nobody's hands."""
        unsent = tuple(self._queue)
        self._queue.clear()
        return Withdrawal(unsent=unsent, in_doubt=())

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended, which is what was not written, oldest first."""
        return iter(tuple(self._queue))

    # Receiving

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, cut anywhere."""
        if self._dropped or not self._connected:
            return
        lines, overlong = self._reader.feed(data)
        for line in lines:
            if not self._dropped:
                self._receive(line, now)
        if overlong:
            self._drop(f"a line over {self._config.line_max_bytes} bytes")

    def acknowledge(self, token: int, *, now: float, count: int = 1) -> None:  # noqa: ARG002  # The link protocol gives the time.
        """Reply `ok <number>` to processed messages; a no-op where the connection is gone or there is no number."""
        for each in range(token, token + count):
            number = self._unprocessed.pop(each, None)
            if number is not None and self._connected:
                self._queue_bytes(b"ok %d\n" % number)

    def refuse(self, token: int, code: str, *, now: float, retry_after_s: float = 0.0) -> None:  # noqa: ARG002  # This wire has no words for it.
        """Leave a message without a reply, which is all this wire can say."""
        self._unprocessed.pop(token, None)

    # The driver's side

    def data_to_send(self, *, now: float) -> bytes:
        """Return, once, the bytes that should go to the peer now; empty when there are none."""
        self._advance(now)
        data = b"".join(self._out)
        self._out.clear()
        self._unsent_bytes = 0
        return data

    def next_deadline(self) -> float:
        """When `handle_timer` should next be called; `math.inf` when nothing is pending."""
        nearest = min((message.deadline for message in self._queue), default=math.inf)
        return min(nearest, self._observer.next_deadline(math.inf))

    def handle_timer(self, *, now: float) -> None:
        """Settle what is overdue; a no-op when nothing is."""
        self._advance(now)

    def next_event(self) -> Event | None:
        """Return the next event, oldest first, or None."""
        return self._events.popleft() if self._events else None

    # Inside

    def _line(self, payload: bytes) -> bytes:
        if len(payload) > self._config.line_max_bytes:
            raise MessageTooLarge(len(payload), self._config.line_max_bytes)
        if not payload or b"\n" in payload or b"\r" in payload:
            raise UsageError("a message on the lines wire is exactly one line, without its newline")
        return payload + b"\n"

    def _advance(self, now: float) -> None:
        self._observer.expire(now)
        for message in [message for message in self._queue if message.deadline <= now]:
            self._end_unwritten(message, "its deadline passed", now)
        while self._opened and self._queue and self._unsent_bytes < self._config.unsent_max_bytes:
            message = next(iter(self._queue))
            self._put(message.sequence, self._queue.pop(message), now)
            self._events.append(Settled(message, Outcome.WRITTEN, "", now - message.accepted_at))

    def _end_unwritten(self, message: Outgoing, reason: str, now: float) -> None:
        if self._queue.pop(message, None) is not None:
            self._events.append(Settled(message, Outcome.NOT_DELIVERED, reason, now - message.accepted_at))

    def _put(self, message: int, line: bytes, now: float) -> None:
        number = number_in(line)
        if number is not None:
            self._observer.wrote(message, number, now=now)
        self._queue_bytes(line)

    def _receive(self, line: bytes, now: float) -> None:
        word = line.split(maxsplit=1)[:1]
        if self._role == "controller" and not self._opened:
            greeting = read_greeting(line)
            if greeting is None or (self.peer and greeting.name != self.peer):
                self._drop("the first line must be `hello <id>` or `hello <id> seq`, from the device that it was")
            else:
                self.sequenced = greeting.sequenced
                self._open(greeting.name)
        elif word == [b"ok"]:
            number = number_in(line)
            if number is None:
                self.decode_errors += 1
            else:
                self._observer.replied(number, now=now)
        elif self._role == "device" and word in ([b"warn"], [b"error"]):
            self._heed(line.decode("utf-8", "replace"))
        elif word:
            self._hand_on(line)

    def _heed(self, line: str) -> None:
        kind, _, text = line.partition(" ")
        self.warnings.append(text)
        if kind == "error":
            self._dropped = True
            self._events.append(Dropped(text or "refused", "us", final=True))

    def _hand_on(self, line: bytes) -> None:
        if len(self._unprocessed) >= self._config.unprocessed_max:
            self.overflowed += 1
            return
        number = number_in(line)
        self._last_token += 1
        self._unprocessed[self._last_token] = number
        self._events.append(Received(self._last_token, [line], -1 if number is None else number))

    def _open(self, peer: str) -> None:
        self._opened, self.peer = True, peer
        self._events.append(Opened(peer, resumed=False))

    def _queue_bytes(self, data: bytes) -> None:
        self._out.append(data)
        self._unsent_bytes += len(data)
        if self._unsent_bytes > 2 * self._config.unsent_max_bytes:
            self._drop("it asks on and does not read the answers")

    def _drop(self, reason: str) -> None:
        if not self._dropped:
            self._dropped = True
            self.decode_errors += 1
            self._events.append(Dropped(reason, "peer", final=False))

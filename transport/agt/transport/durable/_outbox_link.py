"""A native link whose messages outlive their process: nothing goes out, and no end is told, before it is durable.

Theory of operation. The link numbers each message when it is accepted, and its number is its place in the outbox. It
may write to the wire only what the store has confirmed (`release`), so a sequence that the receiver has seen is always
one that a restarted sender knows. What a link gives up (expired, cancelled, refused, withdrawn) is noted in the store
as *ended* before anything else is written and before a `not_delivered` is told: a restarted sender skips it again
instead of sending it. `delivered` needs no write: should the row come back after a crash, the receiver knows its
number. `indeterminate` claims nothing, so it never waits. The memory token of the receiver is durable before the
first message goes to it, since a restarted sender must know whether it has been forgotten.

When a write fails, what was in it has never been sent: it ends as `not_delivered`, or as `indeterminate` when nobody
can say whether it was written. From then on `send` raises, what was durable before goes on, and the ends that can't
be noted are told as `indeterminate`. After `reopened` the outbox goes on.

Pure: whoever drives it takes `next_write`, and calls `written` or `failed`; `on_write` says that there is something.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from agt.transport._ack_level import AckLevel
from agt.transport._errors import Closed, QueueFull
from agt.transport._events import Event, Settled
from agt.transport._link import Withdrawal
from agt.transport._outcome import Outcome
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport._wire import WireTraits
from agt.transport.durable._errors import StoreUnavailable
from agt.transport.durable._outbox_book import OutboxBook
from agt.transport.durable._writes import OutboxWrite, Past
from agt.transport.wires.native import KeepingLink

MARGIN_SHARE: Final = 0.1
MARGIN_MAX_S: Final = 0.05
"""How much of a message's time is kept for noting its end: this share of it, and at most so much."""
TIDY_AFTER_S: Final = 1.0
"""After so long, rows of messages that have ended are deleted without another reason to write."""
UNSTORED: Final = "the outbox could not store it"
UNNOTED: Final = "and the outbox could not note that"


class OutboxLink:
    """A `Link` over a `NativeLink` that numbers on accept, and an outbox that somebody writes."""

    def __init__(
        self,
        link: KeepingLink,
        past: Past,
        *,
        max_messages: int,
        max_bytes: int,
        on_write: Callable[[], None],
        flush: Callable[[], None],
    ) -> None:
        """Wrap a link that was made for this past and has no message yet.

        Args:
            link: what carries the messages.
            past: what the outbox holds already; see `restore`.
            max_messages: messages held at most.
            max_bytes: bytes of their payloads held at most.
            on_write: called when `next_write` may have something; often, so it should be cheap.
            flush: has everything written before it returns, blocking, if that can be done.
        """
        self._link = link
        self.name = past.name
        """Who the outbox sends as."""
        self._past = past
        self._book = OutboxBook(past)
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._on_write = on_write
        self._flush = flush
        self._held: list[Settled] = []
        self._events: deque[Event] = deque()
        self._verdicts: dict[Outgoing, tuple[Outcome, str]] = {}
        self._tidy_at = math.inf
        self._tidy = False
        self._bases = {channel: was.base for channel, was in past.channels.items()}
        self._closed = False
        self.trouble: StoreUnavailable | None = None
        """Why nothing more is accepted; None while all is well."""
        self.on_change: Callable[[], None] = _nobody
        """Called when the store has changed something, so that there may be events and bytes; the driver's to set."""
        self.counters = link.counters
        """The link's own."""
        link.tell_endings(self._on_ended)

    def __getattr__(self, name: str) -> Any:
        """Return what only the link inside has."""
        return getattr(self._link, name)

    # What can be known: the link's own answers

    @property
    def make_outgoing(self) -> MakesOutgoing:
        """Makes each message of `send`."""
        return self._link.make_outgoing

    @make_outgoing.setter
    def make_outgoing(self, make: MakesOutgoing) -> None:
        self._link.make_outgoing = make

    @property
    def traits(self) -> WireTraits:
        """What this wire can promise."""
        return self._link.traits

    @property
    def ack_level(self) -> AckLevel:
        """What the peer has done with a message before it acknowledges it."""
        return self._link.ack_level

    @property
    def in_flight(self) -> int:
        """Messages written to the wire and not settled yet."""
        return self._link.in_flight

    @property
    def queued(self) -> int:
        """Messages accepted and not yet written to the wire."""
        return self._link.queued

    @property
    def oldest_in_flight_at(self) -> float:
        """When the oldest unsettled message was given to `send`; `math.inf` when there is none."""
        return self._link.oldest_in_flight_at

    @property
    def held_bytes(self) -> int:
        """Bytes of the payloads that may still have to be sent."""
        return self._book.bytes

    @property
    def accepted_count(self) -> int:
        """Messages accepted by this process."""
        return self._book.accepted_count

    @property
    def stored_count(self) -> int:
        """How many of them are durable, or were; they become so in the order accepted."""
        return self._book.stored_count

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended: first what was written, then what was not, each oldest first."""
        return self._link.unsettled()

    # The past

    def restore(self, *, now: float, wall_now: float) -> list[Outgoing]:
        """Take up what the last process left, and return those messages that still may be delivered.

        Called once, after `make_outgoing` was set and before anything else. Deadlines go on by the wall clock; a wall
        clock that was set back gives no message more time than its sender did.
        """
        alive: list[Outgoing] = []
        for channel, was in self._past.channels.items():
            messages = []
            for sequence, row in enumerate(was.messages, was.base + 1):
                left_s = min(row.deadline - wall_now, row.deadline - row.accepted_at)
                accepted_at = now - max(0.0, wall_now - row.accepted_at)
                message = self._link.make_outgoing(row.payload, accepted_at, now + left_s, channel, self._past.epoch)
                message.sequence = sequence
                if row.ended:
                    message.ending, message.told = "ended before a restart", True
                else:
                    alive.append(message)
                messages.append(message)
            self._link.restore(channel, was.base, messages, may_be_out=bool(self._past.peer_memory))
            if messages:
                self._link.release(channel, messages[-1].sequence)
        self._past = Past(self._past.name, self._past.epoch)
        return alive

    # The application's side

    def send(self, payload: bytes, *, now: float, deadline: float, channel: int = 0) -> Outgoing:
        """Accept a message; it goes out as soon as it is durable.

        Raises:
            QueueFull: when the outbox holds as much as it may.
            MessageTooLarge: when the wire can't carry it.
            StoreUnavailable: when the outbox is closed after trouble.
            UsageError: when there is no such channel.
        """
        size = len(payload)
        self._check_room(1, size)
        early = told_by_link(now, deadline)
        try:
            message = self._link.send(payload, now=now, deadline=early, channel=channel)
        except QueueFull:  # Full of numbers that have ended.
            self._link.reclaim()
            message = self._link.send(payload, now=now, deadline=early, channel=channel)
        self._book.accept(message, size)
        self._on_write()
        return message

    def send_run(
        self, payloads: Sequence[bytes], *, now: float, deadline: float, channel: int = 0
    ) -> Sequence[Outgoing]:
        """Accept messages, all or none: `send`, for a run of them at once."""
        sizes = list(map(len, payloads))
        self._check_room(len(sizes), sum(sizes))
        early = told_by_link(now, deadline)
        try:
            messages = self._link.send_run(payloads, now=now, deadline=early, channel=channel)
        except QueueFull:
            self._link.reclaim()
            messages = self._link.send_run(payloads, now=now, deadline=early, channel=channel)
        self._book.accept_run(messages, sum(sizes))
        self._on_write()
        return messages

    def cancel(self, message: Outgoing, *, now: float) -> None:
        """Give up on a message early; it still ends exactly once. A no-op when it has ended."""
        self._link.cancel(message, now=now)
        self._after(now)

    def withdraw(self, *, now: float) -> Withdrawal:
        """Take back everything unsettled, without an event; blocks until a restarted process would know it.

        What the store can't note is in doubt: a later process will send it. After `let_go` all of it is.
        """
        if self._closed:
            return Withdrawal([], list(self._link.unsettled()))
        withdrawal = self._link.withdraw(now=now)
        self._after(now)
        self._flush()
        if self.trouble is not None:
            return Withdrawal([], [*withdrawal.in_doubt, *withdrawal.unsent])
        return withdrawal

    def let_go(self) -> None:
        """Accept no more, and leave everything in the outbox, for the next process."""
        self._closed = True

    def acknowledge(self, token: int, *, now: float, count: int = 1) -> None:
        """Say that the application has processed received messages."""
        self._link.acknowledge(token, now=now, count=count)

    def refuse(self, token: int, code: str, *, now: float, retry_after_s: float = 0.0) -> None:
        """Say that the application will not process a received message, and why."""
        self._link.refuse(token, code, now=now, retry_after_s=retry_after_s)

    def drain(self, text: str, *, within_s: float, now: float) -> None:
        """Shut the connection down in order; what was not written stays in the outbox."""
        self._link.drain(text, within_s=within_s, now=now)

    def close(self, text: str, *, now: float) -> None:
        """End the connection in words; the peer may dial again."""
        self._link.close(text, now=now)

    # The connection's side

    def connection_made(self, *, now: float) -> None:
        """Start on a fresh connection."""
        # The receiver is told which numbers have ended, so a restarted sender has to know that, too.
        if not self._book.holds_back:
            self._link.reclaim()
        self._link.connection_made(now=now)
        self._after(now)

    def connection_lost(self, *, now: float) -> None:
        """Note that the connection is gone; nothing is settled by this alone."""
        self._link.connection_lost(now=now)
        self._after(now)

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, cut anywhere."""
        self._link.receive_data(data, now=now)
        self._after(now)

    def data_to_send(self, *, now: float) -> bytes:
        """Return, once, the bytes that should go to the peer now; empty when there are none."""
        return self._link.data_to_send(now=now)

    def next_deadline(self) -> float:
        """When `handle_timer` should next be called; `math.inf` when nothing is pending."""
        deadline = min(self._link.next_deadline(), self._tidy_at)
        return min(deadline, *(told_by(event.message) for event in self._held)) if self._held else deadline

    def handle_timer(self, *, now: float) -> None:
        """Do what has come due; a no-op when nothing has."""
        self._link.handle_timer(now=now)
        self._after(now)
        if now >= self._tidy_at:
            self._tidy_at, self._tidy = math.inf, True
            self._on_write()
        for event in [event for event in self._held if told_by(event.message) <= now]:
            self._held.remove(event)
            self._events.append(_in_doubt(event))

    def next_event(self) -> Event | None:
        """Return the next event, oldest first, or None; a `not_delivered` waits until it is noted."""
        while not self._events:
            event = self._link.next_event()
            if not isinstance(event, Settled):
                return event
            self._sort(event)
            if event in self._held:
                continue
        return self._events.popleft()

    # The store's side

    def next_write(self, *, now: float, wall_now: float) -> OutboxWrite | None:
        """Return what has to be made durable now, all of it in one transaction; None when nothing."""
        if self.trouble is not None:
            return None
        write = self._book.next_write(wall_now - now, tidy=self._tidy or self._closed)
        if write is not None:
            self._tidy_at, self._tidy = math.inf, False
        return write

    def written(self, *, now: float) -> None:
        """What `next_write` returned last is durable."""
        for channel, through in self._book.written().items():
            self._link.release(channel, through)
        noted = [event for event in self._held if self._book.noted(event.message)]
        self._held = [event for event in self._held if not self._book.noted(event.message)]
        self._events += noted
        self._after(now)

    def failed(self, error: StoreUnavailable, *, definite: bool, now: float) -> None:
        """What `next_write` returned last is not durable, or nobody can say (`definite` is false)."""
        self.trouble = error
        in_it, since = self._book.failed()
        reason = f"{UNSTORED}: {error.why}"
        # What has been told already gets no verdict: nothing would ever take it up.
        for message in in_it:
            if not message.told:
                self._verdicts[message] = (Outcome.NOT_DELIVERED if definite else Outcome.INDETERMINATE, reason)
        for message in since:
            if not message.told:
                self._verdicts[message] = (Outcome.NOT_DELIVERED, reason)
        for message in (*in_it, *since):
            self._link.cancel(message, now=now)
        self._events += (_in_doubt(event) for event in self._held)
        self._held = []
        self._after(now)

    def reopened(self) -> None:
        """The store works again: go on."""
        self.trouble = None
        self._on_write()

    # Within

    def _refuse(self) -> None:
        if self.trouble is not None:
            raise self.trouble.again()
        raise Closed("the outbox was closed")

    def _check_room(self, count: int, size: int) -> None:
        """Hold that there is room, now or after looking closer."""
        if self.trouble is not None or self._closed:
            self._refuse()
        link, book = self._link, self._book
        if link.in_flight + link.queued + count > self._max_messages:
            raise QueueFull("outbox", self._max_messages)
        if book.bytes + size > self._max_bytes:
            link.reclaim()
            self._note_bases(math.inf)
            if book.bytes + size > self._max_bytes:
                raise QueueFull("outbox", self._max_bytes, unit="bytes")

    def _after(self, now: float) -> None:
        """Take notice of what the link has done."""
        self._note_bases(now)
        self._book.meet(self._link.peer_memory)
        held_back = self._book.holds_back
        self._link.hold(held_back)
        if held_back and not self._book.writing:
            self._on_write()

    def _note_bases(self, now: float) -> None:
        for channel, base in self._link.settled_through().items():
            if base != self._bases.get(channel, 0):
                self._bases[channel] = base
                self._book.settled(channel, base)
                self._tidy_at = min(self._tidy_at, now + TIDY_AFTER_S)

    def _on_ended(self, message: Outgoing) -> None:
        """The link gives a message up; called before its payload is freed."""
        self._book.ended(message, len(message.payload))

    def _sort(self, event: Settled) -> None:
        """Let a settlement go on, or hold it until it is noted."""
        verdict = self._verdicts.pop(event.message, None)
        if verdict is not None:
            event.outcome, event.reason = verdict
        if event.outcome is not Outcome.NOT_DELIVERED or self._book.noted(event.message):
            self._events.append(event)
        elif self.trouble is not None:
            self._events.append(_in_doubt(event))
        else:
            self._held.append(event)


def _nobody() -> None:
    """Who is told before a driver says otherwise."""


def told_by_link(now: float, deadline: float) -> float:
    """By when the link has to know how a message ended, so that there is time to note it."""
    span_s = deadline - now
    return deadline - min(MARGIN_MAX_S, MARGIN_SHARE * span_s) if span_s > 0 else deadline


def told_by(message: Outgoing) -> float:
    """When the sender of this message has to be told, come what may; the link's own deadline lies a little earlier."""
    span_s = message.deadline - message.accepted_at
    return message.accepted_at + min(span_s / (1 - MARGIN_SHARE), span_s + MARGIN_MAX_S)


def _in_doubt(event: Settled) -> Settled:
    event.outcome = Outcome.INDETERMINATE
    event.reason = f"{event.reason}, {UNNOTED}"
    return event

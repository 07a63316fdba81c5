"""The sending half over an outbox: a message is numbered when it is accepted, and what ends keeps its number.

Theory of operation. In an outbox that outlives its process, a message's sequence is its place there. So it is given
at once, and a message that ends before it was written stays in the queue: its sequence goes out as SKIP when its turn
comes. Three things hold the wire back: only what was `release`d (because it is durable) may be written; while `held`
nothing new is written at all; and what an earlier process may have written counts as possibly received until the
receiver has said, at the next handshake, what it has. Whatever is given up is told to `on_ended` first, so that it
can be noted before anybody hears of it.

Nothing is ended here because a connection can't be had: the messages are in the outbox, for the next process.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, takewhile
from typing import Final

from agt.transport._errors import PeerViolation
from agt.transport._events import Settled
from agt.transport._link import Withdrawal
from agt.transport._outcome import Outcome
from agt.transport._outgoing import Outgoing
from agt.transport.wires.native._endings import CANCELLED, EXPIRED, FORGOTTEN, UNANSWERED, ask_at
from agt.transport.wires.native._sender import Limits, Sender
from agt.transport.wires.native._statement import encode_skip

SKIP_SIZE: Final = 36
"""About what a SKIP frame takes of a turn's budget."""


class KeepingSender(Sender):
    """A `Sender` whose messages have a place of their own from the start."""

    on_ended: Callable[[Outgoing], None]
    """Called with a message that is given up, once, before its payload is freed."""
    released_through = 0
    """Through which sequence messages may be written."""
    held = False
    """Whether nothing may be written for now, skips and resends included."""
    _reclaimed_through = 0
    _processed_there = 0
    _queue_told = 0
    _queue_ending = 0
    _doubtful_through = 0

    # What can be known

    @property
    def queued(self) -> int:
        """Messages accepted, not written by this process, and not ended."""
        return len(self._queue) - self._queue_told

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended, written first, each oldest first."""
        yield from (entry for entry in self._window if not entry.told)
        yield from (entry for entry in self._queue if not entry.told)

    @property
    def has_more(self) -> bool:
        """Whether `write` would write something now."""
        return not self.held and super().has_more

    # The application's side

    def restore(self, base: int, messages: list[Outgoing], *, may_be_out: bool) -> None:
        """Take up what an earlier process left: everything behind `base`, numbered, in order.

        Args:
            base: through which sequence everything had ended.
            messages: what comes behind; those that had ended are marked so.
            may_be_out: whether any of it can have been written.
        """
        assert self._last == len(self._queue) == 0, "only a fresh sender has no past"
        self._base = self._last = self._received = base
        self._next = base + 1
        self._queue.extend(messages)
        self._queue_ending = sum(bool(message.ending) for message in messages)
        self._queue_told = sum(message.told for message in messages)
        self._doubtful_through = base + len(messages) if may_be_out else 0
        if messages:
            self._expire_at = self.due_at = -math.inf

    def send(self, payload: bytes, now: float, deadline: float) -> Outgoing:
        """Queue a message, numbered."""
        entry = super().send(payload, now, deadline)
        entry.sequence = self._last + len(self._queue)
        return entry

    def send_run(self, payloads: Sequence[bytes], now: float, deadline: float) -> list[Outgoing]:
        """Queue messages, numbered."""
        first = self._last + len(self._queue) + 1
        entries = super().send_run(payloads, now, deadline)
        for sequence, entry in enumerate(entries, first):
            entry.sequence = sequence
        return entries

    def cancel(self, message: Outgoing, now: float) -> None:
        """Give up on a message: at once when it was certainly never written, else when the receiver has answered."""
        place = message.sequence - self._last - 1
        if place < 0:
            super().cancel(message, now)
        elif place < len(self._queue) and self._queue[place] is message and not message.ending:
            self._end_queued(message, CANCELLED)
            if message.sequence > self._doubtful_through:
                self._tell_queued(message, Outcome.NOT_DELIVERED, CANCELLED, now)

    def withdraw(self) -> Withdrawal:
        """Give everything unsettled back; every one of them is skipped when its turn comes (again)."""
        unsent = [entry for entry in self._queue if not entry.told]
        doubtful = [entry for entry in unsent if entry.sequence <= self._doubtful_through]
        for entry in unsent:
            self._end_queued(entry, CANCELLED)
            entry.told = True
        self._queue_told = len(self._queue)
        in_doubt = [entry for entry in self._window if not entry.told]
        for entry in in_doubt:
            self._give_up(entry, CANCELLED)
            entry.told = True
        self._told = len(self._window)
        self._expire_at = math.inf
        return Withdrawal(unsent[len(doubtful) :], [*in_doubt, *doubtful])

    def end_all(self, reason: str, now: float) -> None:
        """Leave everything as it is: the outbox keeps it."""

    def reclaim(self) -> None:
        """Forget the oldest messages as long as they have ended; only between connections, when no one is asked.

        None that isn't stored: the receiver would be told that its number has ended, and a restarted sender would not
        know that number.
        """
        if self._open:
            return
        ended = _ended_ahead(self._window, len(self._window))
        del self._window[:ended]
        self._base += ended
        self._told -= ended
        self._ending -= ended
        if not self._window:
            ended = _ended_ahead(self._queue, self.released_through - self._base)
            del self._queue[:ended]
            self._base += ended
            self._queue_told -= ended
            self._queue_ending -= ended
        self._landed(self._base)
        self._reclaimed_through = self._base
        self._last = max(self._last, self._base)
        self._received = max(self._received, self._base)
        self._next = max(self._next, self._base + 1)

    # The connection's side

    def resume(self, received_through: int, limits: Limits, *, now: float) -> None:
        """Start on a connection whose receiver has everything up to `received_through`, from whichever process.

        Raises:
            PeerViolation: when it has what this outbox has never sent.
        """
        known = max(self._last, self._doubtful_through)
        if received_through > known:
            raise PeerViolation(
                f"the receiver has messages of this outbox up to {received_through}, the outbox knows only {known}: it"
                " was put back to an older copy and can't go on; begin with a new one"
            )
        if self._last < received_through <= self._doubtful_through:
            self._adopt(received_through)
        self._doubtful_through = 0
        super().resume(received_through, limits, now=now)
        self._skips += [
            entry.sequence
            for entry in self._window
            if entry.ending and not entry.told and entry.sequence <= received_through
        ]

    def take_ack(self, processed: int, now: float) -> None:
        """Take in that everything up to `processed` was processed, also where we have long given that up."""
        self._processed_there = max(self._processed_there, processed)
        super().take_ack(processed, now)

    def forgotten(self, now: float) -> None:
        """Settle what was in flight, now or in an earlier process, towards a receiver that has lost its memory."""
        super().forgotten(now)
        for entry in self._queue:
            if entry.sequence > self._doubtful_through:
                break
            if not entry.told:
                self._end_queued(entry, FORGOTTEN)
                self._tell_queued(entry, Outcome.INDETERMINATE, FORGOTTEN, now)
        self._doubtful_through = 0

    # Within

    def _room(self) -> int:
        if self._processed_there < self._reclaimed_through:
            return 0  # Its application still holds what we have given up: that is part of its window.
        return min(super()._room(), self.released_through - self._last)

    def _write_new(self, parts: list[bytes], ack: int, room: int) -> int:
        if not self._queue_ending:
            return super()._write_new(parts, ack, room)
        skipping = bool(self._queue[0].ending)
        run = 0
        for entry in self._queue:
            if run == room or bool(entry.ending) is not skipping:
                break
            run += 1
        if not skipping:
            return super()._write_new(parts, ack, run)
        first = self._last + 1
        self._adopt(self._last + run)
        parts.append(encode_skip(first, self._last, ack, self._channel))
        return SKIP_SIZE

    def _adopt(self, through: int) -> None:
        """Move messages from the queue to what has been written."""
        size, count = 0, through - self._last
        adopted = self._queue[:count]
        del self._queue[:count]
        self._window += adopted
        for entry in adopted:
            size += len(entry.payload)
            if entry.ending:
                self._queue_ending -= 1
                self._ending += 1
            if entry.told:
                self._queue_told -= 1
                self._told += 1
        self._flying_bytes += size
        self._cuts.append((through, size))
        self._last = through

    def _cancel_queued(self, message: Outgoing, reason: str, now: float) -> None:
        self._end_queued(message, reason)
        self._tell_queued(message, Outcome.NOT_DELIVERED, reason, now)

    def _end(self, entry: Outgoing, reason: str) -> None:
        if not entry.ending:
            self.on_ended(entry)
        super()._end(entry, reason)

    def _end_queued(self, entry: Outgoing, reason: str) -> None:
        if not entry.ending:
            self.on_ended(entry)
            self._queue_ending += 1
            entry.give_up(reason)

    def _tell_queued(self, entry: Outgoing, outcome: Outcome, reason: str, now: float) -> None:
        entry.told = True
        self._queue_told += 1
        self._emit(Settled(entry, outcome, reason, max(0.0, now - entry.accepted_at)))

    def _expire_queued(self, now: float, timeout_s: float) -> float:
        earliest = math.inf
        for entry in self._queue:
            if entry.told:
                continue
            if entry.deadline > now:
                ask = ask_at(entry, timeout_s)
                earliest = min(earliest, ask if ask > now else entry.deadline)
                continue
            self._end_queued(entry, EXPIRED)
            if entry.sequence > self._doubtful_through:
                self._tell_queued(entry, Outcome.NOT_DELIVERED, EXPIRED, now)
            else:
                self._tell_queued(entry, Outcome.INDETERMINATE, UNANSWERED, now)
        return earliest


def _ended_ahead(messages: list[Outgoing], limit: int) -> int:
    """Count the messages in front, at most `limit`, whose end has been told."""
    ahead = takewhile(lambda message: message.told, islice(messages, max(0, limit)))
    return sum(1 for _ in ahead)

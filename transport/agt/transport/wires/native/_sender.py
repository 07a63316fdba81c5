"""The sending half of one channel: messages wait in a queue, get a sequence when first written, stay until answered.

Theory of operation. The window holds the sequences `base + 1 .. last`: written at least once and not yet
acknowledged. On each connection they are written in order from `next`, which a lost connection or an expired timer
sets back to the first one that the receiver has not got. A sequence whose message was given up (expired, cancelled,
withdrawn, out of retries) is written as SKIP instead of DATA: from then on the receiver will never hand that message
to its application, and its answer says whether it already had. So the outcome of a message is known exactly whenever
any answer arrives before its deadline; the deadline itself is asked for a little earlier, by `ask_at`.

Three watermarks come back: `base`, through which everything is processed, refused or skipped; `received`, through
which the receiver has everything; and exceptions, single sequences that were not processed. Only an ACK carries
exceptions, and it carries all that we may not know yet, so no order of arrival can make us take a refusal for a
delivery (the receiver keeps what it says elsewhere below its oldest exception).

What happens to every message happens to runs of them: one frame for what is written in a turn, one event for what an
answer acknowledges. Looking at single messages is for when the counters say that the window holds some that were
given up (`_ending`) or whose end has been told (`_told`), and for when a deadline may have come.

Nothing here knows connections beyond `resume` and `connection_lost`, or the clock.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice

from agt.transport._errors import MessageTooLarge, PeerViolation, QueueFull
from agt.transport._events import Delivered, Settled
from agt.transport._link import Withdrawal
from agt.transport._outcome import Outcome
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport._rtt import RoundTrip
from agt.transport.wires.native._config import NativeConfig
from agt.transport.wires.native._counters import LinkCounters
from agt.transport.wires.native._endings import CANCELLED, EXPIRED, FORGOTTEN, UNANSWERED, ask_at
from agt.transport.wires.native._frames import (
    BATCH_BYTES,
    BATCH_COUNT,
    BATCH_OVERHEAD,
    HEADER_SIZE,
    append_messages,
)
from agt.transport.wires.native._statement import RefusalCode, encode_skip


class Sender:
    """What one link has to say to its peer."""

    def __init__(
        self,
        config: NativeConfig,
        round_trip: RoundTrip,
        counters: LinkCounters,
        emit: Callable[[Delivered | Settled], None],
        *,
        epoch: int,
        channel: int = 0,
    ) -> None:
        self.make_outgoing: MakesOutgoing = Outgoing
        """Makes each message."""
        self._config = config
        self._round_trip = round_trip
        self._counters = counters
        self._emit = emit
        self._epoch = epoch
        self._channel = channel
        self._queue_max = config.send_queue_max
        self._payload_max = config.max_frame_bytes - HEADER_SIZE
        self._batch_bytes = min(BATCH_BYTES, self._payload_max)
        self._queue: deque[Outgoing] = deque()
        self._window: deque[Outgoing] = deque()
        self._base = 0
        self._last = 0
        self._next = 1
        self._received = 0
        self._told = 0
        self._ending = 0
        self._limit = 0
        self._open = False
        self._timed = 0
        self._timed_at = 0.0
        self._resend_at = math.inf
        self._expire_at = math.inf
        self._skips: list[int] = []

    # What can be known

    @property
    def in_flight(self) -> int:
        """Messages written and not settled."""
        return len(self._window) - self._told

    @property
    def queued(self) -> int:
        """Messages accepted and not written."""
        return len(self._queue)

    @property
    def settled_through(self) -> int:
        """Sequences up to here have been answered."""
        return self._base

    @property
    def oldest_at(self) -> float:
        """When the oldest unsettled message was accepted; `math.inf` when there is none."""
        oldest = next(self.unsettled(), None)
        return math.inf if oldest is None else oldest.accepted_at

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended, written first, each oldest first."""
        yield from (entry for entry in self._window if not entry.told)
        yield from self._queue

    @property
    def has_more(self) -> bool:
        """Whether `write` would write something now."""
        if not self._open:
            return False
        again = self._next <= self._last and self._next <= self._base + self._limit
        return bool(again or self._skips or (self._queue and self._next > self._last and self._room() > 0))

    def next_deadline(self) -> float:
        """When `handle_timer` has something to do."""
        return min(self._resend_at, self._expire_at)

    # The application's side

    def send(self, payload: bytes, now: float, deadline: float) -> Outgoing:
        """Queue a message."""
        queue = self._queue
        if len(queue) >= self._queue_max:
            raise QueueFull("send queue", self._queue_max)
        if len(payload) > self._payload_max:
            raise MessageTooLarge(len(payload), self._payload_max)
        entry = self.make_outgoing(payload, now, deadline, self._channel, self._epoch)
        timeout_s = self._round_trip.timeout_s
        # A bound from below is enough: when it comes, everything is looked through and the exact time is found.
        if deadline - timeout_s < self._expire_at:
            self._expire_at = min(self._expire_at, ask_at(entry, timeout_s))
        queue.append(entry)
        return entry

    def cancel(self, message: Outgoing, now: float) -> None:
        """Give up on a message: at once when it was never written, else as soon as the receiver has answered."""
        place = message.sequence - self._base - 1
        if not message.sequence:
            if message in self._queue:
                self._queue.remove(message)
                self._settle(message, Outcome.NOT_DELIVERED, CANCELLED, now)
        elif 0 <= place < len(self._window) and self._window[place] is message and not message.ending:
            self._give_up(message, CANCELLED)

    def withdraw(self) -> Withdrawal:
        """Give everything unsettled back; what was written is skipped, so that no late copy is handed over."""
        unsent = tuple(self._queue)
        self._queue.clear()
        in_doubt = [entry for entry in self._window if not entry.told]
        for entry in in_doubt:
            self._give_up(entry, CANCELLED)
            entry.told = True
        self._told = len(self._window)
        self._expire_at = math.inf
        return Withdrawal(unsent, in_doubt)

    def end_all(self, reason: str, now: float) -> None:
        """Settle everything at once: no connection will ever carry it."""
        while self._queue:
            self._settle(self._queue.popleft(), Outcome.NOT_DELIVERED, reason, now)
        self._end_window(reason, now)

    # The connection's side

    def resume(self, received_through: int, window: int, *, now: float) -> None:
        """Start on a connection whose receiver has everything up to `received_through`.

        Raises:
            PeerViolation: when that can't be.
        """
        if received_through > self._last:
            raise PeerViolation(f"resume at {received_through}, only {self._last} were written")
        received_through = max(received_through, self._base)  # What has ended never comes, as we told it.
        self._received = received_through
        self._next = received_through + 1
        self._limit = min(window, self._config.in_flight_max)
        self._open = True
        self._arm(now)
        self._expire(now)

    def forgotten(self, now: float) -> None:
        """Settle what was in flight towards a receiver that has lost its memory; the sequences are skipped."""
        self._end_window(FORGOTTEN, now)
        self._received = self._base

    def connection_lost(self) -> None:
        """Stop writing; what is on its way waits for the next connection."""
        if not self._open:
            return
        self._open = False
        self._timed = 0
        self._resend_at = math.inf
        self._skips.clear()
        head = max(self._base, self._received) + 1
        if head < self._next:
            self._fail(self._at(head))

    def take_ack(self, processed: int, now: float) -> None:
        """Take in that everything up to `processed` was processed, but for exceptions already known.

        Raises:
            PeerViolation: when it was never written.
        """
        count = processed - self._base
        if count <= 0:
            return
        if processed > self._last:
            raise PeerViolation(f"acknowledged {processed}, only {self._last} were written")
        if self._timed:
            self._sample(processed, now)
        window = self._window
        if count == len(window):
            messages = list(window)
            window.clear()
        else:
            messages = [window.popleft() for _ in range(count)]
        if self._ending:
            messages = self._delivered_of(messages)
        if messages:
            self._emit(Delivered(messages, now))
        self._base = processed
        self._received = max(self._received, processed)
        if processed >= self._next:
            self._next = processed + 1
        self._arm(now)

    def take_statement(self, processed: int, received: int, exceptions: Iterable[tuple[int, int]], now: float) -> None:
        """Take in a whole acknowledgement: exceptions first, so that no refusal is taken for a delivery.

        Raises:
            PeerViolation: when it speaks of what was never written.
        """
        if received > self._last:
            raise PeerViolation(f"received through {received}, only {self._last} were written")
        for sequence, code in exceptions:
            if self._base < sequence <= self._last and not (entry := self._at(sequence)).told:
                reason = entry.ending or "skipped"
                if code != RefusalCode.SKIPPED:
                    reason = f"refused by the peer: {RefusalCode.word(code)}"
                self._tell(entry, Outcome.NOT_DELIVERED, reason, now)
        if received > self._received:
            self._sample(received, now)
            self._received = received
            if self._next <= received:
                self._next = received + 1
            self._arm(now)
        self.take_ack(processed, now)

    def write(self, parts: list[bytes], ack: int, budget: int, now: float) -> int:
        """Append the frames that may be written now, about `budget` bytes of them; return what is left of it."""
        if self._skips:
            self._write_skips(parts, ack)
        while self._next <= self._last and self._next <= self._base + self._limit and budget > 0:
            budget -= self._write_again(parts, ack)
        room = self._room()
        if not self._queue or room <= 0 or budget <= 0 or self._next <= self._last:
            return budget
        if not self._timed:
            self._timed, self._timed_at = self._last + 1, now
        if self._resend_at == math.inf:
            self._resend_at = now + self._round_trip.timeout_s
        while self._queue and room > 0 and budget > 0:
            before = self._last
            budget -= self._write_new(parts, ack, room)
            room -= self._last - before
        self._next = self._last + 1
        return budget

    # Time

    def handle_timer(self, now: float) -> bool:
        """Do what is due; true when the peer should be asked for an acknowledgement with a ping."""
        if now >= self._expire_at:
            self._expire(now)
        if now < self._resend_at:
            return False
        head = max(self._base, self._received) + 1
        if head < self._next:
            self._counters.ack_timeouts += 1
            self._fail(self._at(head))
            self._next = head
            self._timed = 0
            self._skips = [sequence for sequence in self._skips if sequence < head]
        self._round_trip.backoff()
        self._resend_at = now + self._round_trip.timeout_s
        # All received, yet not all answered: the application takes its time, or the answer was lost. Ask.
        return head > self._last

    # Within

    def _room(self) -> int:
        """How many more messages may be written now."""
        return self._base + self._limit - self._last

    def _at(self, sequence: int) -> Outgoing:
        return self._window[sequence - self._base - 1]

    def _settle(self, entry: Outgoing, outcome: Outcome, reason: str, now: float) -> None:
        entry.give_up(reason)
        self._emit(Settled(entry, outcome, reason, max(0.0, now - entry.accepted_at)))

    def _tell(self, entry: Outgoing, outcome: Outcome, reason: str, now: float) -> None:
        """Settle a message whose sequence stays in the window."""
        self._end(entry, reason)
        entry.told = True
        self._told += 1
        self._settle(entry, outcome, reason, now)

    def _end_window(self, reason: str, now: float) -> None:
        for entry in self._window:
            if not entry.told:
                self._tell(entry, Outcome.INDETERMINATE, reason, now)
                self._give_up(entry, reason)

    def _end(self, entry: Outgoing, reason: str) -> None:
        """Have a message of the window skipped when its turn comes (again)."""
        self._ending += not entry.ending
        entry.give_up(reason)

    def _give_up(self, entry: Outgoing, reason: str) -> None:
        """The same, and say so beside the stream if it may be out there already."""
        self._end(entry, reason)
        if self._open and entry.sequence < self._next:
            self._skips.append(entry.sequence)

    def _delivered_of(self, messages: list[Outgoing]) -> list[Outgoing]:
        """Return those of the messages that left the window whose end has not been told."""
        delivered = []
        for entry in messages:
            if entry.ending:
                self._ending -= 1
            if entry.told:
                self._told -= 1
            else:
                delivered.append(entry)
        return delivered

    def _fail(self, entry: Outgoing) -> None:
        """Count an attempt of the oldest unreceived message that came to nothing."""
        entry.failures += 1
        limit = self._config.max_retries
        if limit is not None and entry.failures > limit and not entry.ending:
            self._counters.abandoned += 1
            self._end(entry, f"given up after {limit} retries")

    def _sample(self, through: int, now: float) -> None:
        if self._timed and through >= self._timed:
            self._round_trip.sample(now - self._timed_at)
            self._timed = 0

    def _arm(self, now: float) -> None:
        """Start the resend timer anew: there was progress."""
        waiting = self._open and self._base < self._last
        self._resend_at = now + self._round_trip.timeout_s if waiting else math.inf

    def _expire(self, now: float) -> None:
        timeout_s = self._round_trip.timeout_s
        earliest = self._expire_queued(now, timeout_s)
        for entry in self._window:
            if entry.told:
                continue
            if entry.deadline <= now:
                self._tell(entry, Outcome.INDETERMINATE, UNANSWERED, now)
                self._give_up(entry, EXPIRED)
                continue
            ask = ask_at(entry, timeout_s)
            if self._open and not entry.ending and ask <= now:
                self._give_up(entry, EXPIRED)
            asked = entry.ending or not self._open
            earliest = min(earliest, entry.deadline if asked else ask)
        self._expire_at = earliest

    def _expire_queued(self, now: float, timeout_s: float) -> float:
        """End what is late in the queue, and return when to look again."""
        late = [entry for entry in self._queue if entry.deadline <= now]
        if late:
            self._queue = deque(entry for entry in self._queue if entry.deadline > now)
            for entry in late:
                self._settle(entry, Outcome.NOT_DELIVERED, EXPIRED, now)
        earliest = math.inf
        for entry in self._queue:
            ask = ask_at(entry, timeout_s)
            earliest = min(earliest, ask if ask > now else entry.deadline)
        return earliest

    def _write_skips(self, parts: list[bytes], ack: int) -> None:
        """Tell, beside the stream, what was given up after it had been written; runs go as one frame."""
        pending = sorted({sequence for sequence in self._skips if self._base < sequence < self._next})
        self._skips.clear()
        for _, run in groupby(enumerate(pending), key=lambda pair: pair[1] - pair[0]):
            sequences = [sequence for _, sequence in run]
            parts.append(encode_skip(sequences[0], sequences[-1], ack, self._channel))

    def _write_new(self, parts: list[bytes], ack: int, room: int) -> int:
        """Write one frame of messages from the queue, at most `room` of them; return its size."""
        queue = self._queue
        count = min(len(queue), room, self._fitting(queue[0], self._batch_bytes))
        if count == len(queue):
            entries = list(queue)
            queue.clear()
        else:
            entries = [queue.popleft() for _ in range(count)]
        payloads = [entry.payload for entry in entries]
        fitting, size = append_messages(parts, self._last + 1, ack, payloads, self._channel, self._batch_bytes)
        if fitting < count:
            queue.extendleft(reversed(entries[fitting:]))
            del entries[fitting:]
        last = self._last
        for entry in entries:
            last += 1
            entry.sequence = last
        self._window += entries
        self._last = last
        return size

    def _fitting(self, entry: Outgoing, limit: int) -> int:
        """How many messages fit one frame if all are like this one; were the others larger, fewer will go."""
        return min(BATCH_COUNT, 1 + limit // (len(entry.payload) + BATCH_OVERHEAD))

    def _write_again(self, parts: list[bytes], ack: int) -> int:
        """Write a frame of resends, or one SKIP over a run of given-up sequences, at `next`; return its size."""
        first = self._next
        place = first - self._base - 1
        # What did not get through goes again in smaller pieces: a network that breaks every few hundred bytes, or
        # damages every few thousand, would never let a large batch pass.
        limit = self._batch_bytes >> 3 * self._window[place].failures
        coming = islice(self._window, place, place + self._fitting(self._window[place], limit))
        skipping, run = next((bool(given_up), list(run)) for given_up, run in groupby(coming, lambda e: bool(e.ending)))
        if skipping:
            parts.append(encode_skip(first, first + len(run) - 1, ack, self._channel))
            self._next = first + len(run)
            return len(parts[-1])
        payloads = [entry.payload for entry in run]
        count, size = append_messages(parts, first, ack, payloads, self._channel, limit)
        for entry in run[:count]:
            entry.resends += 1
        self._counters.resends += count
        self._next = first + count
        return size

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

A message that the peer's application was too busy for keeps its place: it is offered again under its sequence when
its time has come, and until then nothing new is written on this channel (`Postponed`).

What happens to every message happens to runs of them: one frame for what is written in a turn, one event for what an
answer acknowledges. Looking at single messages is for when the counters say that the window holds some that were
given up (`_ending`) or whose end has been told (`_told`), and for when a deadline may have come.

Nothing here knows connections beyond `resume` and `connection_lost`, or the clock.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from agt.transport._errors import MessageTooLarge, PeerViolation, QueueFull
from agt.transport._events import Delivered
from agt.transport._link import Withdrawal
from agt.transport._outcome import Outcome
from agt.transport._outgoing import Outgoing
from agt.transport.wires.native._endings import CANCELLED, EXPIRED, FORGOTTEN, UNANSWERED, ask_at
from agt.transport.wires.native._frames import BATCH_BYTES, HEADER_SIZE
from agt.transport.wires.native._postponed import Postponed
from agt.transport.wires.native._statement import ExceptionRun, RefusalCode, Statement
from agt.transport.wires.native._writing import Writing

_WAITING: Final = (RefusalCode.BUSY, RefusalCode.BEHIND)


class Limits(NamedTuple):
    """What a peer takes."""

    window: int
    """So many messages unprocessed on a channel."""
    window_bytes: int
    """So many bytes of them."""
    frame_max: int
    """The largest frame, header included."""


class Sender(Writing):
    """What one link has to say to its peer."""

    __slots__ = ()

    # What can be known

    def _next_due(self) -> float:
        """When `handle_timer` has something to do."""
        due_at = min(self._resend_at, self._expire_at)
        return min(due_at, self._postponed.offer_at) if self._open else due_at

    # The application's side

    def send(self, payload: bytes, now: float, deadline: float) -> Outgoing:
        """Queue a message."""
        queue = self._queue
        if len(queue) >= self._queue_max:
            raise QueueFull("send queue", self._queue_max)
        size = len(payload)
        if size > self._payload_max:
            raise MessageTooLarge(size, self._payload_max)
        self._queued_bytes += size
        if self._queued_bytes > self._queue_bytes_max:
            self._look_at_bytes(size)
        entry = self.make_outgoing(payload, now, deadline, self._channel, self._epoch)
        timeout_s = self._round_trip.timeout_s
        # A bound from below is enough: when it comes, everything is looked through and the exact time is found.
        if deadline - timeout_s < self._expire_at:
            self._expire_at = min(self._expire_at, ask_at(entry, timeout_s))
            self.due_at = min(self.due_at, self._expire_at)
        queue.append(entry)
        return entry

    def send_run(self, payloads: Sequence[bytes], now: float, deadline: float) -> list[Outgoing]:
        """Queue messages, all or none."""
        queue = self._queue
        if len(queue) + len(payloads) > self._queue_max:
            raise QueueFull("send queue", self._queue_max)
        lengths = list(map(len, payloads))
        if (longest := max(lengths, default=0)) > self._payload_max:
            raise MessageTooLarge(longest, self._payload_max)
        self._queued_bytes += (size := sum(lengths))
        if self._queued_bytes > self._queue_bytes_max:
            self._look_at_bytes(size)
        make, channel, epoch = self.make_outgoing, self._channel, self._epoch
        entries = [make(payload, now, deadline, channel, epoch) for payload in payloads]
        timeout_s = self._round_trip.timeout_s
        if entries and deadline - timeout_s < self._expire_at:
            self._expire_at = min(self._expire_at, ask_at(entries[0], timeout_s))
            self.due_at = min(self.due_at, self._expire_at)
        queue += entries
        return entries

    def cancel(self, message: Outgoing, now: float) -> None:
        """Give up on a message: at once when it was never written, else as soon as the receiver has answered."""
        place = message.sequence - self._base - 1
        if not message.sequence:
            if message in self._queue:
                self._cancel_queued(message, CANCELLED, now)
        elif 0 <= place < len(self._window) and self._window[place] is message and not message.ending:
            self._give_up(message, CANCELLED)

    def withdraw(self) -> Withdrawal:
        """Give everything unsettled back; what was written is skipped, so that no late copy is handed over."""
        unsent = tuple(self._queue)
        self._queue.clear()
        written = [entry for entry in self._window if not entry.told]
        # What the peer was too busy for is provably not with it.
        refused = [entry for entry in written if self._postponed.holds(entry)]
        in_doubt = [entry for entry in written if not self._postponed.holds(entry)] if refused else written
        for entry in written:
            self._give_up(entry, CANCELLED)
            entry.told = True
            self._postponed.drop(entry)
        self._told = len(self._window)
        self._expire_at = math.inf
        return Withdrawal((*refused, *unsent), in_doubt)

    def end_all(self, reason: str, now: float) -> None:
        """Settle everything at once: no connection will ever carry it."""
        queued, self._queue = self._queue, []
        for entry in queued:
            self._settle(entry, Outcome.NOT_DELIVERED, reason, now)
        self._end_window(reason, now)

    # The connection's side

    def resume(self, received_through: int, limits: Limits, *, now: float) -> None:
        """Start on a connection whose receiver has everything up to `received_through`, and takes so much.

        Raises:
            PeerViolation: when that can't be.
        """
        if received_through > self._last:
            raise PeerViolation(f"resume at {received_through}, only {self._last} were written")
        received_through = max(received_through, self._base)  # What has ended never comes, as we told it.
        self._received = received_through
        self._next = received_through + 1
        self._limit = min(limits.window, self._config.in_flight_max)
        self._limit_bytes = limits.window_bytes
        self._take_frame_max(limits.frame_max, now)
        self._draining = False
        self._open = True
        self._arm(now)
        self._expire(now)
        self.due_at = self._next_due()

    def forgotten(self, now: float) -> None:
        """Settle what was in flight towards a receiver that has lost its memory; the sequences are skipped."""
        self._end_window(FORGOTTEN, now)
        self._postponed = Postponed()
        self._received = self._base

    def connection_lost(self) -> None:
        """Stop writing; what is on its way waits for the next connection."""
        if not self._open:
            return
        self._open = False
        self._timed = 0
        self._resend_at = math.inf
        self._skips.clear()
        self._offers.clear()
        self._postponed.connection_lost()
        head = max(self._base, self._received) + 1
        if head < self._next:
            self._write_smaller()
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
        messages = window[:count]
        del window[:count]
        if self._ending:
            messages = self._delivered_of(messages)
        if messages:
            self._emit(Delivered(messages, now))
        self._base = processed
        cuts = self._cuts  # As `_landed`, without the call.
        while cuts and cuts[0][0] <= processed:
            self._flying_bytes -= cuts.pop(0)[1]
        if self._postponed.waiting or self._postponed.on_offer:
            self._postponed.settled_through(processed)
        self._received = max(self._received, processed)
        if processed >= self._next:
            self._next = processed + 1
        self._arm(now)

    def take_statement(self, processed: int, statement: Statement, now: float) -> None:
        """Take in a whole acknowledgement: exceptions first, so that no refusal is taken for a delivery.

        Raises:
            PeerViolation: when it speaks of what was never written.
        """
        received, window, window_bytes, exceptions = statement
        if received > self._last:
            raise PeerViolation(f"received through {received}, only {self._last} were written")
        shut, self._limit = not self._limit, min(window, self._config.in_flight_max)
        self._limit_bytes = window_bytes
        if shut is bool(self._limit):
            self._arm(now)
        for run in exceptions:
            for sequence in range(max(run.first, self._base + 1), min(run.first + run.length - 1, self._last) + 1):
                self._take_exception(self._at(sequence), run, now)
        if received > self._received:
            if self._timed:
                self._sample(received, now)
            self._received = received
            if self._next <= received:
                self._next = received + 1
            if processed <= self._base:  # Else the acknowledgement arms.
                self._arm(now)
        self.take_ack(processed, now)

    def drain(self) -> None:
        """Write nothing new on this connection any more; what was written is still answered, or skipped."""
        self._draining = True

    # Time

    def handle_timer(self, now: float) -> bool:
        """Do what is due; true when the peer should be asked for an acknowledgement with a ping."""
        ask = self._do_due(now)
        self.due_at = self._next_due()
        return ask

    def _do_due(self, now: float) -> bool:
        if now >= self._expire_at:
            self._expire(now)
        if self._open and now >= self._postponed.offer_at:
            self._offers += self._postponed.take(now)
        if now < self._resend_at:
            return False
        head = max(self._base, self._received) + 1
        if head < self._next:
            self._counters.ack_timeouts += 1
            self._write_smaller()
            self._fail(self._at(head))
            self._next = head
            self._timed = 0
            self._skips = [sequence for sequence in self._skips if sequence < head]
        self._round_trip.backoff()
        self._resend_at = now + self._round_trip.timeout_s
        # All received, yet not all answered: the application takes its time, or the answer was lost. Ask.
        return head > self._last

    # Within

    def _take_exception(self, entry: Outgoing, run: ExceptionRun, now: float) -> None:
        """Take in that the peer's application has not processed a message."""
        waits = run.code in _WAITING
        if waits and entry.ending:
            self._give_up(entry, entry.ending)  # The skip came before the application had answered: say it again.
        elif entry.told:
            return
        elif waits:
            self._postpone(entry, run, now)
        elif run.code == RefusalCode.SKIPPED:
            self._tell(entry, Outcome.NOT_DELIVERED, entry.ending or "skipped", now)
        else:
            word, payload = RefusalCode.word(run.code), entry.payload
            self._tell(entry, Outcome.NOT_DELIVERED, f"refused by the peer: {word}", now, code=word)
            entry.payload = payload  # Whoever collects dead letters wants it.

    def _postpone(self, entry: Outgoing, run: ExceptionRun, now: float) -> None:
        """Take in that the peer's application has no time for a message now."""
        timeout_s = self._round_trip.timeout_s
        news = self._postponed.refused(entry, run.times, now + run.retry_ms / 1000, now, timeout_s)
        self.due_at = min(self.due_at, self._postponed.offer_at)
        limit = self._config.max_retries
        entry.failures += news and run.code == RefusalCode.BUSY
        if news and limit is not None and entry.failures > limit:
            self._counters.abandoned += 1
            self._postponed.drop(entry)
            self._give_up(entry, f"refused by the peer: busy, after {limit} retries")

    def _take_frame_max(self, frame_max: int, now: float) -> None:
        """Keep to what the peer reads, and end what it never would."""
        self._payload_max = min(self._config.max_frame_bytes, frame_max) - HEADER_SIZE
        self._batch_bytes = min(self._batch_bytes, self._payload_max)
        if frame_max < self._config.max_frame_bytes:
            reason = f"larger than the {self._payload_max} bytes that the peer takes"
            for entry in [entry for entry in self._queue if len(entry.payload) > self._payload_max]:
                self._cancel_queued(entry, reason, now)
            for entry in self._window:
                if len(entry.payload) > self._payload_max:
                    self._give_up(entry, reason)

    def _end_window(self, reason: str, now: float) -> None:
        for entry in self._window:
            if not entry.told:
                self._tell(entry, Outcome.INDETERMINATE, reason, now)
                self._give_up(entry, reason)

    def _give_up(self, entry: Outgoing, reason: str) -> None:
        """The same, and say so beside the stream if it may be out there already."""
        self._end(entry, reason)
        if self._open and entry.sequence < self._next:
            self._skips.append(entry.sequence)

    def _fail(self, entry: Outgoing) -> None:
        """Count an attempt of the oldest unreceived message that came to nothing."""
        entry.failures += 1
        limit = self._config.max_retries
        if limit is not None and entry.failures > limit and not entry.ending:
            self._counters.abandoned += 1
            self._end(entry, f"given up after {limit} retries")

    def _sample(self, through: int, now: float) -> None:
        if through >= self._timed:
            self._round_trip.sample(now - self._timed_at)
            self._sampled_at = now
            self._timed = 0
            if self._batch_bytes < BATCH_BYTES:
                self._write_larger()

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
            self._queue = [entry for entry in self._queue if entry.deadline > now]
            for entry in late:
                self._settle(entry, Outcome.NOT_DELIVERED, EXPIRED, now)
        earliest = math.inf
        for entry in self._queue:
            ask = ask_at(entry, timeout_s)
            earliest = min(earliest, ask if ask > now else entry.deadline)
        return earliest

"""The sending half: messages wait in a queue, get a sequence when first written, and stay until answered.

Theory of operation. The window holds the sequences `base + 1 .. last`: written at least once and not yet
acknowledged. On each connection they are written in order from `next`, which a lost connection or an expired timer
sets back to the first one that the receiver has not got. A sequence whose message was given up (expired, cancelled,
withdrawn, out of retries) is written as SKIP instead of DATA: from then on the receiver will never hand that message
to its application, and its answer says whether it already had. So the outcome of a message is known exactly whenever
any answer arrives before its deadline; the deadline itself is asked for a little earlier, by `Outgoing.ask_at`.

Three watermarks come back: `base`, through which everything is processed, refused or skipped; `received`, through
which the receiver has everything; and exceptions, single sequences that were not processed. Only an ACK carries
exceptions, and it carries all that we may not know yet, so no order of arrival can make us take a refusal for a
delivery (the receiver keeps what it says elsewhere below its oldest exception).

Nothing here knows frames beyond writing them, connections beyond `resume` and `connection_lost`, or the clock.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Final

from agt.transport._errors import MessageTooLarge, PeerViolation, QueueFull
from agt.transport._events import Settled
from agt.transport._link import Withdrawal
from agt.transport._outcome import Outcome
from agt.transport._rtt import RoundTrip
from agt.transport.wires.native._config import NativeConfig
from agt.transport.wires.native._counters import LinkCounters
from agt.transport.wires.native._frames import HEADER_SIZE, FrameType, encode_frame
from agt.transport.wires.native._outgoing import CANCELLED, EXPIRED, FORGOTTEN, UNANSWERED, Outgoing
from agt.transport.wires.native._statement import RefusalCode, encode_skip

_DATA: Final = int(FrameType.DATA)


class Sender:
    """What one link has to say to its peer."""

    def __init__(
        self, config: NativeConfig, round_trip: RoundTrip, counters: LinkCounters, emit: Callable[[Settled], None]
    ) -> None:
        self._config = config
        self._round_trip = round_trip
        self._counters = counters
        self._emit = emit
        self._payload_max = config.max_frame_bytes - HEADER_SIZE
        self._queue: deque[Outgoing] = deque()
        self._window: dict[int, Outgoing] = {}
        self._message = -1
        self._base = 0
        self._last = 0
        self._next = 1
        self._received = 0
        self._unsettled = 0
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
        return self._unsettled

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
        if self._unsettled:
            for entry in self._window.values():
                if not entry.settled:
                    return entry.accepted_at
        return self._queue[0].accepted_at if self._queue else math.inf

    @property
    def has_more(self) -> bool:
        """Whether `write` would write something now."""
        return self._open and bool(
            self._skips or self._next <= self._last or (self._queue and self._last < self._base + self._limit)
        )

    def next_deadline(self) -> float:
        """When `handle_timer` has something to do."""
        return min(self._resend_at, self._expire_at)

    # The application's side

    def send(self, payload: bytes, *, now: float, deadline: float) -> int:
        """Queue a message and return its number."""
        if len(self._queue) >= self._config.send_queue_max:
            raise QueueFull("send queue", self._config.send_queue_max)
        if len(payload) > self._payload_max:
            raise MessageTooLarge(len(payload), self._payload_max)
        self._message += 1
        entry = Outgoing(self._message, payload, now, deadline)
        self._queue.append(entry)
        # A bound from below is enough: when it comes, everything is looked through and the exact time is found.
        earliest = entry.ask_at(self._round_trip.timeout_s)
        self._expire_at = min(self._expire_at, earliest)
        return self._message

    def cancel(self, message: int, *, now: float) -> None:
        """Give up on a message: at once when it was never written, else as soon as the receiver has answered."""
        for entry in self._queue:
            if entry.message == message:
                self._queue.remove(entry)
                self._settle(entry, Outcome.NOT_DELIVERED, CANCELLED, now)
                return
        for sequence, entry in self._window.items():
            if entry.message == message and not entry.settled and not entry.ending:
                self._give_up(sequence, entry, CANCELLED)
                return

    def withdraw(self) -> Withdrawal:
        """Give everything unsettled back; what was written is skipped, so that no late copy is handed over."""
        unsent = tuple(entry.message for entry in self._queue)
        self._queue.clear()
        in_doubt = []
        for sequence, entry in self._window.items():
            if not entry.settled:
                in_doubt.append(entry.message)
                entry.settled = True
                self._give_up(sequence, entry, CANCELLED)
        self._unsettled = 0
        self._expire_at = math.inf
        return Withdrawal(unsent, tuple(in_doubt))

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
        if not self._base <= received_through <= self._last:
            raise PeerViolation(f"resume at {received_through}, outside {self._base} to {self._last}")
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
            self._fail(self._window[head])

    def take_ack(self, processed: int, *, now: float) -> None:
        """Take in that everything up to `processed` was processed, but for exceptions already known.

        Raises:
            PeerViolation: when it was never written.
        """
        if processed <= self._base:
            return
        if processed > self._last:
            raise PeerViolation(f"acknowledged {processed}, only {self._last} were written")
        self._sample(processed, now)
        window = self._window
        for sequence in range(self._base + 1, processed + 1):
            entry = window.pop(sequence)
            if not entry.settled:
                self._unsettled -= 1
                entry.settled = True
                self._emit(
                    Settled(entry.message, Outcome.DELIVERED, "", max(0.0, now - entry.accepted_at), entry.resends)
                )
        self._base = processed
        self._received = max(self._received, processed)
        self._next = max(self._next, processed + 1)
        self._arm(now)

    def take_statement(self, processed: int, received: int, exceptions: Iterable[tuple[int, int]], now: float) -> None:
        """Take in a whole acknowledgement: exceptions first, so that no refusal is taken for a delivery.

        Raises:
            PeerViolation: when it speaks of what was never written.
        """
        if received > self._last:
            raise PeerViolation(f"received through {received}, only {self._last} were written")
        for sequence, code in exceptions:
            entry = self._window.get(sequence)
            if entry is not None and not entry.settled:
                reason = entry.ending or "skipped"
                if code != RefusalCode.SKIPPED:
                    reason = f"refused by the peer: {RefusalCode.word(code)}"
                self._unsettled -= 1
                self._settle(entry, Outcome.NOT_DELIVERED, reason, now)
        if received > self._received:
            self._sample(received, now)
            self._received = received
            if self._next <= received:
                self._next = received + 1
            self._arm(now)
        self.take_ack(processed, now=now)

    def write(self, parts: list[bytes], ack: int, budget: int, now: float) -> None:
        """Append the frames that may be written now, about `budget` bytes of them."""
        if self._skips:
            self._write_skips(parts, ack)
        while self._next <= self._last and budget > 0:
            budget -= self._write_again(parts, ack)
        queue, window, last = self._queue, self._window, self._last
        until = self._base + self._limit
        if not queue or last >= until or budget <= 0 or self._next <= last:
            return
        if not self._timed:
            self._timed, self._timed_at = last + 1, now
        if self._resend_at == math.inf:
            self._resend_at = now + self._round_trip.timeout_s
        while queue and last < until and budget > 0:
            entry = queue.popleft()
            last += 1
            window[last] = entry
            payload = entry.payload
            parts.append(encode_frame(_DATA, last, ack, payload))
            budget -= HEADER_SIZE + len(payload)
        self._unsettled += last - self._last
        self._last = last
        self._next = last + 1

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
            self._fail(self._window[head])
            self._next = head
            self._timed = 0
            self._skips = [sequence for sequence in self._skips if sequence < head]
        self._round_trip.backoff()
        self._resend_at = now + self._round_trip.timeout_s
        # All received, yet not all answered: the application takes its time, or the answer was lost. Ask.
        return head > self._last

    # Within

    def _settle(self, entry: Outgoing, outcome: Outcome, reason: str, now: float) -> None:
        entry.settled = True
        entry.give_up(reason)
        self._emit(Settled(entry.message, outcome, reason, max(0.0, now - entry.accepted_at), entry.resends))

    def _end_window(self, reason: str, now: float) -> None:
        for sequence, entry in self._window.items():
            if not entry.settled:
                self._settle(entry, Outcome.INDETERMINATE, reason, now)
                self._give_up(sequence, entry, reason)
        self._unsettled = 0

    def _give_up(self, sequence: int, entry: Outgoing, reason: str) -> None:
        entry.give_up(reason)
        if self._open and sequence < self._next:
            self._skips.append(sequence)

    def _fail(self, entry: Outgoing) -> None:
        """Count an attempt of the oldest unreceived message that came to nothing."""
        entry.failures += 1
        limit = self._config.max_retries
        if limit is not None and entry.failures > limit and not entry.ending:
            self._counters.abandoned += 1
            entry.give_up(f"given up after {limit} retries")

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
        late = [entry for entry in self._queue if entry.deadline <= now]
        if late:
            self._queue = deque(entry for entry in self._queue if entry.deadline > now)
            for entry in late:
                self._settle(entry, Outcome.NOT_DELIVERED, EXPIRED, now)
        earliest = math.inf
        for entry in self._queue:
            ask_at = entry.ask_at(timeout_s)
            earliest = min(earliest, ask_at if ask_at > now else entry.deadline)
        for sequence, entry in self._window.items():
            if entry.settled:
                continue
            if entry.deadline <= now:
                self._unsettled -= 1
                self._settle(entry, Outcome.INDETERMINATE, UNANSWERED, now)
                self._give_up(sequence, entry, EXPIRED)
                continue
            ask_at = entry.ask_at(timeout_s)
            if self._open and not entry.ending and ask_at <= now:
                self._give_up(sequence, entry, EXPIRED)
            asked = entry.ending or not self._open
            earliest = min(earliest, entry.deadline if asked else ask_at)
        self._expire_at = earliest

    def _write_skips(self, parts: list[bytes], ack: int) -> None:
        """Tell, beside the stream, what was given up after it had been written; runs go as one frame."""
        pending = sorted({sequence for sequence in self._skips if self._base < sequence < self._next})
        self._skips.clear()
        for _, run in groupby(enumerate(pending), key=lambda pair: pair[1] - pair[0]):
            sequences = [sequence for _, sequence in run]
            parts.append(encode_skip(sequences[0], sequences[-1], ack))

    def _write_again(self, parts: list[bytes], ack: int) -> int:
        """Write one resend, or one SKIP over a run of given-up sequences, at `next`; return its size."""
        first = self._next
        entry = self._window[first]
        if entry.ending:
            through = first
            while through < self._last and self._window[through + 1].ending:
                through += 1
            frame = encode_skip(first, through, ack)
            self._next = through + 1
        else:
            entry.resends += 1
            self._counters.resends += 1
            frame = encode_frame(_DATA, first, ack, entry.payload)
            self._next = first + 1
        parts.append(frame)
        return len(frame)

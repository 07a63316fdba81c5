"""The receiving half of one channel: what we remember of a sender's messages, and what we tell it.

The record is two watermarks and what lies between them: everything up to `accepted` has been handed to the
application or skipped, everything up to `processed` is done with. What lies between is held by the application, but
for what is done with ahead of its turn: single answers (`_early`) and runs that were skipped (`_skipped`), both empty
as long as everything is answered in order. A sequence at or below `accepted` is never handed out again, whoever sends
it: that is the whole of "at most once", and it needs no time window.

The one exception is asked for by the application itself: a message that it refused as busy is *declined*. Its sequence
stays open, so `processed` waits below it, and it is handed out again when its sender offers it again. Until then what
comes behind it is declined too, unseen, so that order holds from the refusal on; what had been handed out already is
the application's, to refuse as well or to take out of order.

Exceptions (refused, or skipped before they arrived) are repeated in every ACK until the sender can't need them any
more: it never has more than the window unanswered, so whoever wrote sequence `s` knows everything up to `s - window`.
An acknowledgement outside an ACK stays below the oldest exception, so it can't outrun one.

Memory: at most `window` messages and `window_bytes` bytes are unprocessed (a single message may be larger). Both can
be moved; what was granted before still counts, since it may be on its way.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from agt.transport._errors import PeerViolation
from agt.transport._events import Received
from agt.transport._message_id import CHANNEL_SHIFT
from agt.transport.wires.native._counters import LinkCounters
from agt.transport.wires.native._declined import Declined
from agt.transport.wires.native._statement import ExceptionRun, RefusalCode, encode_acks, runs_of

_NOTHING_EARLY: Final[set[int]] = set()
_NOTHING_DECLINED: Final = Declined()
"""What all receivers share until they have something of their own: most never do, and empty sets weigh."""


class Gap(Exception):
    """Raised when a sequence comes before its predecessor: on a byte stream something was lost."""


class Receiver:
    """What one link has heard from its peer on one channel."""

    def __init__(
        self,
        window: int,
        window_bytes: int,
        counters: LinkCounters,
        emit: Callable[[Received], None],
        *,
        channel: int = 0,
    ) -> None:
        self._window = self._window_max = window
        self._window_bytes = self._window_bytes_max = window_bytes
        self._counters = counters
        self._emit = emit
        self._channel = channel
        self._early = _NOTHING_EARLY
        self._skipped: dict[int, int] = {}
        self._exceptions: dict[int, int] = {}
        self._declined = _NOTHING_DECLINED
        self._processed = 0
        self._token_base = channel << CHANNEL_SHIFT
        self._token_last = self._token_base
        self._cuts: list[tuple[int, int, Sequence[int]]] = []
        self._held_bytes = 0
        self._window_news = False
        self._settled_there = 0
        self.epoch = 0
        """Whose messages this record is about; 0 before the first."""
        self.accepted = 0
        """Through which sequence everything was handed out, declined or skipped."""
        self.ack_due = False
        """Whether the sender should be told something."""

    @property
    def idle(self) -> bool:
        """Whether the application holds no message of this sender, and owes it none."""
        return self._processed == self.accepted

    @property
    def processed(self) -> int:
        """Through which sequence everything is done with."""
        return self._processed

    def is_done(self, sequence: int) -> bool:
        """Whether nothing more happens to this message, which was accepted: ended by either side."""
        return sequence <= self._processed or sequence in self._early

    @property
    def exceptions(self) -> Mapping[int, int]:
        """Codes of sequences that were not processed, as far as the sender may not know."""
        return self._exceptions

    def restore(self, epoch: int, through: int, exceptions: Mapping[int, int]) -> None:
        """Go on from what an earlier receiver of this name knew: everything `through` was done with."""
        self.begin(epoch, through)
        self._exceptions.update(exceptions)

    def begin(self, epoch: int, settled_through: int) -> None:
        """Begin the record of an incarnation where it has settled; tokens go on, so that late answers mean nothing."""
        self.epoch = epoch
        self.accepted = self._processed = self._settled_there = settled_through
        self._early.clear()
        self._skipped.clear()
        self._exceptions.clear()
        self._declined.clear()
        self._cuts.clear()
        self._held_bytes = 0
        self._token_base = self._token_last - settled_through

    def pass_over(self, settled_through: int) -> None:
        """Note that the sender has settled this far elsewhere, or for good: it never comes here."""
        self._settled_there = settled_through
        for sequence in self._declined.take_open(self._processed + 1, settled_through):
            self._finish(sequence, sequence)  # Nobody offers it any more.
        if settled_through > self.accepted:
            self._advance(settled_through)

    def set_window(self, window: int, window_bytes: int) -> None:
        """Take more or less from now on; what was granted already may still come."""
        if (window, window_bytes) != (self._window, self._window_bytes):
            self._window, self._window_bytes = window, window_bytes
            self._window_max = max(self._window_max, window)
            self._window_bytes_max = max(self._window_bytes_max, window_bytes)
            self._window_news = self.ack_due = True

    # Messages

    def accept(self, sequence: int, payloads: list[bytes], lengths: Sequence[int]) -> None:
        """Take in a run of messages: hand out those that were not handed out before.

        Raises:
            Gap: when an earlier one is missing.
            PeerViolation: when it is beyond the window.
        """
        self.ack_due = True
        accepted = self.accepted
        last = sequence + len(payloads) - 1
        if sequence != accepted + 1:
            if sequence > accepted:
                raise Gap(f"sequence {sequence} after {accepted}")
            known = min(accepted, last) - sequence + 1
            self._take_again(sequence, payloads[:known])
            if last <= accepted:
                return
            payloads, lengths = payloads[known:], lengths[known:]
            sequence = accepted + 1
        if last > self._processed + self._window_max:
            raise PeerViolation(f"sequence {last} is beyond the window of {self._window_max}")
        waits = bool(self._declined.open)
        if not waits:
            self._hold(sequence, last, lengths)
        self.accepted = last
        if self._exceptions:
            self._prune()
        if waits:
            self._own_declined().behind(sequence, last)
            return
        token = self._token_base + sequence
        self._token_last = self._token_base + last
        self._emit(Received(token, payloads, sequence, self._channel, self.epoch))

    def skip(self, first: int, through: int) -> None:
        """Never hand out `first` to `through`, unless that has happened already; the sender is told which.

        Raises:
            Gap: when an earlier one is missing.
            PeerViolation: when it is beyond the window.
        """
        self.ack_due = True
        accepted = self.accepted
        if first > accepted + 1:
            raise Gap(f"skip from {first} after {accepted}")
        if through > self._processed + self._window_max:
            raise PeerViolation(f"skip through {through} is beyond the window of {self._window_max}")
        for sequence in self._declined.take_open(first, through):
            self._exceptions[sequence] = RefusalCode.SKIPPED
            self._finish(sequence, sequence)
        if through > accepted:
            for sequence in range(accepted + 1, through + 1):
                self._exceptions[sequence] = RefusalCode.SKIPPED
            self._advance(through)
        self._prune()

    def done(self, token: int, count: int = 1) -> None:
        """Note that the application has processed messages; those of an older record, or twice, mean nothing."""
        first = token - self._token_base
        last = min(first + count - 1, self.accepted)
        if last <= self._processed:
            return
        if first == self._processed + 1 and not (self._early or self._skipped or self._declined.times):
            # Answered in order, as nearly all are: `_finish`, with nothing to look at but the bytes.
            self.ack_due, self._processed = True, last
            cuts = self._cuts
            while cuts and cuts[0][1] <= last:
                self._held_bytes -= sum(cuts.pop(0)[2])
        elif self._declined.times:
            for sequence in self._declined.not_open(max(first, self._processed + 1), last):
                self._finish(sequence, sequence)
        else:
            self._finish(first, last)

    def refuse(self, token: int, code: RefusalCode, retry_after_s: float = 0.0) -> None:
        """Note that the application will not process a message, or with `BUSY`: not now."""
        sequence = token - self._token_base
        if not self._processed < sequence <= self.accepted or sequence in self._early:
            return
        self.ack_due = True
        if code is RefusalCode.BUSY and sequence <= self._settled_there:
            self._finish(sequence, sequence)  # Its sender has given it up: it never comes again.
        elif code is RefusalCode.BUSY:
            self._own_declined().add(sequence, retry_after_s)
        elif not self._declined.is_open(sequence):
            self._exceptions[sequence] = code
            self._finish(sequence, sequence)

    def decline(self, sequence: int, count: int) -> None:
        """Have messages come again that were accepted and not seen by the application."""
        self._own_declined().behind(sequence, sequence + count - 1)
        self.ack_due = True

    # What the sender is told

    def ack_anywhere(self) -> int:
        """Return what any frame may acknowledge: never past an exception that the sender may not know."""
        if not self._exceptions:
            return self._processed
        return min(self._processed, min(self._exceptions) - 1)

    def needs_statement(self) -> bool:
        """Whether the sender is owed more than `ack_anywhere` can say."""
        return self.accepted != self._processed or bool(self._exceptions) or self._window_news

    def statement(self) -> list[bytes]:
        """Return ACK frames with everything the sender may not know."""
        self.ack_due = self._window_news = False
        runs: list[ExceptionRun] = []
        if self._exceptions or self._declined.open:
            single = [(sequence, code, 0, 0) for sequence, code in self._exceptions.items()]
            runs = runs_of(iter(sorted([*single, *self._declined.exceptions()])))
        return encode_acks(self._channel, self._processed, (self.accepted, self._window, self._window_bytes, runs))

    # Within

    def _take_again(self, sequence: int, payloads: list[bytes]) -> None:
        """Take messages that came before: those that were declined are handed out, in order, the others dropped."""
        run: list[bytes] = []
        for place, payload in enumerate(payloads, sequence):
            if self._declined.opens(place):
                run.append(payload)
                continue
            self._counters.duplicates_dropped += 1
            self._hand_again(place, run)
            run = []
        self._hand_again(sequence + len(payloads), run)

    def _hand_again(self, behind: int, run: list[bytes]) -> None:
        """Hand out declined messages, the last of which is the one before `behind`."""
        if run:
            token = self._token_base + behind - len(run)
            self._token_last = max(self._token_last, self._token_base + behind - 1)
            self._emit(Received(token, run, behind - len(run), self._channel, self.epoch))

    def _hold(self, first: int, last: int, lengths: Sequence[int]) -> None:
        """Count the bytes of a run that goes to the application.

        Raises:
            PeerViolation: when they are too many; nothing is counted then.
        """
        cuts = self._cuts
        held = self._held_bytes + sum(lengths)
        if held > self._window_bytes_max and last > self._processed + 1:
            start, _, oldest = cuts[0] if cuts else (first, last, lengths)
            exactly = held - sum(oldest[: max(0, self._processed + 1 - start)])
            if exactly > self._window_bytes_max:
                raise PeerViolation(f"{exactly} unprocessed bytes, the window is {self._window_bytes_max}")
        cuts.append((first, last, lengths))
        self._held_bytes = held

    def _finish(self, first: int, last: int) -> None:
        """Be done with these sequences, all of which were accepted."""
        self.ack_due = True
        if first > self._processed + 1:
            if self._early is _NOTHING_EARLY:
                self._early = set()
            self._early.update(range(first, last + 1))
            return
        self._processed = last
        if self._early or self._skipped:
            self._catch_up()
        self._forget_through()

    def _forget_through(self) -> None:
        """Drop what is only kept for what isn't done with."""
        processed, cuts = self._processed, self._cuts
        while cuts and cuts[0][1] <= processed:
            self._held_bytes -= sum(cuts.pop(0)[2])
        if self._declined.times:
            self._declined.forget_through(processed)

    def _own_declined(self) -> Declined:
        """Return what is declined, to be added to."""
        if self._declined is _NOTHING_DECLINED:
            self._declined = Declined()
        return self._declined

    def _advance(self, through: int) -> None:
        """Pass over everything up to here."""
        if self._processed == self.accepted:
            self._processed = through
        else:
            self._skipped[self.accepted + 1] = through
        self.accepted = through

    def _catch_up(self) -> None:
        """Move `processed` over what was done with ahead of its turn."""
        early, skipped, processed = self._early, self._skipped, self._processed
        # An answer for a run may have covered some of both already.
        early.difference_update([sequence for sequence in early if sequence <= processed])
        for first in [first for first in skipped if first <= processed]:
            processed = max(processed, skipped.pop(first))
        while True:
            if processed + 1 in early:
                processed += 1
                early.remove(processed)
            elif processed + 1 in skipped:
                processed = skipped.pop(processed + 1)
            else:
                break
        self._processed = processed

    def _prune(self) -> None:
        known_through = self.accepted - self._window_max
        exceptions = self._exceptions
        # Oldest noted first; one noted late waits behind a higher one, which costs a place for a while, no more.
        while exceptions and (oldest := next(iter(exceptions))) <= known_through:
            del exceptions[oldest]

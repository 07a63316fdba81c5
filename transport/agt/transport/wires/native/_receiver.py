"""The receiving half: what we remember of one sender, and what we tell it.

The record is two watermarks and what lies between them: everything up to `accepted` has been handed to the
application or skipped, everything up to `processed` is done with. What lies between is held by the application, but
for what is done with ahead of its turn: single answers (`_early`) and runs that were skipped (`_skipped`), both empty
as long as everything is answered in order. A sequence at or below `accepted` is never handed out again, whoever sends
it: that is the whole of "at most once", and it needs no time window. `token` names this memory: a sender that meets
another token than it knew has been forgotten and must not repeat what it had in flight.

Exceptions (refused, or skipped before they arrived) are repeated in every ACK until the sender can't need them any
more: it never has more than `window` messages unanswered, so whoever wrote sequence `s` knows everything up to
`s - window`. An acknowledgement outside an ACK stays below the oldest exception, so it can't outrun one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from agt.transport._errors import PeerViolation
from agt.transport._events import Received
from agt.transport.wires.native._counters import LinkCounters
from agt.transport.wires.native._statement import RefusalCode, encode_ack

if TYPE_CHECKING:
    from random import Random

TOKEN_BITS = 62


class Gap(Exception):
    """Raised when a sequence comes before its predecessor: on a byte stream something was lost."""


class Receiver:
    """What one link has heard from its peer."""

    def __init__(self, window: int, rng: "Random", counters: LinkCounters, emit: Callable[[Received], None]) -> None:
        self._window = window
        self._rng = rng
        self._counters = counters
        self._emit = emit
        self._early: set[int] = set()
        self._skipped: dict[int, int] = {}
        self._exceptions: dict[int, int] = {}
        self._processed = 0
        self._token_base = 0
        self._token_last = -1
        self.epoch = 0
        """Whose messages this record is about; 0 before the first."""
        self.accepted = 0
        """Through which sequence everything was handed out or skipped."""
        self.token = draw_token(rng)
        """Names this memory to the sender."""
        self.ack_due = False
        """Whether the sender should be told something."""

    @property
    def idle(self) -> bool:
        """Whether the application holds no message of this sender."""
        return self._processed == self.accepted

    @property
    def processed(self) -> int:
        """Through which sequence everything is done with."""
        return self._processed

    def remember(self, epoch: int, settled_through: int, *, renew_token: bool) -> bool:
        """Meet a sender: keep the record if it is about this incarnation, else begin one; true when kept.

        A new record begins where the sender has settled. `renew_token` says that the sender learns the token only
        from our answer, so that a new record can have a new one.
        """
        if epoch == self.epoch:
            if settled_through > self.accepted:
                # It was settled elsewhere meanwhile (another receiver under our name); it never comes here.
                self._advance(settled_through)
            return True
        self.epoch = epoch
        self.accepted = self._processed = settled_through
        self._early.clear()
        self._skipped.clear()
        self._exceptions.clear()
        self._token_base = self._token_last - settled_through
        if renew_token:
            self.token = draw_token(self._rng)
        return False

    def accept(self, sequence: int, payloads: list[bytes]) -> None:
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
            self._counters.duplicates_dropped += known
            if last <= accepted:
                return
            del payloads[:known]
            sequence = accepted + 1
        if last > self._processed + self._window:
            raise PeerViolation(f"sequence {last} is beyond the window of {self._window}")
        self.accepted = last
        token = self._token_base + sequence
        self._token_last = self._token_base + last
        self._emit(Received(token, payloads, sequence))
        if self._exceptions:
            self._prune()

    def skip(self, first: int, through: int) -> None:
        """Never hand out `first` to `through`, unless that has happened already; the sender is told which.

        Raises:
            Gap: when an earlier one is missing.
            PeerViolation: when it is beyond the window.
        """
        self.ack_due = True
        accepted = self.accepted
        if through <= accepted:
            return
        if first > accepted + 1:
            raise Gap(f"skip from {first} after {accepted}")
        if through > self._processed + self._window:
            raise PeerViolation(f"skip through {through} is beyond the window of {self._window}")
        for sequence in range(accepted + 1, through + 1):
            self._exceptions[sequence] = RefusalCode.SKIPPED
        self._advance(through)
        self._prune()

    def done(self, token: int, count: int = 1) -> None:
        """Note that the application has processed messages; those of an older record, or twice, mean nothing."""
        first = token - self._token_base
        last = min(first + count - 1, self.accepted)
        processed = self._processed
        if last <= processed:
            return
        self.ack_due = True
        if first <= processed + 1:
            self._processed = last
            if self._early or self._skipped:
                self._catch_up()
        else:
            self._early.update(range(first, last + 1))

    def refuse(self, token: int, code: RefusalCode) -> None:
        """Note that the application will not process a message."""
        sequence = token - self._token_base
        if self._processed < sequence <= self.accepted and sequence not in self._early:
            self._exceptions[sequence] = code
            self.done(token)

    def ack_anywhere(self) -> int:
        """Return what any frame may acknowledge: never past an exception that the sender may not know."""
        if not self._exceptions:
            return self._processed
        return min(self._processed, min(self._exceptions) - 1)

    def needs_statement(self) -> bool:
        """Whether the sender is owed more than `ack_anywhere` can say."""
        return bool(self._exceptions) or self.accepted != self._processed

    def statement(self) -> bytes:
        """Return an ACK frame with everything the sender may not know."""
        self.ack_due = False
        return encode_ack(self._processed, self.accepted, self._exceptions)

    def _advance(self, through: int) -> None:
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
        known_through = self.accepted - self._window
        exceptions = self._exceptions
        # Oldest noted first; one noted late waits behind a higher one, which costs a place for a while, no more.
        while exceptions and (oldest := next(iter(exceptions))) <= known_through:
            del exceptions[oldest]


def draw_token(rng: "Random") -> int:
    """Draw a token, an epoch, or whatever else must not come twice; never 0, which means none."""
    return rng.getrandbits(TOKEN_BITS) + 1

"""Bugs in delivery on the native wire (promises 1, 3 and 4), caught in simulated worlds."""

from collections.abc import Sequence
from typing import Any

from agt.transport import Outcome, Outgoing, Received
from agt.transport.wires.native import _frames, _writing
from agt.transport.wires.native._claims import Claims
from agt.transport.wires.native._keepalive import Keepalive
from agt.transport.wires.native._lanes import Lanes
from agt.transport.wires.native._receiver import Receiver
from agt.transport.wires.native._sender import Sender
from agt.transport.wires.native._statement import RefusalCode, Statement
from support.mutants import Mutant, Patch, in_worlds

FAR = 10**9
"""Tokens that no message has."""
REMEMBERED = 4
"""Sequences that a forgetful receiver knows."""


def no_dedup(patch: Patch) -> None:
    """A receiver hands a message out as often as it comes."""
    accept = Receiver.accept

    def buggy(self: Receiver, sequence: int, payloads: list[bytes], lengths: Sequence[int]) -> None:
        if sequence <= self.accepted:
            known = payloads[: self.accepted - sequence + 1]
            self._emit(Received(FAR + sequence, known, sequence))
        accept(self, sequence, payloads, lengths)

    patch.setattr(Receiver, "accept", buggy)


def dedup_by_memory_that_ages(patch: Patch) -> None:
    """A receiver recognises only its latest few messages, as a time window would."""
    accept = Receiver.accept

    def buggy(self: Receiver, sequence: int, payloads: list[bytes], lengths: Sequence[int]) -> None:
        if sequence <= self.accepted - REMEMBERED:
            self._emit(Received(FAR + sequence, payloads[:1], sequence))
        accept(self, sequence, payloads, lengths)

    patch.setattr(Receiver, "accept", buggy)


def ack_before_processing(patch: Patch) -> None:
    """A receiver acknowledges what has merely arrived."""
    accept = Receiver.accept

    def buggy(self: Receiver, sequence: int, payloads: list[bytes], lengths: Sequence[int]) -> None:
        accept(self, sequence, payloads, lengths)
        self._processed = self.accepted

    patch.setattr(Receiver, "accept", buggy)


def gaps_accepted(patch: Patch) -> None:
    """A receiver takes a message although an earlier one is missing."""
    accept = Receiver.accept

    def buggy(self: Receiver, sequence: int, payloads: list[bytes], lengths: Sequence[int]) -> None:
        if sequence > self.accepted + 1:
            self._advance(sequence - 1)
        accept(self, sequence, payloads, lengths)

    patch.setattr(Receiver, "accept", buggy)


def order_mixed(patch: Patch) -> None:
    """A receiver hands the messages of one batch out from the back."""
    accept = Receiver.accept

    def buggy(self: Receiver, sequence: int, payloads: list[bytes], lengths: Sequence[int]) -> None:
        accept(self, sequence, payloads[::-1], lengths)

    patch.setattr(Receiver, "accept", buggy)


def resend_to_the_forgetful(patch: Patch) -> None:
    """A sender repeats what was in flight to a receiver that has lost its memory."""
    patch.setattr(Sender, "forgotten", lambda self, now: setattr(self, "_received", self._base))


def ack_outruns_refusal(patch: Patch) -> None:
    """A receiver acknowledges past an exception in frames that can't name it."""
    patch.setattr(Receiver, "ack_anywhere", lambda self: self._processed)


def nack_swallowed(patch: Patch) -> None:
    """A receiver answers a refusal like everything else: as processed."""
    patch.setattr(Receiver, "refuse", lambda self, token, code, *rest: self.done(token))


def guess_not_delivered(patch: Patch) -> None:
    """A sender calls what it can't know `not_delivered`."""
    tell = Sender._tell

    def buggy(self: Sender, entry: Outgoing, _outcome: Outcome, reason: str, now: float, **options: str) -> None:
        tell(self, entry, Outcome.NOT_DELIVERED, reason, now, **options)

    patch.setattr(Sender, "_tell", buggy)


def guess_delivered(patch: Patch) -> None:
    """A sender takes what has arrived for processed."""
    take = Sender.take_statement

    def buggy(self: Sender, processed: int, statement: Statement, now: float) -> None:
        received, window, window_bytes, _ = statement
        take(self, max(processed, received), (received, window, window_bytes, ()), now)

    patch.setattr(Sender, "take_statement", buggy)


def no_fence(patch: Patch) -> None:
    """An acceptor lets an older process of the same name in again."""
    patch.setattr(Claims, "refuses", lambda self, epoch, brought: False)


def generation_reused(patch: Patch) -> None:
    """An acceptor gives every process of a name the same generation."""
    claim = Claims.claim

    def buggy(self: Claims, epoch: int, brought: int, now: float) -> int:
        number = claim(self, epoch, brought, now)
        self._highest = min(self._highest, 1)
        return number

    patch.setattr(Claims, "claim", buggy)


def epochs_ignored(patch: Patch) -> None:
    """A receiver takes a new incarnation's sequences for those of the one before."""
    remember = Lanes.remember

    def buggy(self: Lanes, epoch: int, settled_through: Sequence[int], **options: Any) -> bool:
        if self.peer_epoch:
            self.peer_epoch = epoch
        return remember(self, epoch, settled_through, **options)

    patch.setattr(Lanes, "remember", buggy)


def no_checksum(patch: Patch) -> None:
    """Nobody looks whether a frame was damaged."""
    patch.setattr(_frames, "crc32", lambda data, start=0: 0)


def no_deadlines(patch: Patch) -> None:
    """A sender never looks at its deadlines."""
    patch.setattr(Sender, "_expire", lambda self, now: setattr(self, "_expire_at", float("inf")))


def withdrawn_still_sent(patch: Patch) -> None:
    """A withdrawal returns the messages and sends them all the same."""
    withdraw = Sender.withdraw

    def buggy(self: Sender) -> object:
        queue = list(self._queue)
        result = withdraw(self)
        self._queue.extend(queue)
        return result

    patch.setattr(Sender, "withdraw", buggy)


def skip_not_remembered(patch: Patch) -> None:
    """A sender tells at once that what it gave up was not delivered, though the receiver may have it."""
    expire = Sender._expire

    def buggy(self: Sender, now: float) -> None:
        expire(self, now)
        for entry in self._window:
            if entry.ending and not entry.told:
                self._tell(entry, Outcome.NOT_DELIVERED, entry.ending, now)

    patch.setattr(Sender, "_expire", buggy)


def skips_unsaid(patch: Patch) -> None:
    """A sender passes over what it gave up without a word, and the hole stays."""
    patch.setattr(_writing, "encode_skip", lambda *_: b"")


def skipped_called_processed(patch: Patch) -> None:
    """A receiver doesn't say which of the skipped had never come."""
    patch.setattr(Receiver, "_advance", _forgetting_exceptions)


def _forgetting_exceptions(self: Receiver, through: int) -> None:
    self._exceptions = {at: code for at, code in self._exceptions.items() if code != RefusalCode.SKIPPED}
    if self._processed == self.accepted:
        self._processed = through
    else:
        self._skipped[self.accepted + 1] = through
    self.accepted = through


def bytes_count_as_life(patch: Patch) -> None:
    """A link believes in its peer as long as it writes anything, whole frames or not."""
    patch.setattr(Keepalive, "give_up_at", property(lambda self: float("inf")))


def always_due(patch: Patch) -> None:
    """A sender's timer is never put off once it has come."""
    patch.setattr(Sender, "handle_timer", lambda self, now: False)


ONCE = in_worlds("at most once")
ORDER = in_worlds("in order")
PROCESSED = in_worlds("delivered means processed")
NEVER = in_worlds("not delivered never arrives")
DEADLINE = in_worlds("every send ends by its deadline")
UNSENT = in_worlds("withdrawn unsent never arrives")
SOURCE = in_worlds("nothing from nowhere")
FENCED = in_worlds("a fenced process stays out")
HEALED = in_worlds("a healed world delivers")
STILL = in_worlds("time stands still")

MUTANTS = (
    Mutant(no_deadlines, 1, DEADLINE, "every send ends by its deadline"),
    Mutant(order_mixed, 1, ORDER, "in order"),
    Mutant(gaps_accepted, 1, PROCESSED, "delivered means processed"),
    Mutant(guess_not_delivered, 1, NEVER, "not delivered never arrives"),
    Mutant(guess_delivered, 1, PROCESSED, "delivered means processed"),
    Mutant(withdrawn_still_sent, 1, UNSENT, "withdrawn unsent never arrives"),
    Mutant(nack_swallowed, 1, PROCESSED, "delivered means processed"),
    Mutant(ack_before_processing, 2, PROCESSED, "delivered means processed"),
    Mutant(no_dedup, 3, ONCE, "at most once"),
    Mutant(dedup_by_memory_that_ages, 3, ONCE, "at most once"),
    Mutant(resend_to_the_forgetful, 3, ONCE, "at most once"),
    Mutant(epochs_ignored, 3, HEALED, "a healed world delivers"),
    Mutant(no_fence, 3, FENCED, "a fenced process stays out"),
    Mutant(generation_reused, 3, FENCED, "a fenced process stays out"),
    Mutant(ack_outruns_refusal, 4, PROCESSED, "delivered means processed"),
    Mutant(skip_not_remembered, 4, NEVER, "not delivered never arrives"),
    Mutant(skips_unsaid, 4, HEALED, "a healed world delivers"),
    Mutant(skipped_called_processed, 4, PROCESSED, "delivered means processed"),
    Mutant(no_checksum, 6, SOURCE, "nothing from nowhere"),
    Mutant(bytes_count_as_life, 6, HEALED, "a healed world delivers"),
    Mutant(always_due, 6, STILL, "time stands still"),
)

"""The simulated world catches bugs: each planted one breaks the promise it should, within a few hundred seeds.

A checker that has never failed proves nothing. Every promise of the native wire has at least one mutant here.
"""

from collections.abc import Callable

import pytest

from agt.chaos.sim import run_seed
from agt.transport import Outcome, Outgoing, Received
from agt.transport.wires.native import _frames
from agt.transport.wires.native._claims import Claims
from agt.transport.wires.native._keepalive import Keepalive
from agt.transport.wires.native._receiver import Receiver
from agt.transport.wires.native._sender import Sender

SEEDS = range(400)
Patch = pytest.MonkeyPatch


def no_dedup(patch: Patch) -> None:
    """A receiver hands a message out as often as it comes."""
    accept = Receiver.accept

    def buggy(self: Receiver, sequence: int, payloads: list[bytes]) -> None:
        if sequence <= self.accepted:
            self._emit(Received(10**9 + sequence, list(payloads), sequence))
        accept(self, sequence, payloads)

    patch.setattr(Receiver, "accept", buggy)


def ack_before_processing(patch: Patch) -> None:
    """A receiver acknowledges what has merely arrived."""
    accept = Receiver.accept

    def buggy(self: Receiver, sequence: int, payloads: list[bytes]) -> None:
        accept(self, sequence, payloads)
        self._processed = self.accepted

    patch.setattr(Receiver, "accept", buggy)


def gaps_accepted(patch: Patch) -> None:
    """A receiver takes a message although an earlier one is missing."""
    accept = Receiver.accept

    def buggy(self: Receiver, sequence: int, payloads: list[bytes]) -> None:
        if sequence > self.accepted + 1:
            self._advance(sequence - 1)
        accept(self, sequence, payloads)

    patch.setattr(Receiver, "accept", buggy)


def resend_to_the_forgetful(patch: Patch) -> None:
    """A sender repeats what was in flight to a receiver that has lost its memory."""
    patch.setattr(Sender, "forgotten", lambda self, now: setattr(self, "_received", self._base))


def ack_outruns_refusal(patch: Patch) -> None:
    """A receiver acknowledges past an exception in frames that can't name it."""
    patch.setattr(Receiver, "ack_anywhere", lambda self: self._processed)


def guess_not_delivered(patch: Patch) -> None:
    """A sender calls what it can't know `not_delivered`."""
    settle = Sender._settle

    def buggy(self: Sender, entry: Outgoing, outcome: Outcome, reason: str, now: float) -> None:
        settle(self, entry, Outcome.NOT_DELIVERED if outcome is Outcome.INDETERMINATE else outcome, reason, now)

    patch.setattr(Sender, "_settle", buggy)


def guess_delivered(patch: Patch) -> None:
    """A sender takes what has arrived for processed."""
    take = Sender.take_statement

    def buggy(self: Sender, processed: int, received: int, exceptions: object, now: float) -> None:
        take(self, max(processed, received), received, (), now)

    patch.setattr(Sender, "take_statement", buggy)


def no_fence(patch: Patch) -> None:
    """An acceptor lets an older process of the same name in again."""
    patch.setattr(Claims, "refuses", lambda self, epoch, brought: False)


def epochs_ignored(patch: Patch) -> None:
    """A receiver takes a new incarnation's sequences for those of the one before."""
    remember = Receiver.remember

    def buggy(self: Receiver, epoch: int, settled_through: int, *, renew_token: bool) -> bool:
        if self.epoch:
            self.epoch = epoch
        return remember(self, epoch, settled_through, renew_token=renew_token)

    patch.setattr(Receiver, "remember", buggy)


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


def bytes_count_as_life(patch: Patch) -> None:
    """A link believes in its peer as long as it writes anything, whole frames or not."""
    patch.setattr(Keepalive, "give_up_at", property(lambda self: float("inf")))


def skip_not_remembered(patch: Patch) -> None:
    """A sender forgets to skip what it gave up, and the receiver hands it out late."""
    expire = Sender._expire

    def buggy(self: Sender, now: float) -> None:
        expire(self, now)
        for entry in self._window:
            if entry.ending and not entry.told:
                self._tell(entry, Outcome.NOT_DELIVERED, entry.ending, now)

    patch.setattr(Sender, "_expire", buggy)


def always_due(patch: Patch) -> None:
    """A sender's timer is never put off once it has come."""
    patch.setattr(Sender, "handle_timer", lambda self, now: False)


MUTANTS: dict[Callable[[Patch], None], str] = {
    no_dedup: "at most once",
    ack_before_processing: "delivered means processed",
    gaps_accepted: "delivered means processed",
    resend_to_the_forgetful: "at most once",
    ack_outruns_refusal: "delivered means processed",
    guess_not_delivered: "not delivered never arrives",
    guess_delivered: "delivered means processed",
    no_fence: "a fenced process stays out",
    epochs_ignored: "delivered means processed",
    no_checksum: "nothing from nowhere",
    no_deadlines: "every send ends by its deadline",
    withdrawn_still_sent: "withdrawn unsent never arrives",
    bytes_count_as_life: "a healed world delivers",
    skip_not_remembered: "not delivered never arrives",
    always_due: "time stands still",
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_planted_bug_breaks_its_promise(mutant: Callable[[Patch], None], monkeypatch: Patch) -> None:
    """The suite's seeds catch the bug, and the report says how to see it again."""
    mutant(monkeypatch)
    seen: set[str] = set()
    for seed in SEEDS:
        report = run_seed(seed)
        if report.broken.startswith(MUTANTS[mutant]):
            assert f"--seed {seed} --trace" in report.summary()
            return
        seen.add(report.broken.partition(":")[0])
    pytest.fail(f"{mutant.__name__} was not caught; broken were {seen}")

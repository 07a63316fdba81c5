"""Bugs in durable delivery (promise 2), caught in worlds whose processes crash between their writes."""

from collections.abc import Sequence
from functools import partial

from agt.chaos.sim import _durable, draw_profile_of, run_seed
from agt.chaos.sim._book import BrokenPromise
from agt.chaos.sim._profile import with_overrides
from agt.transport import Settled
from agt.transport.durable._outbox_book import OutboxBook
from agt.transport.durable._outbox_layout import read_past
from agt.transport.durable._outbox_link import OutboxLink
from agt.transport.durable._progress import Progress
from agt.transport.durable._remembering_link import Pending, RememberingLink, Run
from agt.transport.wires.native import NativeLink
from agt.transport.wires.native._claims import Claims
from agt.transport.wires.native._keeping_sender import KeepingSender
from agt.transport.wires.native._sender import Sender
from support.mutants import WORLDS, Check, Mutant, Patch

OUTBOXES = {"durable": "1", "remembers": "0", "crash_per_s": "0.5"}
INBOXES = {"durable": "0", "remembers": "1", "crash_per_s": "0.5", "zombie": "0.5"}
"""What is set in the profiles of worlds where devices, or gateways, have a disk, and processes crash often."""


def in_durable_worlds(rule: str, settings: dict[str, str]) -> Check:
    """Return the check that a rule holds in worlds with disks."""
    where = "outboxes" if settings is OUTBOXES else "inboxes"
    return Check(f"worlds with {where}: {rule}", partial(_hold, rule, settings), shown_elsewhere=True)


def _hold(rule: str, settings: dict[str, str]) -> None:
    for seed in range(WORLDS):
        report = run_seed(seed, with_overrides(draw_profile_of(seed), settings))
        if report.broken.startswith(rule):
            raise BrokenPromise(rule, report.broken.partition(": ")[2])


def sent_before_stored(patch: Patch) -> None:
    """A message goes out before its row is on the disk."""
    patch.setattr(KeepingSender, "_room", Sender._room)


def told_before_noted(patch: Patch) -> None:
    """A message is told to be given up before the outbox has noted that."""

    def buggy(self: OutboxLink, event: Settled) -> None:
        self._events.append(event)

    patch.setattr(OutboxLink, "_sort", buggy)


def rows_deleted_early(patch: Patch) -> None:
    """An outbox deletes one row more than was answered."""
    settled = OutboxBook.settled

    def buggy(self: OutboxBook, channel: int, base: int) -> None:
        settled(self, channel, base + 1)

    patch.setattr(OutboxBook, "settled", buggy)


def new_epoch_at_each_start(patch: Patch) -> None:
    """A process that comes back over its outbox calls itself a new incarnation, and repeats what was in flight."""
    starts = iter(range(1, 1 << 30))

    def buggy(*place: object) -> object:
        past = read_past(*place)  # type: ignore[arg-type]
        past.epoch += next(starts)
        past.peer_memory = 0
        return past

    patch.setattr(_durable, "read_past", buggy)


def receiver_not_remembered(patch: Patch) -> None:
    """An outbox doesn't store whose memory its messages were meant for, so that it can't tell when it was forgotten."""
    patch.setattr(OutboxBook, "meet", lambda self, memory: None)


def ack_before_commit(patch: Patch) -> None:
    """A receiver acknowledges what the application is committing before that is durable."""
    take = RememberingLink.take

    def buggy(self: RememberingLink, runs: Sequence[Run] = ()) -> Pending:
        pending = take(self, runs)
        for token, count in runs:
            NativeLink.acknowledge(self, token, now=0.0, count=count)
        return pending

    patch.setattr(RememberingLink, "take", buggy)


def mark_outside_the_transaction(patch: Patch) -> None:
    """A receiver commits effects without the marks behind them, which follow later."""
    through_after = Progress.through_after
    patch.setattr(Progress, "through_after", lambda self, runs: through_after(self, ()))


def generations_forgotten(patch: Patch) -> None:
    """A receiver that comes back doesn't know who holds a name, and lets an older process in again."""
    patch.setattr(Claims, "restore", lambda self, *numbers: None)


def _out(rule: str) -> Check:
    return in_durable_worlds(rule, OUTBOXES)


def _in(rule: str) -> Check:
    return in_durable_worlds(rule, INBOXES)


MUTANTS = (
    Mutant(sent_before_stored, 2, _out("stored before it goes out"), "stored before it goes out"),
    Mutant(told_before_noted, 2, _out("given up stays given up"), "given up stays given up"),
    Mutant(rows_deleted_early, 2, _out("what is stored survives"), "what is stored survives"),
    Mutant(new_epoch_at_each_start, 2, _out("at most once"), "at most once"),
    Mutant(receiver_not_remembered, 2, _out("at most once"), "at most once"),
    Mutant(ack_before_commit, 2, _in("delivered means processed"), "delivered means processed"),
    Mutant(mark_outside_the_transaction, 2, _in("applied once"), "applied once"),
    Mutant(generations_forgotten, 3, _in("a fenced process stays out"), "a fenced process stays out"),
)

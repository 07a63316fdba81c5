"""What must be true of a router world's whole life: what only the joined logs of its devices and sources can show."""

from typing import TYPE_CHECKING

from agt.chaos.sim._book import BrokenPromise
from agt.chaos.sim.moves._book import Book, Entry, Reach
from agt.chaos.sim.moves._gateway import REPLY_TIMEOUT_S
from agt.transport import Outcome

if TYPE_CHECKING:
    from agt.chaos.sim.moves._world import RouterWorld


def check_ledger(world: "RouterWorld") -> None:
    """Hold that the last process's ledger agrees with what its sources were told, and is balanced."""
    process = world.gateway.process
    assert process is not None, "a healed world has a gateway"
    totals = process.ledger.totals.values()
    told = world.book.outcomes()
    for outcome in Outcome:
        counted = sum(getattr(counts, outcome.value) for counts in totals)
        untold, slack = told.get("untold", 0), _unnoted(world)
        if not told.get(outcome.value, 0) - slack <= counted <= told.get(outcome.value, 0) + untold + slack:
            raise BrokenPromise(
                "the ledger agrees", f"{counted} {outcome.value}, told {told.get(outcome.value, 0)}, untold {untold}"
            )
    if any(counts.in_flight for counts in totals):
        raise BrokenPromise("the ledger balances", f"in flight at the end: {[each.in_flight for each in totals]}")


def _unnoted(world: "RouterWorld") -> int:
    """Count what a journal on a disk that was full may have lost."""
    return len(world.book.entries) if world.disk_was_full else 0


def check_history(world: "RouterWorld") -> None:
    """Hold what takes a device's whole log to judge."""
    world.book.note_names()
    for name in world.devices:
        entries = [entry for entry in world.book.entries.values() if entry.device == name]
        _check_lasts(entries)
        _check_moves(world.book, entries)


def _check_lasts(entries: list[Entry]) -> None:
    """Hold that a device ends in its newest state: nothing older came again behind it and stayed.

    A repetition may put older states in front for a moment, as long as everything newer is repeated behind it; where
    the network lost that, it is the network's doing.
    """
    last = 0.0
    older: Entry | None = None
    for entry in sorted(entries, key=lambda entry: entry.number):
        acts = [reach.at for reach in entry.reached if reach.acts]
        if not acts:
            continue
        at = acts[-1]
        if older is not None and at < last and not _lost_some(entry):
            raise BrokenPromise("the newest state stays", f"{older.name} came again after {entry.name}")
        if at >= last:
            last, older = at, entry


def _lost_some(entry: Entry) -> bool:
    """Whether the network lost a copy of it."""
    return len(entry.wrote) > len(entry.reached)


def _check_moves(book: Book, entries: list[Entry]) -> None:
    """Hold that what was lost on legacy and could still be told when the device left it is repeated, or named.

    In the very instant in which its observer gives it up (often what ends a drain) it can't be told any more.
    """
    for position, entry in enumerate(entries):
        if entry.outcome is not Outcome.WRITTEN or entry.reached or not entry.wrote:
            continue
        wrote = entry.wrote[-1]
        follower = _next_reach(entries[position + 1 :])
        if follower is None or follower.attachment != "native" or wrote.attachment != "legacy":
            continue
        died = any(wrote.at <= at <= follower.at for _, at in book.deaths)
        ended = next((moving for at, moving in book.ends.get(entry.device, ()) if at >= wrote.at), True)
        late = follower.at >= wrote.at + min(REPLY_TIMEOUT_S, entry.deadline_s)
        if ended and not died and not late and not book.named.get((entry.device, entry.number)):
            raise BrokenPromise("a move loses nothing unnamed", f"{entry.name} was lost on legacy before it")


def _next_reach(entries: list[Entry]) -> Reach | None:
    reaches = [entry.reached[0] for entry in entries if entry.reached]
    return min(reaches, key=lambda reach: reach.at) if reaches else None

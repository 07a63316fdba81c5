"""The gateway's journal, read from outside, and where it contradicts what sources and devices wrote.

Each answer that the gateway gave has to stand in its journal with the same outcome, and nothing may stand there that
no source ever sent. Only of what a source had to give up itself, because the gateway died, the journal may know more
or less than the source.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from agt.chaos.checkers import Fate, History, Ownership
from agt.transport import Outcome

MessageKey = tuple[str, int]
OutcomeKey = tuple[str, str]
"""Runtime and outcome."""

Counters = Mapping[str, Mapping[str, int]]
"""What the router itself counts, by runtime and outcome."""

FOUND_MAX = 50
"""Contradictions that are spelt out; there is no use in reading more."""


class LedgerBook(msgspec.Struct):
    """What the journal says."""

    settled: dict[MessageKey, OutcomeKey] = {}
    """How each message ended."""
    open: dict[int, tuple[str, int]] = {}
    """By entry, messages that were accepted and have no ending, as runtime and line: a gateway died with them."""
    totals: Counter[OutcomeKey] = msgspec.field(default_factory=Counter)
    """How many ended how, those included that an earlier compaction had folded away."""
    repeated: list[MessageKey] = []
    """Messages with more than one ending."""
    compacted: bool = False
    """Whether older lines were folded into totals."""
    owned: list[Ownership] = []
    """When which runtime had a message of a device on its way, counted in lines of the journal: it has one writer and
    no clock, so its lines are the order in which things happened."""
    lines: int = 0
    """Lines taken in."""

    def take(self, line: Mapping[str, Any]) -> None:
        """Take in one line."""
        self.lines += 1
        key: MessageKey = (str(line.get("device", "")), int(line.get("number", 0)))
        runtime, kind = str(line.get("runtime", "")), line.get("e")
        if kind == "totals":
            self.compacted = True
            for name, counts in line.get("totals", {}).items():
                for outcome in Outcome:
                    self.totals[name, outcome.value] += int(counts.get(outcome.value, 0))
        elif kind == "accepted":
            self.open[int(line["id"])] = (runtime, self.lines)
        elif kind in {"settled", "both"}:
            ended: OutcomeKey = (runtime, str(line["outcome"]))
            first, since = self.open.pop(int(line["id"]), (runtime, self.lines))
            self._own(key[0], ended, since if first == runtime else self.lines)
            if key in self.settled:
                self.repeated.append(key)
            self.settled[key] = ended
            self.totals[ended] += 1

    def _own(self, device: str, ended: OutcomeKey, since: int) -> None:
        """Note who had a message on its way.

        What was delivered was so from its acceptance on, and what was written at the instant when it was: before that
        the router may have held it for a move. Anything else may never have been handed to a path.
        """
        runtime, outcome = ended
        if outcome == Outcome.DELIVERED:
            self.owned.append(Ownership(device, runtime, since, self.lines))
        elif outcome == Outcome.WRITTEN:
            self.owned.append(Ownership(device, runtime, self.lines, self.lines))


def read_book(path: Path) -> LedgerBook:
    """Read a journal; torn lines of killed processes are passed over, a missing file is an empty book."""
    book = LedgerBook()
    if path.exists():
        with path.open("rb") as lines:
            for line in lines:
                try:
                    decoded = msgspec.json.decode(line, type=dict[str, Any])
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    continue
                book.take(decoded)
    return book


def contradictions(history: History, book: LedgerBook, counters: Counters | None = None) -> tuple[str, ...]:
    """Find where the ledger and the logs differ, in words, at most `FOUND_MAX`.

    Args:
        history: What sources and devices wrote.
        book: What the gateway wrote.
        counters: What the router said it had counted, when it could still be asked.
    """
    found: list[str] = []
    for problem in _problems(history, book, counters):
        found.append(problem)
        if len(found) == FOUND_MAX:
            break
    return tuple(found)


def _problems(history: History, book: LedgerBook, counters: Counters | None) -> Iterator[str]:
    for fate in history.fates.values():
        yield from _against_book(fate, book)
        yield from _against_device(fate)
    for effect in history.unsent:
        yield f"{effect.device} #{effect.number} acted and was never sent"
    for told in history.retold:
        yield f"{told.device} #{told.number} was told twice, or never sent"
    for device, number in book.repeated:
        yield f"{device} #{number} ended twice in the ledger"
    for device, number in book.settled:
        if (device, number) not in history.fates:
            yield f"{device} #{number} is in the ledger and was never sent"
    if counters is not None:
        yield from _against_counters(book, counters)


def _against_book(fate: Fate, book: LedgerBook) -> Iterator[str]:
    told = fate.told
    if told is None or told.by != "gateway":
        return
    booked = book.settled.get((fate.device, fate.number))
    if booked is None:
        if not book.compacted:
            yield f"{fate.name}: told {told.outcome} on {told.runtime}, and the ledger knows nothing of it"
    elif booked != (told.runtime, told.outcome):
        yield f"{fate.name}: told {told.outcome} on {told.runtime}, the ledger has {booked[1]} on {booked[0]}"


def _against_device(fate: Fate) -> Iterator[str]:
    told = fate.told
    if told is None:
        return
    if told.outcome == Outcome.DELIVERED and not fate.effects:
        yield f"{fate.name}: the ledger has it as delivered, and it never acted"
    if told.outcome == Outcome.NOT_DELIVERED and fate.effects:
        yield f"{fate.name}: the ledger has it as not delivered, and it acted"


def _against_counters(book: LedgerBook, counters: Counters) -> Iterator[str]:
    expected = Counter(book.totals)
    for runtime, _ in book.open.values():
        expected[runtime, Outcome.INDETERMINATE.value] += 1
    for runtime, counts in sorted(counters.items()):
        for outcome in Outcome:
            counted, booked = counts.get(outcome.value, 0), expected[runtime, outcome.value]
            if counted != booked:
                yield f"the router counted {counted} {outcome.value} on {runtime}, its journal has {booked}"

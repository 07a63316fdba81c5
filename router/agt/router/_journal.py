"""The ledger's journal: a file of lines that survives `kill -9`.

One line when a message is accepted, one when it ends. Lines are gathered and handed to the kernel in one write per
turn of the loop (`flush`), so a killed process loses at most the lines of the turn it died in; there is no fsync,
since what must survive here is the process, not the machine. On start the file is read back: counts continue, and
what was accepted and never ended is handed to the ledger. A full disk stops no message: lines that can't be
written are kept up to a limit, then dropped and counted.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agt.router._storage import DiskStorage, Storage
from agt.transport import Outcome

JOURNAL_MAX_BYTES = 16 << 20
"""Size at which the file is replaced by its totals when it is opened."""
PENDING_MAX_LINES = 20_000
"""Lines that may wait for a disk that refuses them."""

OWNERS_MAX = 100_000
"""Devices whose owner is remembered, those on control apart; the oldest are forgotten first."""
OWNERS_A_LINE = 1000
DOUBTED_MAX = 1000
"""Messages in doubt whose names are remembered over restarts; the oldest are forgotten first."""

_OUTCOMES = frozenset(outcome.value for outcome in Outcome)


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of `ledger.jsonl`."""

    e: str
    """`accepted`, `settled`, `both` (accepted and settled at once), `owner` (who owns a device from now on), or what a
    shortened file begins with: `totals`, `owners`, `doubt`."""
    id: int = 0
    """Ties a `settled` line to its `accepted` line; grows over all incarnations."""
    device: str = ""
    number: int = 0
    runtime: str = ""
    """Of the first path when accepted, of the last attempt when settled."""
    outcome: str = ""
    resends: int = 0
    totals: dict[str, dict[str, int]] = {}
    owners: dict[str, str] = {}
    """Runtime by device, those on control apart."""


@dataclass(slots=True)
class Former:
    """What earlier incarnations left behind."""

    totals: dict[str, dict[str, int]] = field(default_factory=dict)
    """Counts by runtime, named as in the ledger."""
    unsettled: tuple[Entry, ...] = ()
    """`accepted` lines without a `settled` one, oldest first."""
    doubted: deque[Entry] = field(default_factory=lambda: deque(maxlen=DOUBTED_MAX))
    """Messages that ended in doubt, by device and number, oldest first."""
    owners: dict[str, str] = field(default_factory=dict)
    """Runtime by device, those on control apart."""
    last_id: int = 0
    damaged: int = 0
    """Lines that could not be read; the last one of a killed process may be torn."""


class LedgerJournal:
    """Appends to `ledger.jsonl`, and reads back what is there."""

    def __init__(self, path: Path | str, *, max_bytes: int = JOURNAL_MAX_BYTES, storage: Storage | None = None) -> None:
        """Open or make the file.

        Args:
            path: where it is.
            max_bytes: size at which it is replaced by its totals.
            storage: whose files; the operating system's when not given.

        Raises:
            OSError: when it can be neither read nor written.
        """
        self.path = Path(path)
        self._storage = storage if storage is not None else DiskStorage()
        self.former = _read_back(self._storage.lines(self.path))
        self.broken = ""
        """Why lines can't be written now; empty when they can."""
        self.dropped = 0
        """Lines given up because the disk refused them for too long."""
        self.on_pending: Callable[[], None] = _nobody
        """Called when the first line of a turn has been gathered."""
        self._pending: list[bytes] = []
        self._last_id = self.former.last_id
        self._owners = dict(self.former.owners)
        if self._storage.size(self.path) > max_bytes:
            try:
                self._compact()
            except OSError as error:  # Full, most likely: a long journal is better than a gateway that doesn't start.
                self.broken = error.strerror or str(error)
        self._file = self._storage.append(self.path)
        if not self._storage.ends_with_newline(self.path):  # A killed process tore a line: ours isn't glued to it.
            self._pending.append(b"\n")

    @property
    def pending(self) -> bool:
        """Whether lines wait for `flush`."""
        return bool(self._pending)

    def accepted(self, device: str, number: int, runtime: str) -> int:
        """Note a message on its way; the id returned goes with `settled`."""
        self._last_id += 1
        self._gather(Entry(e="accepted", id=self._last_id, device=device, number=number, runtime=runtime))
        return self._last_id

    def settled(self, entry: int, device: str, number: int, runtime: str, outcome: Outcome, resends: int) -> None:
        """Note a message that has ended."""
        self._gather(
            Entry(
                e="settled", id=entry, device=device, number=number, runtime=runtime, outcome=outcome, resends=resends
            )
        )

    def accepted_and_settled(self, device: str, number: int, runtime: str, outcome: Outcome, resends: int) -> None:
        """Note a message that ended at once, in one line."""
        self._last_id += 1
        self._gather(
            Entry(
                e="both",
                id=self._last_id,
                device=device,
                number=number,
                runtime=runtime,
                outcome=outcome,
                resends=resends,
            )
        )

    def owned(self, device: str, runtime: str) -> None:
        """Note who owns a device from now on, unless that is known; an empty runtime means control."""
        if self._owners.get(device, "") == runtime:
            return
        _remember(self._owners, device, runtime)
        self._gather(Entry(e="owner", device=device, runtime=runtime))

    def flush(self) -> None:
        """Hand the gathered lines to the kernel in one write; keeps them when the disk refuses."""
        if not self._pending:
            return
        data = b"".join(self._pending)
        try:
            written = self._file.write(data)
        except OSError as error:
            self._refused(error.strerror or str(error))
            return
        self.broken = ""
        self._pending.clear()
        if written < len(data):  # The disk became full in the middle: the rest goes first next time.
            self._pending.append(data[written:])
            self.broken = "the disk took only a part"

    def close(self) -> None:
        """Write what is gathered and close the file."""
        self.flush()
        self._file.close()

    def _gather(self, entry: Entry) -> None:
        first = not self._pending
        self._pending.append(msgspec.json.encode(entry) + b"\n")
        if first:
            self.on_pending()

    def _refused(self, why: str) -> None:
        self.broken = why
        over = len(self._pending) - PENDING_MAX_LINES
        if over > 0:
            del self._pending[:over]
            self.dropped += over

    def _compact(self) -> None:
        """Replace the file by its totals and what is still open."""
        former = self.former
        lines = [Entry(e="totals", id=self._last_id, totals=_without_open(former)), *former.unsettled]
        lines += [Entry(e="doubt", device=one.device, number=one.number, runtime=one.runtime) for one in former.doubted]
        owners = list(former.owners.items())
        for at in range(0, len(owners), OWNERS_A_LINE):
            lines.append(Entry(e="owners", owners=dict(owners[at : at + OWNERS_A_LINE])))
        fresh = self.path.with_name(self.path.name + ".tmp")
        self._storage.write(fresh, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        self._storage.rename(fresh, self.path)


def _read_back(lines: Iterable[bytes]) -> Former:
    former = Former()
    opened: dict[int, Entry] = {}
    for line in lines:
        if not line.strip():
            continue
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.DecodeError, UnicodeDecodeError):
            former.damaged += 1
            continue
        former.last_id = max(former.last_id, entry.id)
        _take(former, opened, entry)
    former.unsettled = tuple(opened.values())
    return former


def _take(former: Former, opened: dict[int, Entry], entry: Entry) -> None:
    """Take one line into account."""
    if entry.e == "totals":
        for runtime, counts in entry.totals.items():
            for name, value in counts.items():
                _add(former, runtime, name, value)
    elif entry.e == "accepted":
        opened[entry.id] = entry
        _add(former, entry.runtime, "accepted")
    elif entry.e in ("settled", "both"):
        _settle(former, entry, opened.pop(entry.id, None))
    elif entry.e == "doubt":
        former.doubted.append(entry)
    elif entry.e == "owner":
        _remember(former.owners, entry.device, entry.runtime)
    elif entry.e == "owners":
        former.owners.update(entry.owners)


def _settle(former: Former, entry: Entry, accepted: Entry | None) -> None:
    first = accepted.runtime if accepted else entry.runtime
    if accepted is None:  # One line for both, or the accepting line was torn.
        _add(former, entry.runtime, "accepted")
    if first != entry.runtime:
        _add(former, first, "given_up")
        _add(former, entry.runtime, "taken_over")
    _add(former, entry.runtime, "resends", entry.resends)
    if entry.outcome in _OUTCOMES:
        _add(former, entry.runtime, entry.outcome)
    if entry.outcome == Outcome.INDETERMINATE:
        former.doubted.append(entry)


def _remember(owners: dict[str, str], device: str, runtime: str) -> None:
    """Note an owner; control is what is not noted."""
    owners.pop(device, None)
    if runtime:
        owners[device] = runtime
        if len(owners) > OWNERS_MAX:
            del owners[next(iter(owners))]


def _add(former: Former, runtime: str, name: str, by: int = 1) -> None:
    counts = former.totals.setdefault(runtime, {})
    counts[name] = counts.get(name, 0) + by


def _without_open(former: Former) -> dict[str, dict[str, int]]:
    """Totals in which the open messages don't count as accepted, since their own lines will say so again."""
    totals = {runtime: dict(counts) for runtime, counts in former.totals.items()}
    for entry in former.unsettled:
        totals[entry.runtime]["accepted"] -= 1
    return totals


def _nobody() -> None:
    """Stand in for a callback that nobody has set."""

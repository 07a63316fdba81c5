"""The oracle of router worlds: what sources sent and were told, what devices received, who wrote to them.

No router sees this. Sources and devices write into it at their edges; whatever can be judged at once is judged at
once, so that a broken promise is found at the event that broke it. What takes a whole life to judge is in `_rules`.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from agt.chaos.sim._book import BrokenPromise
from agt.router import Ledger, Router
from agt.transport import Barrier, Delivery, Outcome

RUNTIME_OF = {"legacy": "legacy", "native": "reliable"}
"""Whose way an attachment is; on a wire that moves in place, both are `legacy`."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A message has come to its device."""

    at: float
    attachment: str
    gateway: int
    """The incarnation that wrote it."""
    acts: bool
    """Whether the device acted on it, or passed over it by its watermark."""


@dataclass(frozen=True, slots=True)
class Wrote:
    """A message has left a gateway for its device."""

    at: float
    attachment: str
    gateway: int


@dataclass(slots=True)
class Entry:
    """One message, as its source and its device saw it."""

    device: str
    number: int
    gateway: int
    """The incarnation that it was handed to."""
    sent_at: float
    deadline_s: float
    resends: bool
    """Whether its class lets it be sent again when in doubt."""
    outcome: Outcome | None = None
    """What its source was told; None when nobody told it anything."""
    reason: str = ""
    runtime: str = ""
    wrote: list[Wrote] = field(default_factory=list)
    reached: list[Reach] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How reports call it."""
        return f"{self.device} #{self.number}"


class Book:
    """All messages of one world, by device and number."""

    def __init__(self, now: Callable[[], float], *, barrier: Barrier, in_place: bool) -> None:
        """Open the book.

        Args:
            now: the world's clock.
            barrier: what the devices promise.
            in_place: whether both ways share one attachment.
        """
        self._now, self._barrier, self._in_place = now, barrier, in_place
        self.entries: dict[tuple[str, int], Entry] = {}
        self.ledger: Ledger | None = None
        """The present process's."""
        self.deaths: list[tuple[int, float]] = []
        """Which incarnations died, and when."""
        self.named: dict[tuple[str, int], set[str]] = {}
        """What any ledger has said about a message, by kind of anomaly."""
        self.kills: list[tuple[float, float]] = []
        """From when to when a confirmed kill held."""
        self.ends: dict[str, list[tuple[float, bool]]] = {}
        """When a device's legacy connections ended, and whether a move was under way."""
        self._left_open: list[Entry] = []
        """What dead processes had noted as taken, and not as ended."""
        self._newest: dict[str, int] = {}
        self._highest: dict[str, int] = {}

    # Sources

    def sent(self, entry: Entry) -> None:
        """A source has handed a message to a gateway."""
        self.entries[entry.device, entry.number] = entry

    def told(self, device: str, number: int, delivery: Delivery, gateway: int) -> None:
        """A source was told how a message ended."""
        entry = self.entries[device, number]
        if entry.outcome is not None:
            raise BrokenPromise("told once", f"{entry.name} was {entry.outcome}, now {delivery.outcome}")
        if gateway != entry.gateway:
            raise BrokenPromise("told once", f"{entry.name} of gateway {entry.gateway} was told by {gateway}")
        assert delivery.outcome is not None, "only what has ended is told"
        entry.outcome, entry.reason, entry.runtime = delivery.outcome, delivery.reason, delivery.runtime
        acted = any(reach.acts for reach in entry.reached)
        if entry.outcome is Outcome.DELIVERED and not acted:
            raise BrokenPromise("delivered means acted on", f"{entry.name} came {len(entry.reached)} times")
        if entry.outcome is Outcome.NOT_DELIVERED and entry.reached:
            raise BrokenPromise("not delivered never arrives", f"{entry.name} had come, told {entry.reason!r}")
        if entry.outcome is Outcome.INDETERMINATE:
            self._see_named(entry)

    # Devices

    def reached(self, device: str, number: int, attachment: str, gateway: int, *, acts: bool) -> None:
        """A device has received a message."""
        entry = self.entries.get((device, number))
        if entry is None:
            raise BrokenPromise("nothing from nowhere", f"{device} got #{number}, which nobody sent")
        again = bool(entry.reached)
        acted = any(reach.acts for reach in entry.reached)
        entry.reached.append(Reach(self._now(), attachment, gateway, acts))
        if entry.outcome is Outcome.NOT_DELIVERED:
            raise BrokenPromise("not delivered never arrives", f"{entry.name} was {entry.reason!r} and came")
        self._check_gateway(entry, gateway, again=again)
        if not acts and not acted and not self._lost_by_legacy(entry):
            raise BrokenPromise("nothing is overtaken", f"{entry.name} came by {attachment} after a later one")
        if again and self._never_twice(entry):
            raise BrokenPromise("at most once where nobody could tell", f"{entry.name} came again by {attachment}")
        highest = self._highest.get(device, 0)
        if not again and number < highest and not self._lost_by_legacy(entry):
            raise BrokenPromise("in order", f"{entry.name} came by {attachment} after #{highest}")
        self._highest[device] = max(highest, number)

    # Gateways

    def wrote(self, device: str, number: int, attachment: str, gateway: int, router: Router) -> None:
        """A gateway's connection takes a message."""
        entry = self.entries.get((device, number))
        if entry is None:
            raise BrokenPromise("nothing from nowhere", f"#{number} was written to {device}, and nobody sent it")
        entry.wrote.append(Wrote(self._now(), attachment, gateway))
        since = self._killed_since()
        if attachment == "native" and entry.sent_at > since:
            raise BrokenPromise("a kill holds", f"{entry.name}, sent after it, left by the candidate's way")
        owner = router.runtime_of(device)
        if not self._in_place and owner not in (None, RUNTIME_OF[attachment]):
            raise BrokenPromise("one owner", f"{entry.name} was written by {attachment}, and {owner} owns {device}")

    def gateway_started(self, number: int, ledger: Ledger) -> None:
        """A process is up, with a ledger of its own."""
        self.ledger = ledger
        self.note_names()
        named = {(one.device, one.number) for one in ledger.anomalies}
        for entry in self._left_open:
            if (entry.device, entry.number) not in named:
                raise BrokenPromise("what a dead gateway left is named", f"{entry.name}, by gateway {number}")

    def gateway_died(self, number: int, journal: bytes, *, excused: bool) -> None:
        """A process is gone: whatever it had not told is in doubt at the sources.

        Args:
            number: which.
            journal: what its journal holds.
            excused: whether the disk had refused it lines.
        """
        self.note_names()
        self.ledger = None
        self.deaths.append((number, self._now()))
        if not excused:
            self._check_journal(number, journal)

    def legacy_ended(self, device: str, *, moving: bool) -> None:
        """A legacy connection is over; `moving` when the device was leaving that path anyway."""
        self.ends.setdefault(device, []).append((self._now(), moving))

    def killed(self) -> None:
        """A kill was confirmed."""
        if not self.kills or self.kills[-1][1] != math.inf:
            self.kills.append((self._now(), float("inf")))

    def unkilled(self) -> None:
        """An operator ends it from now on."""
        if self.kills and self.kills[-1][1] == float("inf"):
            self.kills[-1] = (self.kills[-1][0], self._now())

    def note_names(self) -> None:
        """Look at what the present ledger says went wrong."""
        for anomaly in self.ledger.anomalies if self.ledger is not None else ():
            self.named.setdefault((anomaly.device, anomaly.number), set()).add(anomaly.kind)

    def open_of(self, gateway: int) -> list[Entry]:
        """Return what an incarnation has been given and has not told."""
        return [entry for entry in self.entries.values() if entry.gateway == gateway and entry.outcome is None]

    def outcomes(self) -> dict[str, int]:
        """Count the messages by what their sources were told."""
        counts: dict[str, int] = {}
        for entry in self.entries.values():
            word = entry.outcome.value if entry.outcome else "untold"
            counts[word] = counts.get(word, 0) + 1
        return dict(sorted(counts.items()))

    # Within

    def _never_twice(self, entry: Entry) -> bool:
        if self._in_place:  # The wire itself may send again, under the command's own id.
            return False
        if self._barrier is Barrier.ACK:
            return not entry.resends
        return self._barrier is not Barrier.SEQUENCE

    def _check_gateway(self, entry: Entry, gateway: int, *, again: bool) -> None:
        newest = max(self._newest.get(entry.device, 0), gateway)
        self._newest[entry.device] = newest
        if gateway < newest and not again:
            raise BrokenPromise("one owner", f"{entry.name} of gateway {gateway} came after one of {newest}")

    def _killed_since(self) -> float:
        """Return since when a kill holds; never, when none does."""
        return self.kills[-1][0] if self.kills and self.kills[-1][1] == math.inf else math.inf

    def _lost_by_legacy(self, entry: Entry) -> bool:
        """Whether the network lost a copy of it on a legacy socket, and later ones came by there: no move's doing.

        Any copy, not only the first: a move may have taken it back from the candidate's way before. A legacy socket
        has no second try of its own, so what `sequence` promises ends with what such a network drops.
        """
        ours = [wrote.at for wrote in entry.wrote if wrote.attachment == "legacy"]
        if not ours:
            return False
        later = (one for one in self.entries.values() if one.device == entry.device and one.number > entry.number)
        return any(_came_by_legacy(one, since=ours[0]) for one in later)

    def _see_named(self, entry: Entry) -> None:
        self.note_names()
        if "indeterminate" not in self.named.get((entry.device, entry.number), ()):
            raise BrokenPromise("what is in doubt is named", f"{entry.name} is in no ledger")

    def _check_journal(self, number: int, journal: bytes) -> None:
        """Hold that what was told is noted, and that what was taken before the last turn is, too."""
        accepted, settled = read_journal(journal)
        left = (entry for key, entry in self.entries.items() if key in accepted and key not in settled)
        self._left_open += [entry for entry in left if entry.gateway == number]
        for key, entry in self.entries.items():
            if entry.gateway != number:
                continue
            if entry.outcome is not None and key not in settled:
                raise BrokenPromise("told means noted", f"{entry.name} was {entry.outcome}")
            if key not in accepted and entry.sent_at < self._now():
                raise BrokenPromise("taken means noted", f"{entry.name}, sent at {entry.sent_at:.3f}")


def _came_by_legacy(entry: Entry, *, since: float) -> bool:
    """Whether a message was written on a legacy socket from then on, and acted upon by that way."""
    wrote = [wrote.at for wrote in entry.wrote if wrote.attachment == "legacy" and wrote.at >= since]
    return bool(wrote) and any(
        reach.acts and reach.attachment == "legacy" and reach.at >= wrote[0] for reach in entry.reached
    )


def read_journal(data: bytes) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Return what a journal says was accepted, and what has ended, by device and number."""
    accepted: set[tuple[str, int]] = set()
    settled: set[tuple[str, int]] = set()
    for line in data.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # Torn by a crash.
        key = (str(entry.get("device", "")), int(entry.get("number", 0)))
        if entry["e"] in ("accepted", "both"):
            accepted.add(key)
        if entry["e"] in ("settled", "both"):
            settled.add(key)
    return accepted, settled

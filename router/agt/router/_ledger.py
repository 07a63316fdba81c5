"""The ledger: what became of every message, by runtime and device, in plain integers.

At every instant and for every runtime `accepted + taken_over = delivered + written + not_delivered +
indeterminate + given_up + in_flight`: a message that crosses to the other runtime is given up by the one and taken
over by the other, and its outcome counts for the runtime of its last attempt. What went wrong is kept in a
bounded ring with names; with a journal, the counts survive `kill -9`.
"""

from collections import deque
from collections.abc import Mapping

import msgspec

from agt.router._journal import LedgerJournal
from agt.router._path import Message
from agt.transport import Delivery, Outcome

ANOMALIES_MAX = 1000
"""How many anomalies are remembered; older ones go first."""


class Counts(msgspec.Struct, kw_only=True):
    """What one runtime did, for one device or for all."""

    accepted: int = 0
    """Messages whose first path this was."""
    delivered: int = 0
    written: int = 0
    not_delivered: int = 0
    indeterminate: int = 0
    resends: int = 0
    """Messages sent again, by the wire or by a move."""
    taken_over: int = 0
    """Messages that came over from the other runtime."""
    given_up: int = 0
    """Messages that went over to the other runtime."""

    @property
    def settled(self) -> int:
        """Messages that have ended here."""
        return self.delivered + self.written + self.not_delivered + self.indeterminate

    @property
    def in_flight(self) -> int:
        """Messages that are here and have not ended."""
        return self.accepted + self.taken_over - self.given_up - self.settled

    def count(self, outcome: Outcome, resends: int) -> None:
        """Count one message that has ended."""
        if outcome is Outcome.DELIVERED:
            self.delivered += 1
        elif outcome is Outcome.WRITTEN:
            self.written += 1
        elif outcome is Outcome.NOT_DELIVERED:
            self.not_delivered += 1
        else:
            self.indeterminate += 1
        self.resends += resends


class Anomaly(msgspec.Struct, frozen=True, kw_only=True):
    """One message that did not simply arrive."""

    device: str
    number: int
    runtime: str
    kind: str
    """`not_delivered`, `indeterminate`, or what the router noted itself."""
    says: str


class Ledger:
    """Counts messages, follows each to its end, and remembers what went wrong."""

    def __init__(
        self,
        runtimes: tuple[str, ...] = (),
        *,
        journal: LedgerJournal | None = None,
        anomalies_max: int = ANOMALIES_MAX,
    ) -> None:
        self.totals: dict[str, Counts] = {name: Counts() for name in runtimes}
        """By runtime, former incarnations included when there is a journal."""
        self.anomalies: deque[Anomaly] = deque(maxlen=anomalies_max)
        self.anomalies_seen = 0
        """All anomalies, those that have left the ring too."""
        self.journal = journal
        self._devices: dict[str, dict[str, Counts]] = {}
        if journal is not None:
            self._recover(journal)

    def runtime(self, name: str) -> Counts:
        """Return the counts of a runtime."""
        return self.totals.setdefault(name, Counts())

    def device(self, name: str) -> Mapping[str, Counts]:
        """Return an attached device's counts by runtime; empty for an unknown device."""
        return self._devices.get(name, {})

    def enroll(self, device: str) -> None:
        """Count for this device by itself too; messages to others count in the totals only."""
        self._devices.setdefault(device, {})

    def forget(self, device: str) -> None:
        """Drop a device's own counts; the totals keep them."""
        self._devices.pop(device, None)

    def accept(self, message: Message, delivery: Delivery) -> None:
        """Count a message whose handle names its runtime, and follow it to its end."""
        runtime = delivery.runtime
        for counts in self._both(message.device, runtime):
            counts.accepted += 1
        outcome = delivery.outcome
        if outcome is None:
            entry = self.journal.accepted(message.device, message.number, runtime) if self.journal else 0
            delivery.add_done_callback(_Followed(self, message.device, message.number, entry))
            return
        if self.journal:
            self.journal.accepted_and_settled(message.device, message.number, runtime, outcome, delivery.resends)
        self._count(message.device, message.number, delivery, outcome)

    def crossed(self, device: str, old: str, new: str) -> None:
        """Note that a message went from one runtime to the other without having ended."""
        for counts in self._both(device, old):
            counts.given_up += 1
        for counts in self._both(device, new):
            counts.taken_over += 1

    def resent(self, device: str, runtime: str) -> None:
        """Note a repetition of a message that had ended as `written`."""
        for counts in self._both(device, runtime):
            counts.resends += 1

    def note(self, anomaly: Anomaly) -> None:
        """Remember something that went wrong."""
        self.anomalies.append(anomaly)
        self.anomalies_seen += 1

    def _settled(self, device: str, number: int, entry: int, delivery: Delivery) -> None:
        outcome = delivery.outcome
        assert outcome is not None, "only a settled handle calls back"
        if self.journal:
            self.journal.settled(entry, device, number, delivery.runtime, outcome, delivery.resends)
        self._count(device, number, delivery, outcome)

    def _count(self, device: str, number: int, delivery: Delivery, outcome: Outcome) -> None:
        for counts in self._both(device, delivery.runtime):
            counts.count(outcome, delivery.resends)
        if outcome is Outcome.NOT_DELIVERED or outcome is Outcome.INDETERMINATE:
            self.note(
                Anomaly(
                    device=device, number=number, runtime=delivery.runtime, kind=outcome.value, says=delivery.reason
                )
            )

    def _both(self, device: str, runtime: str) -> tuple[Counts, ...]:
        total, own = self.runtime(runtime), self._devices.get(device)
        if own is None:
            return (total,)
        counts = own.get(runtime)
        if counts is None:
            counts = own[runtime] = Counts()
        return total, counts

    def _recover(self, journal: LedgerJournal) -> None:
        """Take over the former incarnation's counts; what it left open is indeterminate now."""
        for runtime, former in journal.former.totals.items():
            total = self.runtime(runtime)
            for name, value in former.items():
                setattr(total, name, getattr(total, name) + value)
        for left in journal.former.unsettled:
            self.runtime(left.runtime).count(Outcome.INDETERMINATE, 0)
            journal.settled(left.id, left.device, left.number, left.runtime, Outcome.INDETERMINATE, 0)
            self.note(
                Anomaly(
                    device=left.device,
                    number=left.number,
                    runtime=left.runtime,
                    kind=Outcome.INDETERMINATE.value,
                    says="the router died before it was settled",
                )
            )
        journal.flush()


class _Followed:
    """Waits for one message's end; smaller than a closure."""

    __slots__ = ("device", "entry", "ledger", "number")

    def __init__(self, ledger: Ledger, device: str, number: int, entry: int) -> None:
        self.ledger, self.device, self.number, self.entry = ledger, device, number, entry

    def __call__(self, delivery: Delivery) -> None:
        self.ledger._settled(self.device, self.number, self.entry, delivery)  # noqa: SLF001 - its own second half.

"""One device's page in the ledger: its counts by runtime, those of its owner at hand.

`accept` is called for every message and `delivered` for every run of them; everything else here is rare. A page is
the *tally* of its device's handles, so that a message that is delivered among others costs no call of its own.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from agt.router._counts import Anomaly, Counts
from agt.router._path import Message
from agt.transport import Delivery, Outcome

if TYPE_CHECKING:
    from agt.router._ledger import Ledger

_WRITTEN: Final = Outcome.WRITTEN  # An enumeration's members are slow to look up.


class Page:
    """Counts one device's messages, in its own counts and in its runtimes' totals."""

    __slots__ = ("_device", "_elsewhere", "_journal", "_ledger", "_own", "_runtime", "_total")

    def __init__(self, ledger: "Ledger", device: str, runtime: str) -> None:
        self._ledger, self._journal, self._device, self._runtime = ledger, ledger.journal, device, runtime
        self._own, self._total = Counts(), ledger.runtime(runtime)
        self._elsewhere: tuple[tuple[str, Counts], ...] = ()

    def __iter__(self) -> Iterator[tuple[str, Counts]]:
        """Yield each runtime that had a message for the device, with its counts."""
        yield self._runtime, self._own
        yield from self._elsewhere

    def carried_by(self, runtime: str) -> None:
        """Note that another runtime owns the device from now on."""
        if runtime != self._runtime:
            own, rest = self._of(runtime), [pair for pair in self._elsewhere if pair[0] != runtime]
            self._elsewhere = ((self._runtime, self._own), *rest)
            self._runtime, self._own, self._total = runtime, own, self._ledger.runtime(runtime)

    def accept(self, message: Message, delivery: Delivery) -> None:
        """Count a message that the owner's path has taken, and follow it to its end."""
        delivery.runtime = self._runtime
        own, total = self._own, self._total
        own.accepted += 1
        total.accepted += 1
        if delivery.item is message and self._journal is None:
            if delivery.outcome is None:
                delivery.tally = self
                return
            if delivery.outcome is _WRITTEN:
                own.written += 1
                total.written += 1
                return
        self._follow(message, delivery)

    def take(self, message: Message, delivery: Delivery) -> None:
        """Count a message whose handle names its runtime, and follow it to its end."""
        for counts in self._both(delivery.runtime):
            counts.accepted += 1
        self._follow(message, delivery)

    def crossed(self, old: str, new: str) -> None:
        """Note that a message went from one runtime to the other without having ended."""
        for counts in self._both(old):
            counts.given_up += 1
        for counts in self._both(new):
            counts.taken_over += 1

    def resent(self, runtime: str) -> None:
        """Note a repetition of a message that had ended as `written`."""
        for counts in self._both(runtime):
            counts.resends += 1

    # As the tally of its handles

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        """Count messages that were delivered together: on one connection, and so by one runtime."""
        if self._journal is not None:
            for delivery in deliveries:
                self.ended(delivery)
            return
        resends = 0
        for delivery in deliveries:
            if delivery.resends:
                resends += delivery.resends
        for counts in self._both(deliveries[0].runtime):
            counts.delivered += len(deliveries)
            counts.resends += resends

    def ended(self, delivery: Delivery) -> None:
        """Count one message, however it ended."""
        assert delivery.outcome is not None, "told at the end"
        journal = self._journal
        if journal is not None:
            entry = self._ledger.entries.pop(delivery)
            number = delivery.item.number
            journal.settled(entry, self._device, number, delivery.runtime, delivery.outcome, delivery.resends)
        self._count(delivery, delivery.outcome)

    def _follow(self, message: Message, delivery: Delivery) -> None:
        journal, outcome, device, number = self._journal, delivery.outcome, self._device, message.number
        delivery.item = message
        if outcome is None:
            delivery.tally = self
            if journal is not None:
                self._ledger.entries[delivery] = journal.accepted(device, number, delivery.runtime)
            return
        if journal is not None:
            journal.accepted_and_settled(device, number, delivery.runtime, outcome, delivery.resends)
        self._count(delivery, outcome)

    def _count(self, delivery: Delivery, outcome: Outcome) -> None:
        for counts in self._both(delivery.runtime):
            counts.count(outcome, delivery.resends)
        if outcome is Outcome.NOT_DELIVERED or outcome is Outcome.INDETERMINATE:
            self._ledger.note(
                Anomaly(
                    device=self._device,
                    number=delivery.item.number,
                    runtime=delivery.runtime,
                    kind=outcome.value,
                    says=delivery.reason,
                )
            )

    def _both(self, runtime: str) -> tuple[Counts, Counts]:
        """Return the device's counts and the total of a runtime."""
        if runtime == self._runtime:
            return self._own, self._total
        counts = self._of(runtime)
        return counts, self._ledger.runtime(runtime)

    def _of(self, runtime: str) -> Counts:
        """Return the counts of a runtime that doesn't own the device now."""
        for name, counts in self._elsewhere:
            if name == runtime:
                return counts
        counts = Counts()
        self._elsewhere = (*self._elsewhere, (runtime, counts))
        return counts

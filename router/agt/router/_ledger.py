"""The ledger: what became of every message, by runtime and device, in plain integers.

At every instant and for every runtime `accepted + taken_over = delivered + written + not_delivered +
indeterminate + given_up + in_flight`: a message that crosses to the other runtime is given up by the one and taken
over by the other, and its outcome counts for the runtime of its last attempt. What went wrong is kept in a
bounded ring with names; with a journal, the counts survive `kill -9`.
"""

from collections import deque
from collections.abc import Container, Mapping
from typing import Final

from agt.router._counts import Anomaly, Counts
from agt.router._journal import LedgerJournal
from agt.router._page import Page
from agt.router._path import Message
from agt.transport import Delivery, Outcome

ANOMALIES_MAX: Final = 1000
"""How many anomalies are remembered; older ones go first."""


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
        self.entries: dict[Delivery, int] = {}
        """Messages on their way, by their ids in the journal."""
        self.known: Container[str] = ()
        """Devices that have counts of their own; messages to others count in the totals only."""
        self._pages: dict[str, Page] = {}
        if journal is not None:
            self._recover(journal)

    def runtime(self, name: str) -> Counts:
        """Return the counts of a runtime."""
        return self.totals.setdefault(name, Counts())

    def device(self, name: str) -> Mapping[str, Counts]:
        """Return a device's own counts by runtime; empty for one that is unknown or has had no message."""
        return dict(self._pages.get(name, ()))

    def page(self, device: str, runtime: str) -> Page:
        """Return the page of a known device, which this runtime carries; made at its first message."""
        page = self._pages.get(device)
        if page is None:
            page = self._pages[device] = Page(self, device, runtime)
        page.carried_by(runtime)
        return page

    def forget(self, device: str) -> None:
        """Drop a device's own counts; the totals keep them."""
        self._pages.pop(device, None)

    def accept(self, message: Message, delivery: Delivery) -> None:
        """Count a message whose handle names its runtime, and follow it to its end."""
        self._page(message.device, delivery.runtime).take(message, delivery)

    def crossed(self, device: str, old: str, new: str) -> None:
        """Note that a message went from one runtime to the other without having ended."""
        self._page(device, new).crossed(old, new)

    def resent(self, device: str, runtime: str) -> None:
        """Note a repetition of a message that had ended as `written`."""
        self._page(device, runtime).resent(runtime)

    def note(self, anomaly: Anomaly) -> None:
        """Remember something that went wrong."""
        self.anomalies.append(anomaly)
        self.anomalies_seen += 1

    def _page(self, device: str, runtime: str) -> Page:
        """Return a device's page; one that nobody keeps when the device isn't known."""
        page = self._pages.get(device)
        if page is None:
            page = Page(self, device, runtime)
            if device in self.known:
                self._pages[device] = page
        return page

    def _recover(self, journal: LedgerJournal) -> None:
        """Take over the former incarnation's counts; what it left open is indeterminate now."""
        for runtime, former in journal.former.totals.items():
            total = self.runtime(runtime)
            for name, value in former.items():
                setattr(total, name, getattr(total, name) + value)
        for one in journal.former.doubted:  # Counted already; what is in doubt keeps its name over restarts.
            self.anomalies.append(_in_doubt(one.device, one.number, one.runtime, "in doubt since an earlier run"))
        for left in journal.former.unsettled:
            self.runtime(left.runtime).count(Outcome.INDETERMINATE, 0)
            journal.settled(left.id, left.device, left.number, left.runtime, Outcome.INDETERMINATE, 0)
            self.note(_in_doubt(left.device, left.number, left.runtime, "the router died before it was settled"))
        journal.flush()


def _in_doubt(device: str, number: int, runtime: str, says: str) -> Anomaly:
    return Anomaly(device=device, number=number, runtime=runtime, kind=Outcome.INDETERMINATE.value, says=says)

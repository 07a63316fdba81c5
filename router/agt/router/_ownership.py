"""Who may still be writing to a device by a path that nobody listens to any more, and how long that is waited for.

What was written before a connection ended may still be on its way: the kernel delivers it, and the device hears of the
end behind it. That is so when a gateway is killed, and when a legacy connection is cut with messages unanswered. If
messages went over the *other* path at once, two parties would write to one device at the same time, and an older
state could come last. So such a device is barred from its new path until it has come back on the old one (then
everything written there has arrived, or never will), or until the longest drain has passed. Its messages wait
meanwhile, as in any move. A device that stays where it was is not held up. For the sake of the next process the
journal keeps who owns a device.
"""

from agt.router._device import Device
from agt.router._journal import LedgerJournal
from agt.router._path import Path


class Ownership:
    """Keeps the owners in the journal, and bars devices that a dead process may still be writing to."""

    def __init__(self, journal: LedgerJournal | None, *, control: str, until: float) -> None:
        """Read who owned what.

        Args:
            journal: where owners are kept; None for nowhere, then nobody is ever barred.
            control: the runtime of whoever isn't named.
            until: when the longest drain has passed, on the router's clock.
        """
        self._journal, self._control, self._until = journal, control, until
        self._has_past = journal is not None and (journal.former.last_id > 0 or bool(journal.former.owners))
        self._former = dict(journal.former.owners) if journal is not None else {}
        self._bars: dict[str, tuple[str, Path, float]] = {}

    def bar(self, device: Device, path: Path, *, until: float) -> None:
        """Keep a device from other paths than its owner's, by which something may still arrive, until then."""
        self._bars[device.name] = (device.runtime, path, until)

    def former(self, device: str, *, now: float) -> str:
        """Return the runtime by which something may still arrive at a device; empty when nothing can."""
        bar = self._bars.get(device)
        if bar is not None and now < bar[2]:
            return bar[0]
        if not self._has_past or now >= self._until:
            self._former.clear()
            return ""
        return self._former.get(device, self._control)

    def bars(self, device: Device, *, now: float) -> bool:
        """Tell whether a device has to wait before it is given to its target."""
        former = self.former(device.name, now=now)
        if not former or former == device.target:
            return False
        bar, present = self._bars.get(device.name), device.paths.get(former)
        if present is not None and (bar is None or present is not bar[1]):
            # It has seen the end of the old connection, and dialled again.
            self._bars.pop(device.name, None)
            self._former[device.name] = device.target
            return False
        return True

    def changed(self, device: Device, *, urgent: bool) -> None:
        """Note a device's owner; `urgent` hands the line to the kernel before anything is written to the new path."""
        self._bars.pop(device.name, None)
        if self._journal is None:
            return
        self._journal.owned(device.name, "" if device.runtime == self._control else device.runtime)
        if urgent:
            self._journal.flush()

    def forget(self, device: Device) -> None:
        """Forget a device that is gone."""
        self._bars.pop(device.name, None)
        if self._journal is not None:
            self._journal.owned(device.name, "")

"""Who owned each device when the last process of this gateway died, so that the next one doesn't overtake it.

What a killed gateway wrote may still be on its way: the kernel delivers it, and the device hears of the end of that
connection behind it. If the next process sent over the *other* path at once, two gateways would write to one device
at the same time. So the journal keeps who owns a device, and a device that now belongs elsewhere is barred from its
new path until it has come back on the old one (then everything written there has arrived, or never will), or until
the longest drain since the start has passed. Its messages wait meanwhile, as in any move. A device that stays where
it was is not held up.
"""

from agt.router._device import Device
from agt.router._journal import LedgerJournal


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
        has_past = journal is not None and (journal.former.last_id > 0 or bool(journal.former.owners))
        self._former = dict(journal.former.owners) if journal is not None else {}
        self._has_past = has_past

    def former(self, device: str, *, now: float) -> str:
        """Return the runtime by which a dead process may still be writing to a device; empty when none may."""
        if not self._has_past or now >= self._until:
            self._former.clear()
            return ""
        return self._former.get(device, self._control)

    def bars(self, device: Device, *, now: float) -> bool:
        """Tell whether a device has to wait before it is given to its target."""
        former = self.former(device.name, now=now)
        if not former or former == device.target:
            return False
        if former in device.paths:  # It has seen the end of the old connection, and dialled again.
            self._former[device.name] = device.target
            return False
        return True

    def changed(self, device: Device, *, urgent: bool) -> None:
        """Note a device's owner; `urgent` hands the line to the kernel before anything is written to the new path."""
        if self._journal is None:
            return
        self._journal.owned(device.name, "" if device.runtime == self._control else device.runtime)
        if urgent:
            self._journal.flush()

    def forget(self, device: Device) -> None:
        """Forget a device that is gone."""
        if self._journal is not None:
            self._journal.owned(device.name, "")

"""What became of some messages, in eight numbers that every report uses."""

from collections.abc import Iterable

import msgspec

from agt.chaos.checkers._checks import is_lost, order_kept
from agt.chaos.checkers._history import Fate, History
from agt.transport import Outcome


class Counts(msgspec.Struct, kw_only=True):
    """`sent` is the sum of `delivered`, `not_delivered`, `indeterminate` and `lost`."""

    sent: int = 0
    delivered: int = 0
    """What acted, whatever its sender was told, but for doubt that was admitted."""
    not_delivered: int = 0
    indeterminate: int = 0
    lost: int = 0
    duplicated: int = 0
    """Actions beyond the first."""
    out_of_order: int = 0
    retransmits: int = 0

    def add(self, fate: Fate) -> None:
        """Count one message, but for its order."""
        self.sent += 1
        self.retransmits += fate.told.resends if fate.told is not None else 0
        self.duplicated += max(0, fate.applied - 1)
        if is_lost(fate):
            self.lost += 1
        elif fate.told is not None and fate.told.outcome == Outcome.INDETERMINATE:
            self.indeterminate += 1
        elif fate.effects:
            self.delivered += 1
        else:
            self.not_delivered += 1


def count(history: History, fates: Iterable[Fate] | None = None) -> Counts:
    """Count these messages, or all."""
    chosen = list(history.fates.values() if fates is None else fates)
    counts = Counts()
    for fate in chosen:
        counts.add(fate)
    keys = {(fate.device, fate.number) for fate in chosen}
    counts.out_of_order = sum((late.device, late.number) in keys for late in order_kept(history))
    return counts

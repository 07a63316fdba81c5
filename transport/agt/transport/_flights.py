"""Who is on its way: message numbers, the handles their senders hold, and since when.

Kept in the order of sending, so that the oldest is always first and a scrape can stop at the first young one.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from agt.transport._delivery import Delivery


class Flights:
    """The unsettled messages of one session and one way of sending."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[int, tuple[Delivery, float]] = {}

    def add(self, number: int, delivery: Delivery, now: float) -> None:
        """Note a message that set out at `now`."""
        assert number not in self._entries, "a link gives each number once"
        self._entries[number] = (delivery, now)

    def take(self, number: int) -> Delivery | None:
        """Forget a message and return its handle; None when it isn't here (any more)."""
        entry = self._entries.pop(number, None)
        return entry[0] if entry is not None else None

    def number_of(self, delivery: Delivery) -> int | None:
        """Return the number of a handle, or None; looks through all, for rare use."""
        for number, (candidate, _) in self._entries.items():
            if candidate is delivery:
                return number
        return None

    def from_end(self, position: int) -> int | None:
        """Return the number that stands `position` places from the newest (1 is the newest), or None."""
        return next(islice(reversed(self._entries), position - 1, None), None) if position > 0 else None

    def keep_newest(self, limit: int) -> None:
        """Forget the oldest until at most `limit` are left."""
        while len(self._entries) > limit:
            del self._entries[next(iter(self._entries))]

    def older_than(self, now: float, limits_s: Sequence[float]) -> list[int]:
        """Count, for each limit in seconds (ascending), the messages that have been on their way longer."""
        counts = [0] * len(limits_s)
        for _, sent_at in self._entries.values():
            age_s = now - sent_at
            if age_s <= limits_s[0]:
                break
            for index, limit_s in enumerate(limits_s):
                if age_s <= limit_s:
                    break
                counts[index] += 1
        return counts

    def __iter__(self) -> Iterator[Delivery]:
        return (delivery for delivery, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

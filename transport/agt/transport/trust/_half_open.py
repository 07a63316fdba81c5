"""How many connections may be on their way in: a budget per address and in all, so that a flood shuts out nobody else.

A connection is half open from `accept` until its peer has said, and where that is asked for proven, who it is. Such a
connection costs a socket and some memory and has earned neither. When there is no place for one more, one that has had
its time (`half_open_patience_s`, much longer than an honest peer needs) gives way: the oldest of the same address when
that has used up its share, the oldest of the address that holds most when all places are taken. Where nobody has had
its time yet, the newest is turned away: thousands of honest peers that dial together must not throw each other out one
after the other. Only an address that holds more than the newcomer's has to give way earlier.

Pure: an entry is given up by calling the function that came with it.
"""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]


class AdmissionLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all those may cost who have not yet said who they are."""

    half_open_max: Count = 2048
    """Half-open connections at once, from everywhere; the address with most of them gives way."""
    half_open_per_address_max: Count = 512
    """Half-open connections at once from one address (IPv6: from one /64); its own oldest gives way."""
    half_open_patience_s: Annotated[float, Meta(gt=0)] = 1.0
    """How long a half-open connection keeps its place though others want it."""


class HalfOpen:
    """One connection on its way in."""

    __slots__ = ("address", "entered_at", "give_up")

    def __init__(self, address: str, give_up: Callable[[], object], entered_at: float) -> None:
        self.address = address
        """Whose budget it is in."""
        self.entered_at = entered_at
        """Since when."""
        self.give_up = give_up
        """Ends the connection; false when it is not the caller who is slow, and nothing was ended."""


class HalfOpenBudget:
    """Counts the connections on their way in, and says which one has to go."""

    def __init__(self, limits: AdmissionLimits) -> None:
        """Start with none.

        Raises:
            msgspec.ValidationError: naming the limit that is out of range.
        """
        self.limits = msgspec.convert(msgspec.to_builtins(limits), AdmissionLimits)
        self._by_address: dict[str, dict[HalfOpen, None]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def held_by(self, address: str) -> int:
        """Return how many connections of one address are on their way in."""
        return len(self._by_address.get(address, ()))

    def enter(self, address: str, give_up: Callable[[], object], *, now: float) -> HalfOpen | None:
        """Take one more in, in the place of another if need be; None when it has to be turned away."""
        held = self.held_by(address)
        if held >= self.limits.half_open_per_address_max:
            if not self._give_up_oldest(address, now):
                return None
        elif self._size >= self.limits.half_open_max:
            # As many steps as addresses, so at most `half_open_max`; only under a flood from many of them.
            fullest = max(self._by_address, key=self.held_by)
            if not self._give_up_oldest(fullest, now, in_any_case=held + 1 < self.held_by(fullest)):
                return None
        entry = HalfOpen(address, give_up, now)
        self._by_address.setdefault(address, {})[entry] = None
        self._size += 1
        return entry

    def leave(self, entry: HalfOpen) -> None:
        """Note that a connection is half open no longer; a no-op the second time."""
        entries = self._by_address.get(entry.address, {})
        if entry in entries:
            del entries[entry]
            self._size -= 1
            if not entries:
                del self._by_address[entry.address]

    def _give_up_oldest(self, address: str, now: float, *, in_any_case: bool = False) -> bool:
        oldest = next(iter(self._by_address[address]))
        if not in_any_case and now - oldest.entered_at < self.limits.half_open_patience_s:
            return False
        if oldest.give_up() is False:
            return False
        self.leave(oldest)
        return True

"""How many connections may be on their way in: a budget per address and in all, so that a flood shuts out nobody else.

A connection is half open from `accept` until its peer has said, and where that is asked for proven, who it is. Such a
connection costs a socket and some memory and has earned neither. When an address has used up its share, its own
oldest half-open connection gives way to the newest; when all are used up, the address that holds most loses its
oldest. The oldest goes, and not the newest, because an honest peer needs milliseconds and a silent one stays for
seconds: even behind the same address as a flood, an honest peer is usually through before its turn to go comes.

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


class HalfOpen:
    """One connection on its way in."""

    __slots__ = ("address", "give_up")

    def __init__(self, address: str, give_up: Callable[[], object]) -> None:
        self.address = address
        """Whose budget it is in."""
        self.give_up = give_up
        """Ends the connection."""


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

    def enter(self, address: str, give_up: Callable[[], object]) -> HalfOpen:
        """Take one more in; where there is no room, the oldest of whoever holds most is given up first."""
        if self.held_by(address) >= self.limits.half_open_per_address_max:
            self._give_up_oldest(address)
        elif self._size >= self.limits.half_open_max:
            # As many steps as addresses, so at most `half_open_max`; only under a flood from many of them.
            self._give_up_oldest(max(self._by_address, key=self.held_by))
        entry = HalfOpen(address, give_up)
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

    def _give_up_oldest(self, address: str) -> None:
        oldest = next(iter(self._by_address[address]))
        self.leave(oldest)
        oldest.give_up()

"""Keeping a stray acknowledgement from being taken for the next message's.

A message that was sent twice may be answered twice. The second answer says nothing about which message it means:
were the next message of the same key outstanding by then, it would be taken for delivered without having arrived,
which is the one mistake a reliable path may not make. So the key stays closed until every copy has been answered or
a window has passed in which the stray one would have come.
"""

import math

from agt.transport.wires.cync._matcher import Key

_SWEEP_AT = 256
"""Closed keys kept before those whose window has passed are swept out."""


class StrayGuard:
    """Which keys may not carry a new message yet, and until when."""

    __slots__ = ("_closed",)

    def __init__(self) -> None:
        self._closed: dict[Key, tuple[float, int]] = {}

    def close(self, key: Key, *, until: float, strays: int, now: float) -> None:
        """Close a key for a while.

        Args:
            key: what the message's ack is matched by.
            until: when a stray ack can no longer come.
            strays: how many may come; when they have, the key opens early. 0 waits for the time alone.
            now: the time.
        """
        if len(self._closed) >= _SWEEP_AT:
            self._closed = {key: held for key, held in self._closed.items() if held[0] > now}
        self._closed[key] = (until, strays)

    def opens_at(self, key: Key) -> float:
        """Say when the key opens; `-math.inf` when it is open, and possibly a time that has passed."""
        return self._closed.get(key, (-math.inf, 0))[0]

    def absorb(self, key: Key, *, now: float) -> bool:
        """Take an ack that no message waits for; true when it is a stray that was expected."""
        until, strays = self._closed.get(key, (-math.inf, 0))
        if until <= now or strays == 0:
            return False
        if strays == 1:
            del self._closed[key]
        else:
            self._closed[key] = (until, strays - 1)
        return True

    def clear(self) -> None:
        """Open every key: no ack outlives its connection."""
        self._closed.clear()

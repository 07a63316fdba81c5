"""Keeping a stray acknowledgement from being taken for the next message's.

A message that was sent twice may be answered twice. The second answer says nothing about which message it means:
were the next message of the same key outstanding by then, it would be taken for delivered without having arrived,
which is the one mistake a reliable path may not make. So the key rests until a stray ack can no longer come. It does
not open early for as many strays as there were resends: a network that doubles frames brings more of them.
"""

import math

from agt.transport.wires.cync._matcher import Key

_SWEEP_AT = 256
"""Resting keys kept before those whose time is up are swept out."""


class StrayGuard:
    """Which keys may not carry a new message yet, and until when."""

    __slots__ = ("_resting",)

    def __init__(self) -> None:
        self._resting: dict[Key, float] = {}

    def rest(self, key: Key, *, until: float, now: float) -> None:
        """Let no new message use this key until a time."""
        if len(self._resting) >= _SWEEP_AT:
            self._resting = {key: at for key, at in self._resting.items() if at > now}
        self._resting[key] = until

    def opens_at(self, key: Key) -> float:
        """Say when the key opens; `-math.inf` when it is open, and possibly a time that has passed."""
        return self._resting.get(key, -math.inf)

    def explains(self, key: Key, *, now: float) -> bool:
        """Whether an ack that no message waits for is a stray of one that has just ended."""
        return self._resting.get(key, -math.inf) > now

    def clear(self) -> None:
        """Open every key: no ack outlives its connection."""
        self._resting.clear()

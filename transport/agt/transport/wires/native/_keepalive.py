"""Signs of life on one connection: when to ask for one, and when to stop believing in the peer."""

import math
from typing import Final

from agt.transport._rtt import RoundTrip
from agt.transport.wires.native._config import NativeConfig

NOBODY: Final = 0
"""No ping is open; pings are numbered from 1."""


class Keepalive:
    """When the peer was last heard and last asked."""

    __slots__ = ("_asked_at", "_config", "_numbered", "_open", "heard_at", "round_trip_s", "round_trips", "shortest_s")

    def __init__(self, config: NativeConfig) -> None:
        self._config = config
        self._asked_at = 0.0
        self._numbered = 0
        self._open = NOBODY
        self.heard_at = 0.0
        """When the last whole frame came."""
        self.round_trips = 0
        """How many round trips were measured, by pings and hellos alone: nothing of what an application takes."""
        self.round_trip_s = 0.0
        """The newest of them, in seconds."""
        self.shortest_s = math.inf
        """The shortest of this connection."""

    def start(self, now: float) -> None:
        """Begin on a fresh connection."""
        self.heard_at = self._asked_at = now
        self._open = NOBODY
        self.shortest_s = math.inf

    @property
    def ask_at(self) -> float:
        """When the peer has been silent long enough to be asked."""
        return max(self.heard_at, self._asked_at) + self._config.ping_interval_s

    @property
    def give_up_at(self) -> float:
        """When the peer has been silent for too long."""
        return self.heard_at + self._config.idle_timeout_s

    @property
    def due_at(self) -> float:
        """When one of the two is due."""
        return min(self.ask_at, self.give_up_at)

    def asking(self, now: float) -> bool:
        """Tell whether a ping is on its way whose answer may still come."""
        return self._open != NOBODY and now - self._asked_at < self._config.ping_interval_s

    def ask(self, now: float) -> int:
        """Return the number for a ping that goes out now."""
        self._numbered += 1
        self._open = self._numbered
        self._asked_at = now
        return self._numbered

    def answered(self, number: int, round_trip: RoundTrip, now: float) -> None:
        """Take in a pong; one that answers the latest ping tells the round trip."""
        if number == self._open != NOBODY:
            self._open = NOBODY
            self.measured(now - self._asked_at, round_trip)

    def measured(self, seconds: float, round_trip: RoundTrip) -> None:
        """Take in a round trip that a ping, or a hello that was said once, has told."""
        self.round_trips += 1
        self.round_trip_s = max(0.0, seconds)
        self.shortest_s = min(self.shortest_s, self.round_trip_s)
        round_trip.sample(seconds)

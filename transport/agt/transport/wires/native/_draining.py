"""How one connection ends in order: both sides stop writing what is new, everything written is answered, then it ends.

The side that shuts down says DRAIN and by when; the other answers with DRAIN, behind everything that it has written. So
the first knows when it has all there is, and when it has answered all of that and has its own answers, it goes away.
"""

import math

from agt.transport.wires.native._lanes import Lanes


class Draining:
    """Where one connection stands with its orderly end."""

    __slots__ = ("_peer_stopped", "by", "closing", "text")

    def __init__(self) -> None:
        self._peer_stopped = False
        self.closing = False
        """Whether it is we who shut down."""
        self.by = math.inf
        """When the connection ends though something is unanswered."""
        self.text = ""
        """Why, for people."""

    @property
    def on(self) -> bool:
        """Whether either side has said that it stops."""
        return self.closing or self._peer_stopped

    def begin(self, text: str, by: float) -> None:
        """Shut down."""
        self.closing, self.text, self.by = True, text, min(self.by, by)

    def peer_stopped(self) -> None:
        """Note that the peer writes nothing new on this connection any more."""
        self._peer_stopped = True

    def over(self, lanes: Lanes) -> bool:
        """Whether everything is answered, on both sides; asked after acknowledgements were written."""
        return self._peer_stopped and not lanes.in_flight and lanes.received_idle

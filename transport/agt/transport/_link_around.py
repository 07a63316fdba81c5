"""What every link that goes around another one says alike: what can be known is what the link inside knows."""

from collections.abc import Iterator
from typing import Any

from agt.transport._link import Link
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport._wire import WireTraits


class LinkAround:
    """The part of a `Link` that a layer hands through; the layer itself adds what it changes."""

    def __init__(self, inner: Link) -> None:
        self.inner = inner
        """The link inside."""

    def __getattr__(self, name: str) -> Any:
        """Return what only the link inside has: its counters, its own words."""
        return getattr(self.inner, name)

    @property
    def make_outgoing(self) -> MakesOutgoing:
        """Makes each message of `send`."""
        return self.inner.make_outgoing

    @make_outgoing.setter
    def make_outgoing(self, make: MakesOutgoing) -> None:
        self.inner.make_outgoing = make

    @property
    def traits(self) -> WireTraits:
        """What the wire inside can promise."""
        return self.inner.traits

    @property
    def in_flight(self) -> int:
        """Messages written to the wire and not settled yet."""
        return self.inner.in_flight

    @property
    def queued(self) -> int:
        """Messages accepted and not yet written."""
        return self.inner.queued

    @property
    def oldest_in_flight_at(self) -> float:
        """When the oldest unsettled message was given to `send`; `math.inf` when there is none."""
        return self.inner.oldest_in_flight_at

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended."""
        return self.inner.unsettled()

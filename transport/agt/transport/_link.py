"""The shape of every protocol core: bytes and time in, bytes, deadlines and events out.

A link knows one peer and outlives its connections. It never waits, never reads a clock and never draws its
own randomness: `now` (seconds, any monotonic origin) comes with each call, generators come with the
constructor. Drivers own sockets and one timer; the simulated world owns a clock that it moves itself.
Calling order for a driver: `connection_made`, then `receive_data` / `handle_timer` / `send` in any order,
after each of which it drains `data_to_send` and `next_event` and arms `next_deadline`; then
`connection_lost`. Between connections `send`, `handle_timer` and `next_event` stay meaningful: messages queue
and deadlines pass.
"""

from typing import Protocol

from agt.transport._events import Event
from agt.transport._wire import WireTraits


class Link(Protocol):
    """Reliability over one wire towards one peer (see the module's essay for the calling order)."""

    @property
    def traits(self) -> WireTraits:
        """What this wire can promise."""
        ...

    @property
    def in_flight(self) -> int:
        """Messages written to the wire and not settled yet."""
        ...

    @property
    def queued(self) -> int:
        """Messages accepted and not yet written."""
        ...

    @property
    def oldest_in_flight_at(self) -> float:
        """When the oldest unsettled message was given to `send`; `math.inf` when there is none."""
        ...

    def connection_made(self, *, now: float) -> None:
        """Start on a fresh connection; whatever was half-read on the last one is forgotten."""
        ...

    def connection_lost(self, *, now: float) -> None:
        """Note that the connection is gone; nothing is settled by this alone."""
        ...

    def send(self, payload: bytes, *, now: float, deadline: float) -> int:
        """Accept a message and return its number; it will end as one `Settled` event by `deadline`.

        Raises:
            QueueFull: when the send queue is at its limit.
            MessageTooLarge: when the wire can't carry it.
        """
        ...

    def cancel(self, message: int, *, now: float) -> None:
        """Give up on a message early; it still ends as exactly one `Settled` event."""
        ...

    def withdraw(self, *, now: float) -> "Withdrawal":
        """Take back everything unsettled, without `Settled` events; used when a device changes paths."""
        ...

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, cut anywhere."""
        ...

    def acknowledge(self, token: int, *, now: float) -> None:
        """Say that the application has processed a received message."""
        ...

    def refuse(self, token: int, code: str, *, now: float) -> None:
        """Say that the application will not process a received message, and why."""
        ...

    def data_to_send(self, *, now: float) -> bytes:
        """Return, once, the bytes that should go to the peer now; empty when there are none."""
        ...

    def next_deadline(self) -> float:
        """When `handle_timer` should next be called; `math.inf` when nothing is pending."""
        ...

    def handle_timer(self, *, now: float) -> None:
        """Do what has come due; a no-op when nothing has."""
        ...

    def next_event(self) -> Event | None:
        """Return the next event, oldest first, or None."""
        ...


class Withdrawal:
    """What a link gave back at a move: messages in order, split by what can be known about them."""

    __slots__ = ("in_doubt", "unsent")

    def __init__(self, unsent: tuple[int, ...], in_doubt: tuple[int, ...]) -> None:
        self.unsent = unsent
        """Numbers of messages that provably never left: they can take another path freely."""
        self.in_doubt = in_doubt
        """Numbers of messages that were written and not answered, oldest first."""

    def __repr__(self) -> str:
        return f"Withdrawal(unsent={self.unsent!r}, in_doubt={self.in_doubt!r})"

"""The shape of every protocol core: bytes and time in, bytes, deadlines and events out.

A link knows one peer and outlives its connections. It never waits, never reads a clock and never draws its
own randomness: `now` (seconds, any monotonic origin) comes with each call, generators come with the
constructor. Drivers own sockets and one timer; the simulated world owns a clock that it moves itself.
Calling order for a driver: `connection_made`, then `receive_data` / `handle_timer` / `send` in any order,
after each of which it drains `data_to_send` and `next_event` and arms `next_deadline`; then
`connection_lost`. Between connections `send`, `handle_timer` and `next_event` stay meaningful: messages queue
and deadlines pass.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

from agt.transport._events import Event
from agt.transport._outgoing import MakesOutgoing, Outgoing
from agt.transport._wire import WireTraits


class Link(Protocol):
    """Reliability over one wire towards one peer (see the module's essay for the calling order)."""

    @property
    def make_outgoing(self) -> MakesOutgoing:
        """Makes each message of `send`; a driver puts its own class here before the first one."""
        ...

    @make_outgoing.setter
    def make_outgoing(self, make: MakesOutgoing) -> None: ...

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

    def send(self, payload: bytes, *, now: float, deadline: float, channel: int = 0) -> Outgoing:
        """Accept a message and return it; it will end once, in a `Delivered` or a `Settled` event, by `deadline`.

        Raises:
            QueueFull: when the send queue is at its limit.
            MessageTooLarge: when the wire can't carry it.
            UsageError: when the wire has no such channel.
        """
        ...

    def cancel(self, message: Outgoing, *, now: float) -> None:
        """Give up on a message early; it still ends exactly once. A no-op when it has ended."""
        ...

    def withdraw(self, *, now: float) -> "Withdrawal":
        """Take back everything unsettled, without an event; used when a device changes paths."""
        ...

    def unsettled(self) -> Iterator[Outgoing]:
        """Yield what has not ended: first what was written, then what was not, each oldest first."""
        ...

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, cut anywhere."""
        ...

    def acknowledge(self, token: int, *, now: float, count: int = 1) -> None:
        """Say that the application has processed received messages: `count` of them, from this token on."""
        ...

    def refuse(self, token: int, code: str, *, now: float, retry_after_s: float = 0.0) -> None:
        """Say that the application will not process a received message, and why.

        Args:
            token: which message.
            code: the reason in one word, as far as the wire has words.
            now: the time.
            retry_after_s: with `busy`: how long the sender should wait before it offers the message again.
        """
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

    def __init__(self, unsent: Sequence[Outgoing], in_doubt: Sequence[Outgoing]) -> None:
        self.unsent = tuple(unsent)
        """Messages that provably never left: they can take another path freely."""
        self.in_doubt = tuple(in_doubt)
        """Messages that were written and not answered, oldest first."""

    def __repr__(self) -> str:
        return f"Withdrawal(unsent={self.unsent!r}, in_doubt={self.in_doubt!r})"

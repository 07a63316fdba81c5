"""What a session and the carrier of its connection are to each other, whichever driver moves the bytes."""

import socket
from typing import Protocol

import anyio
from anyio.abc import ByteStream, SocketAttribute

from agt.transport._events import Dropped
from agt.transport._wire import WireTraits

FAREWELL_S = 1.0
"""How long a connection that is to be dropped may take to flush its last words."""

CLOSED_BY_PEER = Dropped("the connection was closed", "network", final=False, everyone=True)
SUPERSEDED = Dropped("a newer connection of the same peer took over", "us", final=False)


def in_words(error: BaseException) -> Dropped:
    """Return why a connection broke: in the stream's own words where it has some (TLS), else that it was closed."""
    words = str(error) if isinstance(error, anyio.BrokenResourceError) else ""
    return Dropped(words, "network", final=False) if words else CLOSED_BY_PEER


def socket_of(stream: ByteStream) -> socket.socket | None:
    """Return the socket under a stream; None when there is none, or it is closed."""
    try:
        return stream.extra(SocketAttribute.raw_socket, None)  # noqa: S610 - a socket, not a database query
    except (OSError, AttributeError):  # Closed; a transport forgets its socket then.
        return None


class Speaks(Protocol):
    """What a carrier needs of a link, or of what stands between the link and the wire."""

    @property
    def traits(self) -> WireTraits:
        """What the wire can promise."""
        ...

    @property
    def in_flight(self) -> int:
        """Messages written to the wire and not settled yet."""
        ...

    @property
    def queued(self) -> int:
        """Messages accepted and not yet written."""
        ...

    def receive_data(self, data: bytes, *, now: float) -> None:
        """Take bytes from the peer, cut anywhere."""
        ...

    def data_to_send(self, *, now: float) -> bytes:
        """Return, once, the bytes that should go to the peer now; empty when there are none."""
        ...


class Carried(Protocol):
    """What a carrier needs of its session."""

    def turn(self) -> None:
        """Pull events, arm the timer, wake whoever waits: called after each exchange with the link."""
        ...

    def react(self) -> None:
        """Pull events, and leave the rest to the `flushing` that follows in the same breath."""
        ...

    def flushing(self) -> None:
        """The same, after the link has been asked for what it has to write."""
        ...

    @property
    def behind(self) -> bool:
        """Whether the application is too far behind to read on; the carrier is told when it has caught up."""
        ...


class Carrying(Protocol):
    """What a session needs of a carrier: one connection, until it ends."""

    @property
    def dropped(self) -> Dropped | None:
        """Why the connection ends; None while it lasts."""
        ...

    @property
    def raw_socket(self) -> socket.socket | None:
        """The socket that carries it, to ask the system about; None when it has gone, or there is none."""
        ...

    @property
    def dirty(self) -> bool:
        """Whether it is going to look anyway what there is to write, so that nobody needs to wake it."""
        ...

    async def run(self) -> Dropped:
        """Carry until the connection ends, close it, and say why it ended."""
        ...

    def wake(self) -> None:
        """Have it look whether there is something to write; cheap, and safe from synchronous code."""
        ...

    def more_room(self) -> None:
        """Read on: the application has caught up."""
        ...

    def end(self, dropped: Dropped) -> None:
        """End the connection once the link's last words are flushed, or soon."""
        ...

    def supersede(self) -> None:
        """End at once and leave the link alone: a newer connection has it."""
        ...

    async def flushed(self) -> None:
        """Wait until everything that the link wants written was handed to the socket, or the connection ended."""
        ...

"""One connection to a service: h11 for the words, asyncio for the bytes.

It moves one exchange at a time and nothing more; how long anything may take is its user's business, who ends it with
`abort`. Flow is controlled both ways: `drain` waits while the service doesn't read, and what it sends is read only when
somebody asks for it.
"""

import asyncio
from typing import Any, Final

import h11

from agt.router.http._address import Address
from agt.router.http._errors import Broken, Unreachable

READ_BYTES: Final = 65_536
"""Bytes asked for at once, and the most that is read ahead."""


class Connection:
    """A connection that is open."""

    __slots__ = ("_aborted", "_h11", "_reader", "_writer", "idle_since", "reused")

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, headers_max: int) -> None:
        self._reader, self._writer = reader, writer
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=headers_max)
        self._aborted = False
        self.idle_since = 0.0
        """When it was last given back, on the loop's clock."""
        self.reused = False
        """Whether it has carried an exchange before."""

    @classmethod
    async def open(cls, address: Address, *, headers_max: int) -> "Connection":
        """Connect.

        Raises:
            Unreachable: when nobody answers there.
        """
        try:
            if address.path:
                streams = await asyncio.open_unix_connection(address.path, limit=READ_BYTES)
            else:
                streams = await asyncio.open_connection(address.host, address.port, limit=READ_BYTES)
        except OSError as error:
            raise Unreachable(f"no connection to {address}: {error.strerror or error}") from error
        return cls(*streams, headers_max=headers_max)

    @property
    def usable(self) -> bool:
        """Whether it could carry an exchange, as far as can be seen without trying."""
        return not (self._reader.at_eof() or self._writer.is_closing())

    def send(self, *events: Any) -> None:
        """Write h11 events at once.

        Raises:
            Broken: when the service has hung up, or the events don't fit what was sent before.
        """
        try:
            data = b"".join([self._h11.send(event) or b"" for event in events])
        except h11.LocalProtocolError as error:
            raise Broken(f"the request can't be sent on: {error}") from error
        if self._writer.is_closing():
            raise Broken("the service hung up")
        if data:
            self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the service has room.

        Raises:
            Broken: when it has hung up.
        """
        try:
            await self._writer.drain()
        except OSError as error:
            raise Broken("the service hung up") from error

    async def next_event(self) -> Any:
        """Return what the service says next.

        Raises:
            Broken: when it hung up in the middle, or makes no sense.
        """
        while True:
            event = self.event_at_hand()
            if event is not h11.NEED_DATA:
                return event
            try:
                data = await self._reader.read(READ_BYTES)
            except OSError as error:
                raise Broken("the service hung up") from error
            try:
                self._h11.receive_data(data)
            except h11.RemoteProtocolError as error:
                raise Broken(f"the service's answer makes no sense: {error}") from error

    def event_at_hand(self) -> Any:
        """Return the next event out of what was read already; `h11.NEED_DATA` when there is none.

        Raises:
            Broken: when what was read makes no sense.
        """
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            hung_up = self._aborted or self._reader.at_eof()
            says = "the service hung up" if hung_up else f"the service's answer makes no sense: {error}"
            raise Broken(says) from error

    def finish(self) -> bool:
        """End the exchange; returns whether another may follow on this connection."""
        states = {self._h11.our_state, self._h11.their_state}
        if states == {h11.IDLE}:
            return self.usable  # Nothing was asked on it this time.
        if states != {h11.DONE}:
            return False
        self._h11.start_next_cycle()
        self.reused = True
        return self.usable

    def abort(self) -> None:
        """Cut it, whatever is on its way; whoever reads is told at once."""
        self._aborted = True
        self._writer.transport.abort()
        if not self._reader.at_eof():
            self._reader.feed_eof()

    def close(self) -> None:
        """Close it."""
        self._writer.close()

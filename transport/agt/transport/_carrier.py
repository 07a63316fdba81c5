"""One connection under one session: bytes in, bytes out, and nothing decided.

A reader hands what arrives to the link; a pump takes what the link wants written and flushes it, once per turn of
the event loop however many messages went in. Neither knows what the bytes mean. A carrier can be superseded at any
await by a newer connection of the same session: from then on it must not touch the link, so both tasks look whether
they are still `current` after every wait.
"""

import socket
from collections.abc import Callable

import anyio
from anyio.abc import ByteStream

from agt.transport._carrying import CLOSED_BY_PEER, FAREWELL_S, SUPERSEDED, Carried, in_words, socket_of
from agt.transport._errors import PeerViolation
from agt.transport._events import Dropped
from agt.transport._link import Link

READ_SIZE = 65536
"""Most bytes taken from the socket at once."""


class Carrier:
    """Moves the bytes of one connection until it ends."""

    __slots__ = (
        "_clock",
        "_idle",
        "_link",
        "_room",
        "_scope",
        "_session",
        "_sleeper",
        "_stream",
        "current",
        "dirty",
        "dropped",
    )

    def __init__(self, session: Carried, link: Link, stream: ByteStream, clock: Callable[[], float]) -> None:
        self._session = session
        self._link = link
        self._stream = stream
        self._clock = clock
        self._scope: anyio.CancelScope | None = None
        self._sleeper: anyio.Event | None = None
        self._idle: anyio.Event | None = None
        self._room: anyio.Event | None = None
        self.dirty = True
        """Whether it is going to look anyway what there is to write, so that nobody needs to wake it."""
        self.current = True
        """False once a newer connection carries the link, or this one has ended."""
        self.dropped: Dropped | None = None
        """Why the connection ends; None while it lasts."""

    @property
    def raw_socket(self) -> socket.socket | None:
        """The socket that carries it; None when it has gone."""
        return socket_of(self._stream)

    async def run(self) -> Dropped:
        """Carry until the connection ends, close it, and say why it ended."""
        try:
            async with anyio.create_task_group() as tasks:
                self._scope = tasks.cancel_scope
                tasks.start_soon(self._pump)
                await self._read()
        finally:
            self.current = False
            if self._idle is not None:
                self._idle.set()
            await anyio.aclose_forcefully(self._stream)
        assert self.dropped is not None, "a carrier ends for a reason"
        return self.dropped

    def wake(self) -> None:
        """Have the pump look whether there is something to write; cheap, and safe from synchronous code."""
        self.dirty = True
        if self._sleeper is not None:
            self._sleeper.set()
            self._sleeper = None  # Once is enough for a turn; the next thousand messages find nothing to wake.

    def end(self, dropped: Dropped) -> None:
        """End the connection once the link's last words are flushed, or soon."""
        if self.dropped is None:
            self.dropped = dropped
            if self._scope is not None:
                self._scope.deadline = anyio.current_time() + FAREWELL_S
            self.wake()

    def supersede(self) -> None:
        """End at once and leave the link alone: a newer connection has it."""
        self.current = False
        self.dropped = self.dropped or SUPERSEDED
        self._stop()

    def more_room(self) -> None:
        """Read on: the application has caught up."""
        if self._room is not None:
            self._room.set()
            self._room = None

    async def flushed(self) -> None:
        """Wait until everything that the link wants written was handed to the socket, or the connection ended."""
        while self.current and (self.dirty or self._sleeper is None):
            if self._idle is None:
                self._idle = anyio.Event()
            await self._idle.wait()

    def _stop(self) -> None:
        if self._scope is not None:
            self._scope.cancel()

    async def _read(self) -> None:
        while self.current and self.dropped is None:
            try:
                data = await self._stream.receive(READ_SIZE)
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as error:
                if self.dropped is None:
                    self.dropped = in_words(error)
                self._stop()
                return
            if not self.current:
                return
            try:
                self._link.receive_data(data, now=self._clock())
            except PeerViolation as violation:
                self.end(Dropped(str(violation), "peer", final=False))
            self._session.turn()
            self.wake()
            while self._session.behind:
                self._room = anyio.Event()
                await self._room.wait()

    async def _pump(self) -> None:
        while self.current:
            self.dirty = False
            data = self._link.data_to_send(now=self._clock())
            self._session.flushing()
            if data:
                try:
                    await self._stream.send(data)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                    self.dropped = self.dropped or CLOSED_BY_PEER
                    break
            elif self.dirty:
                continue
            elif self.dropped is not None:
                break
            else:
                await self._sleep()
        self._stop()

    async def _sleep(self) -> None:
        sleeper = self._sleeper = anyio.Event()
        if self._idle is not None:
            self._idle.set()
            self._idle = None
        await sleeper.wait()

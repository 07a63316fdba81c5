"""A real `Session` on a simulated connection: its carrier moves bytes in virtual time and decides nothing.

Everything above the bytes is the real thing: links, sessions, the router's paths. As with a real driver, what a turn
wrote leaves in a turn of its own, so a process can die between having accepted a message and having written it.
"""

import math
from collections.abc import Callable
from functools import partial

from agt.chaos.sim._clock import Clock
from agt.chaos.sim._network import Connection
from agt.transport import Link, ReceivedMessage, Session
from agt.transport._alarms import Alarm, Alarms
from agt.transport._carrying import CLOSED_BY_PEER
from agt.transport._events import Dropped

SUPERSEDED = "superseded"
"""Why a connection ended that a newer one has taken over."""
Run = Callable[[Callable[[], None]], None]
"""Runs something on behalf of a process, unless that is dead."""


class Bells(Alarms):
    """Alarms that the world's clock rings."""

    def __init__(self, clock: Clock, run: Run) -> None:
        super().__init__()
        self._clock, self._run = clock, run

    def arm(self, deadline: float, callback: Callable[[float], None]) -> Alarm:
        """Have `callback(now)` called at `deadline`."""
        if math.isfinite(deadline):
            self._clock.at(deadline, self._ring)
        return super().arm(deadline, callback)

    def _ring(self) -> None:
        now = self._clock.now
        while (callback := self.next_due(now)) is not None:
            self._run(partial(callback, now))


class SimulatedSession(Session):
    """A session that is put on connections of a simulated network."""

    def __init__(
        self,
        clock: Clock,
        run: Run,
        link: Link,
        *,
        wrote: Callable[[bytes], None] = lambda _: None,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        peer: str = "",
    ) -> None:
        """Wrap a link.

        Args:
            clock: the world's.
            run: runs whatever happens to it, on behalf of its process.
            link: reliability towards one peer.
            wrote: told of all bytes that leave, before they do.
            on_message: takes what arrives.
            peer: who it is, where that is known.
        """
        super().__init__(link, timers=Bells(clock, run), clock=lambda: clock.now, on_message=on_message, peer=peer)
        self.world_clock, self.run_as, self.wrote = clock, run, wrote

    def join(self, connection: Connection, *, first: bytes = b"") -> "SimulatedCarrier":
        """Go on over this connection, of which `first` was read already; an older one is let go."""
        if isinstance(self._carrier, SimulatedCarrier):
            self._carrier.supersede()
            self._set_opened(opened=False)
        carrier = self._carrier = SimulatedCarrier(self, connection)
        self.link.connection_made(now=self._clock())
        if first:
            self.link.receive_data(first, now=self._clock())
        carrier.wake()
        return carrier

    def leave(self, carrier: "SimulatedCarrier") -> None:
        """Note that a connection has ended; nothing when a newer one has taken over."""
        if self._carrier is carrier:
            self._carrier = None
            self._writes.connection_lost()
            self.link.connection_lost(now=self._clock())
            self._after_call()
            self._set_opened(opened=False)


class SimulatedCarrier:
    """One connection under one session; an `End` of the network and a `Carrying` for the session."""

    def __init__(self, session: SimulatedSession, connection: Connection) -> None:
        self._session, self._connection = session, connection
        self.dirty = False
        """Whether a look at what there is to write is due anyway."""
        self.dropped: Dropped | None = None
        """Why the connection ends; None while it lasts."""
        self.current = True
        self.on_over: Callable[[str], None] = lambda _: None
        """Told once when the connection is over, and why."""

    # For the session

    async def run(self) -> Dropped:
        """Nobody calls this: the world's clock carries."""
        raise NotImplementedError

    async def flushed(self) -> None:
        """Nobody calls this, either."""
        raise NotImplementedError

    @property
    def raw_socket(self) -> None:
        """There is none."""
        return

    def wake(self) -> None:
        """Look in a turn of its own whether there is something to write."""
        if not self.dirty and self.current:
            self.dirty = True
            self._session.world_clock.after(0.0, lambda: self._session.run_as(self._flush))

    def more_room(self) -> None:
        """Nothing to do: reading never pauses here."""

    def end(self, dropped: Dropped) -> None:
        """End the connection once the last words are flushed."""
        self.dropped = self.dropped or dropped
        self.wake()

    def supersede(self) -> None:
        """End at once and leave the link alone."""
        self.current = False
        self._connection.close(self)
        self.on_over(SUPERSEDED)

    # For the network

    def on_data(self, connection: Connection, data: bytes) -> None:
        """Take bytes."""
        if self.current and connection is self._connection:
            self._session.run_as(lambda: self._take(data))

    def on_end(self, connection: Connection) -> None:
        """Learn that the connection is over."""
        if self.current and connection is self._connection:
            self._session.run_as(lambda: self._finish(CLOSED_BY_PEER.reason))

    def die(self, *, silent: bool) -> None:
        """Go with the process: nothing is flushed and nobody is told, but what the network tells."""
        self.current = False
        self._connection.close(self, silent=silent)

    # Within

    def _take(self, data: bytes) -> None:
        if self.dropped is None:
            self._session.link.receive_data(data, now=self._session.world_clock.now)
            self._session.turn()
        self.wake()

    def _flush(self) -> None:
        session = self._session
        while self.current:
            self.dirty = False
            data = session.link.data_to_send(now=session.world_clock.now)
            session.flushing()
            if data:
                session.wrote(data)
                self._connection.send(self, data)
            elif not self.dirty:
                break
        if self.dropped is not None:
            self._finish(self.dropped.reason)

    def _finish(self, reason: str) -> None:
        if self.current:
            self.current = False
            self._connection.close(self)
            self._session.leave(self)
            self.on_over(reason)

"""How a thread waits: it reads the socket for everyone meanwhile, or sleeps while another thread does.

The first one that waits leads: it borrows the socket from the I/O thread, which sleeps on, and reads until what it
waits for has come. What it reads for others wakes those. A round trip then costs no switch between threads; measured,
such a switch is dearer than all the rest of one. Whoever calls a leader's ticket from another thread (a deadline that
passed, a close) nudges it out of its wait; whoever finds a leader there already, or no connection, sleeps on a lock.
"""

import contextlib
import math
import select
import socket
import threading

from agt.transport.blocking._conduit import Conduit
from agt.transport.blocking._engine import Engine, clock
from agt.transport.blocking._handle import Ticket


class Waiting:
    """Everyone who waits for one session."""

    __slots__ = ("_engine", "_leader", "_nudge", "_nudged", "_poll", "_polled", "_polling", "closed")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._leader: Ticket | None = None
        self._polling = False
        self._poll = select.poll()
        self._polled: Conduit | None = None
        self._nudge: socket.socket | None = None
        self._nudged: socket.socket | None = None
        self.closed = False

    def nudge(self) -> None:
        """Have the leader, if there is one, look whether its wait is over; with the lock held."""
        if self._polling and self._nudge is not None:
            with contextlib.suppress(BlockingIOError):  # It has been nudged enough then.
                self._nudge.send(b"\0")

    def wait(self, ticket: Ticket, give_up_at: float, conduit: Conduit | None = None) -> None:
        """Wait until the ticket is called or the time is over; without the lock.

        Args:
            ticket: what is waited for.
            give_up_at: until when.
            conduit: what `begin_to_lead` has returned for this ticket, if it was asked already.
        """
        while conduit is not None or not ticket.called:
            bed = None
            if conduit is None:
                with self._engine.lock:
                    conduit = self.begin_to_lead(ticket)
                    bed = ticket.lie_down() if conduit is None else None
            if conduit is not None:
                self._lead(ticket, conduit, give_up_at)
                conduit = None
            elif bed is not None:
                bed.acquire(timeout=min(max(0.0, give_up_at - clock()), threading.TIMEOUT_MAX))
            if ticket.called or clock() >= give_up_at:
                return

    def begin_to_lead(self, ticket: Ticket) -> Conduit | None:
        """Borrow the socket, if it can be had, for who is about to `wait`; with the lock held.

        Whoever sends something and will wait for the answer does it before: else the I/O thread may be woken by an
        answer that is faster.
        """
        engine, conduit = self._engine, self._engine.conduit
        if ticket.called or self._leader is not None or conduit is None or self.closed:
            return None
        if not (engine.connected and conduit.reading):
            return None
        self._leader = ticket
        ticket.nudge = self.nudge
        if conduit is not self._polled:
            self._poll_on(conduit)
        conduit.borrow(borrowed=True)
        return conduit

    def cease_to_lead(self, ticket: Ticket, conduit: Conduit) -> None:
        """Give the socket back; with the lock held. A no-op for who does not lead."""
        if self._leader is ticket:
            self._leader = ticket.nudge = None
            conduit.borrow(borrowed=False)
            if self.closed:
                self._discard()

    def close(self) -> None:
        """Give the system's resources back, or have the leader do so when it leaves; with the lock held."""
        self.closed = True
        self.nudge()
        if self._leader is None:
            self._discard()

    def _poll_on(self, conduit: Conduit) -> None:
        if self._nudge is None:
            self._nudge, self._nudged = socket.socketpair()
            self._nudge.settimeout(0)
            self._nudged.settimeout(0)
        assert self._nudged is not None, "the two are made together"
        self._polled = conduit
        self._poll = select.poll()
        self._poll.register(conduit, select.POLLIN)
        self._poll.register(self._nudged, select.POLLIN)

    def _lead(self, ticket: Ticket, conduit: Conduit, give_up_at: float) -> None:
        engine = self._engine
        try:
            while self._leader is ticket and self._look(ticket, give_up_at):
                with engine.lock:
                    engine.read(conduit)
                    if ticket.called or conduit is not engine.conduit or not conduit.reading:
                        self.cease_to_lead(ticket, conduit)
                engine.run_later()
        finally:
            with engine.lock:
                self.cease_to_lead(ticket, conduit)

    def _look(self, ticket: Ticket, give_up_at: float) -> bool:
        """Wait until there is something to read, or a nudge; false when the time is over."""
        timeout_ms = None if give_up_at == math.inf else max(0.0, math.ceil((give_up_at - clock()) * 1000))
        self._polling = True  # Before looking at the ticket: who calls it from now on will nudge.
        try:
            ready = [] if ticket.called else self._poll.poll(timeout_ms)
        finally:
            self._polling = False
        if self._nudged is not None and any(fd == self._nudged.fileno() for fd, _ in ready):
            self._nudged.recv(64)
        return bool(ready) or ticket.called

    def _discard(self) -> None:
        for sock in (self._nudge, self._nudged):
            if sock is not None:
                sock.close()
        self._nudge = self._nudged = self._polled = None

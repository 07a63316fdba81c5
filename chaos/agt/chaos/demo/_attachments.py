"""Connections in, paths out: what the gateway tells the router when devices come and go.

A cync device has one session for both runtimes and moves in place. A lines device has a session on each of two
sockets and moves warm. When the connection of a device that the candidate carries is gone, what it had on its way
is taken back at once and waits, with what comes, for the next connection; a legacy path just fails, as today.
"""

from collections.abc import Callable

from agt.chaos.demo._legacy_policy import legacy_mode
from agt.chaos.demo._loss import LossHook
from agt.router import LegacyPath, Message, Path, ReliablePath, Router, Withdrawn
from agt.transport import Barrier, Delivery, MoveKind, Outcome, Session


class AbsentPath:
    """The candidate's path of a device that has no connection at the moment: it is never ready."""

    barrier = Barrier.ACK
    move = MoveKind.REDIAL
    ready = False
    in_flight = 0
    queued = 0

    def send(self, message: Message) -> Delivery:
        """Refuse; the router holds messages for a device without a connection, so this isn't asked."""
        delivery = Delivery()
        delivery.settle(Outcome.NOT_DELIVERED, reason=f"{message.device} has no connection")
        return delivery

    def withdraw(self) -> Withdrawn:
        """Give back nothing."""
        return Withdrawn(unsent=(), in_doubt=())

    def on_quiet(self, callback: Callable[[], None]) -> None:
        """Call back at once: nothing is on its way."""
        callback()


class Attachments:
    """Keeps the router's paths in step with the listeners' sessions."""

    def __init__(self, router: Router, hook: LossHook | None = None) -> None:
        self._router, self._hook = router, hook
        self._control, self._candidate = router.runtimes.control, router.runtimes.candidate
        self._cync: dict[str, Session] = {}

    def cync_came(self, session: Session) -> None:
        """Attach a cync device both ways."""
        self._cync[session.peer] = session
        paths: dict[str, Path] = {self._control: LegacyPath(session), self._candidate: self._reliable(session)}
        self._router.attach(session.peer, paths)

    def cync_went(self, session: Session) -> None:
        """Take back what a device on the candidate had on its way, unless it is back already."""
        if self._cync.get(session.peer) is not session:
            return
        del self._cync[session.peer]
        if self._router.runtime_of(session.peer) == self._candidate:
            self._router.attach(session.peer, {self._candidate: AbsentPath()})

    def lines_came(self, session: Session) -> None:
        """Attach a lines device to control, unless the legacy listener is retired; then it is only told so."""
        if legacy_mode(self._router) == "refuse":
            return
        self._router.attach(session.peer, {self._control: LegacyPath(session)})

    def native_came(self, session: Session) -> None:
        """Attach a native peer to the candidate; its session outlives its connections."""
        self._router.attach(session.peer, {self._candidate: self._reliable(session)})

    def native_went(self, session: Session) -> None:
        """Forget a native peer that was forgotten by the listener."""
        self._router.detach(session.peer, self._candidate)

    def _reliable(self, session: Session) -> ReliablePath:
        return ReliablePath(session) if self._hook is None else self._hook.path(session)

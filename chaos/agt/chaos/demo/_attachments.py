"""Connections in, paths out: what the gateway tells the router when devices come and go.

A cync device has one session for both runtimes and moves in place. A lines device has a session on each of two
sockets and moves warm. When a connection is gone, what was on its way over it is taken back at once and waits, with
what comes, for the device's next connection.
"""

from agt.chaos.demo._legacy_policy import legacy_mode
from agt.chaos.demo._loss import LossHook
from agt.chaos.demo._names import only_ends, shares_watermark
from agt.router import LegacyPath, Path, ReliablePath, Router
from agt.transport import Barrier, Session


class Attachments:
    """Keeps the router's paths in step with the listeners' sessions."""

    def __init__(self, router: Router, hook: LossHook | None = None) -> None:
        self._router, self._hook = router, hook
        self._control, self._candidate = router.runtimes.control, router.runtimes.candidate
        self._paths: dict[Session, dict[str, Path]] = {}

    def cync_came(self, session: Session) -> None:
        """Attach a cync device both ways."""
        self._attach(session, {self._control: LegacyPath(session), self._candidate: self._reliable(session)})

    def lines_came(self, session: Session) -> None:
        """Attach a lines device to control, unless the legacy listener is retired; then it is only told so."""
        if legacy_mode(self._router) != "refuse":
            barrier = Barrier.HALF_CLOSE if only_ends(session.peer) else None
            self._attach(session, {self._control: LegacyPath(session, barrier=barrier)})

    def native_came(self, session: Session) -> None:
        """Attach a native peer to the candidate; its session outlives its connections."""
        barrier = Barrier.SEQUENCE if shares_watermark(session.peer) else None
        self._attach(session, {self._candidate: self._reliable(session, barrier)})

    def went(self, session: Session) -> None:
        """Take the session's paths away; a newer connection of the same device keeps its own."""
        if paths := self._paths.pop(session, None):
            self._router.detach(session.peer, paths)

    def _attach(self, session: Session, paths: dict[str, Path]) -> None:
        self._paths[session] = paths
        self._router.attach(session.peer, paths)

    def _reliable(self, session: Session, barrier: Barrier | None = None) -> ReliablePath:
        return ReliablePath(session, barrier=barrier) if self._hook is None else self._hook.path(session, barrier)

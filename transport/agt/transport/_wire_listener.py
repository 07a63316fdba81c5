"""Legacy wires on a port: a link made for each connection, named by what the peer says first.

Such peers remember nothing over connections, so a session lasts as long as its connection. Whoever holds it (the
router) is told when it comes and when it goes, in time to take back what was on its way.
"""

import ssl
from collections.abc import Callable, Container, Iterable, Mapping
from types import MappingProxyType

import anyio
from anyio.abc import ByteStream

from agt.transport._accepting import Listener
from agt.transport._config import Overflow
from agt.transport._link import Link
from agt.transport._metrics import TransportMetrics
from agt.transport._native_names import NativeNames
from agt.transport._pacing import ConnectBudget
from agt.transport._received import ReceivedMessage
from agt.transport._session import Session
from agt.transport._timers import running_clock
from agt.transport.trust import AdmissionLimits, Caller, CertificateNames, Door, Refusal, certificate_names


class WireListener(Listener):
    """Accepts peers of one legacy wire; each connection that says who it is becomes a session."""

    def __init__(
        self,
        make_link: Callable[[], Link],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str | None = None,
        on_peer: Callable[[Session], None] | None = None,
        on_gone: Callable[[Session], None] | None = None,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        metrics: TransportMetrics | None = None,
        written_metrics: TransportMetrics | None = None,
        recv_queue_max: int = 100,
        write_queue_max: int = 100,
        overflow: Overflow = Overflow.REJECT,
        hello_timeout_s: float = 5.0,
        max_connections: int = 10_000,
        connect_budget: ConnectBudget | None = None,
        native_names: NativeNames | None = None,
        tls: ssl.SSLContext | None = None,
        claims: CertificateNames = certificate_names,
        sources: Container[str] | None = None,
        limits: AdmissionLimits | None = None,
    ) -> None:
        """Remember how to serve.

        Args:
            make_link: makes the link for one connection (`CyncLink("controller")`, `LinesLink(...)`).
            host: TCP address to listen on.
            port: TCP port; 0 lets the system choose, see `port`.
            path: a Unix socket instead of TCP, mode 0600.
            on_peer: called with each session once its peer has said who it is.
            on_gone: called when its connection has ended; what `withdraw` is not called for then is settled.
            on_message: called with each message from any peer, instead of the sessions' queues.
            metrics: where reliable messages count.
            written_metrics: where legacy writes and their observed replies count; `metrics` when not given.
            recv_queue_max: received messages that may wait in each session.
            write_queue_max: legacy writes that may wait for a stalled socket.
            overflow: what a full send queue does.
            hello_timeout_s: how long a connection may last without saying who it is.
            max_connections: connections at once; one more is closed at once.
            connect_budget: how fast callers are taken in; the others wait for a moment, or are closed.
            native_names: who may not come on this wire any more, because they have spoken natively.
            tls: settings of TLS, see `tls_server_context`; None for none.
            claims: which names a client certificate may claim; by default those that it was issued for.
            sources: the names that are registered, others are let go; None admits any.
            limits: how many connections may be on their way in.
        """
        self.metrics = metrics if metrics is not None else TransportMetrics()
        door = Door(
            hello_timeout_s=hello_timeout_s,
            limits=limits,
            tls=tls,
            claims=claims,
            sources=sources,
            refused=self.metrics.refused,
        )
        super().__init__(
            host=host, port=port, path=path, max_connections=max_connections, connect_budget=connect_budget, door=door
        )
        self._make_link = make_link
        self._on_peer, self._on_gone, self._on_message = on_peer, on_gone, on_message
        self.written_metrics = written_metrics if written_metrics is not None else self.metrics
        self._recv_queue_max, self._write_queue_max, self._overflow = recv_queue_max, write_queue_max, overflow
        self._native_names = native_names
        self._sessions: dict[str, Session] = {}
        self._announced: set[Session] = set()

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The connected peers by name; a live view."""
        return MappingProxyType(self._sessions)

    async def serve(self, stream: ByteStream, caller: Caller) -> None:
        """Serve one connection to its end, whoever accepted it."""
        wait_s = self.pacer.hold(running_clock()(), self.connect_budget.hold_max_s)
        if wait_s is None:
            self.door.refuse(Refusal.BUSY, caller, "busy: over the connect budget")
            return  # The wire has no word for "later"; such devices dial again by themselves.
        if wait_s:
            caller.hold(wait_s)
            await anyio.sleep(wait_s)  # Unread meanwhile, so that it costs a descriptor and nothing else.
        session = Session(
            self._make_link(),
            metrics=self.metrics,
            written_metrics=self.written_metrics,
            recv_queue_max=self._recv_queue_max,
            write_queue_max=self._write_queue_max,
            overflow=self._overflow,
            on_message=self._on_message,
            timers=self.timers,
        )
        session.on_connection(lambda session: self._announce(session, caller))
        reason = ""
        try:
            reason = (await session.run(stream)).reason
        finally:
            silent = f"no hello within {self.door.hello_timeout_s:g} s"
            self._forget(session, reason or ("the listener was closed" if caller.admitted else silent))

    def _announce(self, session: Session, caller: Caller) -> None:
        if not session.connected:
            return
        why = self.door.forbids(caller, session.peer)
        if not why and self._native_names is not None and self._native_names.refuses(session.peer):
            why = f"{session.peer} has spoken the native wire and is not taken on this one any more"
        if why:
            self.door.refuse(Refusal.NAME, caller, why)
            self._refuse(session, why)
            return
        caller.admit()
        self._announced.add(session)
        older = self._sessions.get(session.peer)
        self._sessions[session.peer] = session
        if older is not None:  # A peer that dials again has lost its older connection, whether we saw it or not.
            older.disconnect("the peer connected again")
        if self._on_peer is not None:
            self._on_peer(session)

    def _refuse(self, session: Session, reason: str) -> None:
        say: Callable[[str, str], None] | None = getattr(session.link, "say", None)
        if say is not None:
            say("error", reason)
        session.close(reason)  # And whatever it said in the same breath is heard by nobody.

    def _forget(self, session: Session, reason: str) -> None:
        if self._sessions.get(session.peer) is session:
            del self._sessions[session.peer]
        if session in self._announced:
            self._announced.discard(session)
            if self._on_gone is not None:
                self._on_gone(session)
        session.close(reason)

    def live(self) -> Iterable[Session]:
        """Return the sessions that may have something to write."""
        return self._sessions.values()

    def closing(self) -> None:
        """End every session: the listener closes."""
        for session in tuple(self._sessions.values()):
            session.disconnect("the listener was closed")

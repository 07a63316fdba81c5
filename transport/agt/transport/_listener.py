"""The accepting side of reliable paths: one session per sender name, whatever becomes of its connections.

A connection is first only a greeting: a small frame that says who is calling, within a timeout, before anything is
remembered. The acceptor core decides whether the caller is admitted and which link remembers it; the session of that
link then moves to the new connection, and the older connection, if there is one, is let go at once.
"""

import ssl
from collections.abc import Callable, Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import ByteStream

from agt.transport._accepting import Listener
from agt.transport._carrying import Carrying
from agt.transport._config import ReliableConfig, checked
from agt.transport._drain import drain_all
from agt.transport._link import Link
from agt.transport._metrics import TransportMetrics
from agt.transport._native import UNGUESSABLE, check_budget, native_acceptor
from agt.transport._native_names import NativeNames
from agt.transport._own_ids import OwnId, memory_of_ids
from agt.transport._own_ids_link import Acceptor, OwnIdsAcceptor
from agt.transport._pacing import ConnectBudget
from agt.transport._parting import RETRY_AFTER_S, Parting
from agt.transport._received import ReceivedBatch, ReceivedMessage
from agt.transport._roster import Roster
from agt.transport._session import Session
from agt.transport._timers import running_clock
from agt.transport.trust import (
    AdmissionLimits,
    Caller,
    CertificateNames,
    Door,
    KeyRing,
    Refusal,
    certificate_names,
    part,
)
from agt.transport.wires.native import AwayCode, Greeting, Refused

if TYPE_CHECKING:
    from agt.transport.durable import InboxStore
    from agt.transport.durable._keeper import Keeper

DOUBT_S = 0.5
"""When to come back while the inbox is in doubt."""
GREETING_SIZE = 1024
"""Most bytes taken at once from somebody who has not said who they are."""


class ReliableListener(Listener):
    """Accepts native peers; their sessions outlive their connections."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str | None = None,
        name: str = "listener",
        on_peer: Callable[[Session], None] | None = None,
        on_gone: Callable[[Session], None] | None = None,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        on_batch: Callable[[ReceivedBatch], None] | None = None,
        metrics: TransportMetrics | None = None,
        config: ReliableConfig | None = None,
        max_connections: int = 10_000,
        max_senders: int = 10_000,
        connect_budget: ConnectBudget | None = None,
        native_names: NativeNames | None = None,
        own_id: OwnId | None = None,
        tls: ssl.SSLContext | None = None,
        claims: CertificateNames = certificate_names,
        keys: KeyRing | None = None,
        sources: Container[str] | None = None,
        limits: AdmissionLimits | None = None,
        inbox: "InboxStore[Any] | None" = None,
    ) -> None:
        """Remember how to serve.

        Args:
            host: TCP address to listen on.
            port: TCP port; 0 lets the system choose, see `port`.
            path: a Unix socket instead of TCP, mode 0600.
            name: who we are as a sender.
            on_peer: called once for each session, when its peer is known and messages flow.
            on_gone: called when a session ends for good: its sender was forgotten to make room for another, or the
                listener closes. Not called when a connection drops; see `Session.on_connection` for that.
            on_message: called with each message from any peer, instead of the sessions' queues.
            on_batch: called with all that came together from a peer instead, which is cheaper for many.
            metrics: where everything counts.
            config: limits and waits of every session.
            max_connections: connections at once; one more is closed at once.
            max_senders: senders remembered at once; the one quiet for longest makes room for another.
            connect_budget: how fast callers are taken in; the others are told when to come back.
            native_names: where the names of those who have spoken natively are kept, for the legacy listeners.
            own_id: reads the id that a message brings, where it brings one; see `ReliableTransport`.
            tls: settings of TLS, see `tls_server_context`; None for none.
            claims: which names a client certificate may claim; by default those that it was issued for.
            keys: the keys that callers must prove to have; None asks for none. Nobody is taken without one then.
            sources: the names that are registered, others are refused; None admits any.
            limits: how many connections may be on their way in.
            inbox: remembers senders over restarts and `kill -9`, and lets messages be committed together with their
                effects: `agt.transport.durable.SQLiteInbox`, or an `InboxStore` over the application's own database.

        Raises:
            msgspec.ValidationError: naming the setting that is out of range.
        """
        self.config = checked(config or ReliableConfig())
        self.metrics = metrics if metrics is not None else TransportMetrics()
        timeout_s, refused = self.config.hello_timeout_s, self.metrics.refused
        door = Door(hello_timeout_s=timeout_s, limits=limits, tls=tls, claims=claims, sources=sources, refused=refused)
        super().__init__(
            host=host, port=port, path=path, max_connections=max_connections, connect_budget=connect_budget, door=door
        )
        self.name = name
        self._on_message, self._on_batch = on_message, on_batch
        self._keeper = _keeper_of(inbox, max_senders) if inbox is not None else None
        self._acceptor = self._new_acceptor(max_senders, keys, own_id)
        self._roster = Roster(self._acceptor, self._make_session, on_peer, on_gone)
        self._native_names = native_names
        self._parting: Parting | None = None

    def _new_acceptor(self, max_senders: int, keys: KeyRing | None, own_id: OwnId | None) -> Acceptor:
        acceptor = native_acceptor(
            self.name, self.config, max_senders, keys, spread_s=self._spread_s, keeper=self._keeper
        )
        if own_id is None:
            return acceptor
        return OwnIdsAcceptor(acceptor, lambda: memory_of_ids(own_id, self.config, self.metrics))

    async def prepare(self) -> None:
        """Read what the inbox remembers.

        Raises:
            StoreUnavailable: when our inbox can't be used; another one raises what it likes.
        """
        if self._keeper is not None:
            await self._keeper.open()
            self._keeper.on_stored, self._keeper.on_doubt = self._on_stored, self._on_doubt

    async def tend(self) -> None:
        """Write what senders have to be remembered by."""
        if self._keeper is not None:
            await self._keeper.run()

    async def put_away(self) -> None:
        """Close the inbox."""
        if self._keeper is not None:
            await self._keeper.aclose()

    def _on_stored(self, name: str) -> None:
        session = self.sessions.get(name)
        if session is not None:
            session.changed()

    def _on_doubt(self, name: str) -> None:
        """Nobody can say what is durable of a sender: let it come again and be met from what is."""
        self._acceptor.forget(name)
        self._roster.end(name, "the inbox has to be read again")

    def _spread_s(self, peers: int) -> float:
        return self.pacer.drain_s(peers)

    @property
    def sessions(self) -> Mapping[str, Session]:
        """Every remembered peer's session by name, connected or not; a live view."""
        return self._roster.sessions

    async def drain(
        self, timeout_s: float = 5.0, *, reason: str = "shutting down", retry_after_s: float = RETRY_AFTER_S
    ) -> tuple[str, ...]:
        """Part from everybody in order, before a planned restart; nobody is let in any more.

        From now on callers are told when to come back. Peers are told that we shut down, and write nothing new; what is
        on its way, either way, is answered; then each connection ends. When this returns with no name, nothing will
        end as `indeterminate` for it. What our sessions have not written ends as `not_delivered` when we close.

        Args:
            timeout_s: the longest wait, in seconds, for all together.
            reason: why, for people; peers are told.
            retry_after_s: when callers shall come back; they are spread as the connect budget asks for.

        Returns:
            The names of the peers that did not finish in time, or had something unanswered and no connection.
        """
        self._parting = Parting(reason, retry_after_s, self.pacer.drain_s(len(self.sessions)), rng=UNGUESSABLE)
        return await drain_all(self.sessions, timeout_s, reason)

    async def serve(self, stream: ByteStream, caller: Caller) -> None:
        """Serve one connection to its end, whoever accepted it."""
        admitted = await self._greet(stream, caller)
        if admitted is not None:
            session, carrier = admitted
            await session.carry(carrier)

    async def _greet(self, stream: ByteStream, caller: Caller) -> tuple[Session, Carrying] | None:
        """Find out who is calling; None when it stays unsaid, or the caller is not admitted."""
        clock = running_clock()
        greeting = self._acceptor.greeting(now=clock())
        try:
            # The time for this is up when the caller's scope says so.
            while greeting.receive_data(await stream.receive(GREETING_SIZE)) is None:
                if reply := greeting.data_to_send():
                    await stream.send(reply)
            return self._admit(greeting, stream, caller, clock())
        except Refused as refused:
            self.metrics.decode_errors += refused.code is not AwayCode.BUSY
            self.door.refuse(_reason(refused, greeting), caller, str(refused))
            await part(stream, greeting.farewell(refused))
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            pass  # It said nothing that could be answered.
        return None

    def _admit(self, greeting: Greeting, stream: ByteStream, caller: Caller, now: float) -> tuple[Session, Carrying]:
        """Move the caller's session to this connection; synchronous, so that nothing comes in between."""
        assert greeting.hello is not None, "only a complete greeting is admitted"
        if why := self.door.forbids(caller, greeting.hello.name):
            raise Refused(why, AwayCode.UNAUTHORISED)
        if self._parting is not None:
            raise self._parting.refusal()
        check_budget(self.pacer, now)
        if self._keeper is not None and (why := self._keeper.busy):
            raise Refused(f"busy: {why}", AwayCode.BUSY, retry_after_s=DOUBT_S)
        link = self._acceptor.admit(greeting)
        caller.admit()
        session = self._roster.session_of(greeting.hello.name, link)
        carrier = session.attach(stream)
        link.receive_data(greeting.data, now=now)
        session.turn()
        return session, carrier

    def _make_session(self, name: str, link: Link) -> Session:
        session = Session(
            link,
            metrics=self.metrics,
            recv_queue_max=self.config.recv_queue_max,
            overflow=self.config.overflow,
            on_message=self._on_message,
            on_batch=self._on_batch,
            timers=self.timers,
            peer=name,
        )
        if self._keeper is not None:
            session.commits = self._keeper.commits_of(name)
        session.on_connection(self._announce)
        return session

    def _announce(self, session: Session) -> None:
        if session.connected and self._native_names is not None:
            self._native_names.add(session.peer)
        self._roster.announce(session)

    def live(self) -> Iterable[Session]:
        """Return the sessions that may have something to write."""
        return self.sessions.values()

    def closing(self) -> None:
        """End every session: the listener closes."""
        self._roster.close("the listener was closed")


def _keeper_of(inbox: "InboxStore[Any]", max_senders: int) -> "Keeper":
    from agt.transport.durable._keeper import Keeper  # noqa: PLC0415  # Loads a database, so only where there is one.

    return Keeper(inbox, max_senders=max_senders)


def _reason(refused: Refused, greeting: Greeting) -> Refusal:
    """Sort a refusal of the native wire under the reasons that all listeners count."""
    if refused.code is AwayCode.UNAUTHORISED:
        return Refusal.KEY if greeting.hello is None else Refusal.NAME
    if refused.code is AwayCode.BUSY:
        return Refusal.BUSY
    return Refusal.SENSELESS if refused.code is AwayCode.VIOLATION else Refusal.FENCED

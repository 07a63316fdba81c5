"""The accepting side for plain threads: one session per sender name, whatever becomes of its connections.

One thread serves every connection. A connection stands in the lobby until it has said who is calling; the acceptor
core decides whether it is admitted and which link remembers it, and the session of that link moves to it.
"""

import errno
import logging
import socket
import ssl
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from agt.transport._config import ReliableConfig, checked
from agt.transport._connections import BACKLOG, listen_unix
from agt.transport._errors import Closed, ConnectionUnavailable, UsageError
from agt.transport._link import Link
from agt.transport._metrics import TransportMetrics
from agt.transport._native import UNGUESSABLE, check_budget, native_acceptor
from agt.transport._pacing import ConnectBudget, Pacer
from agt.transport._parting import RETRY_AFTER_S, Parting
from agt.transport._received import ReceivedMessage
from agt.transport._roster import Roster
from agt.transport.blocking._conduit import Conduit
from agt.transport.blocking._dialler import look_up
from agt.transport.blocking._engine import FAREWELL_S, clock
from agt.transport.blocking._io_thread import IOThread, not_in
from agt.transport.blocking._lobby import Lobby
from agt.transport.blocking._poller import READ
from agt.transport.blocking._session import BlockingSession
from agt.transport.trust import AdmissionLimits, CertificateNames, KeyRing, certificate_names
from agt.transport.wires.native import AwayCode, Greeting, Refused

logger = logging.getLogger("agt.transport")

ACCEPT_BATCH: Final = 128
"""Most connections accepted in one turn."""
SHORTAGE_PAUSE_S: Final = 0.1
"""How long to wait before accepting again when the system has no file or memory for another connection."""
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class BlockingListener:
    """Accepts native peers, for plain threads; their sessions outlive their connections.

    It has one thread of its own from `start` (or `with`) to `close`. It doesn't survive a fork: a child process has to
    make its own, and using this one there is an error that says so.
    """

    turned_away = 0
    """Connections closed at once because there were too many."""
    _socket: socket.socket | None = None
    _closed = False
    _parting: Parting | None = None

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path: str | None = None,
        name: str = "listener",
        on_peer: Callable[[BlockingSession], None] | None = None,
        on_gone: Callable[[BlockingSession], None] | None = None,
        on_message: Callable[[ReceivedMessage], None] | None = None,
        metrics: TransportMetrics | None = None,
        config: ReliableConfig | None = None,
        max_connections: int = 10_000,
        max_senders: int = 10_000,
        tls: ssl.SSLContext | None = None,
        claims: CertificateNames = certificate_names,
        keys: KeyRing | None = None,
        sources: Container[str] | None = None,
        limits: AdmissionLimits | None = None,
        connect_budget: ConnectBudget | None = None,
    ) -> None:
        """Remember how to serve.

        Args:
            host: TCP address to listen on.
            port: TCP port; 0 lets the system choose, see `port`.
            path: a Unix socket instead of TCP, mode 0600.
            name: who we are as a sender.
            on_peer: called in the I/O thread, once for each session, when its peer is known and messages flow.
            on_gone: called in the I/O thread when a session ends for good: its sender was forgotten to make room for
                another, or the listener closes. Not when a connection drops; see `BlockingSession.on_connection`.
            on_message: called in the I/O thread with each message, instead of the sessions' queues; it may not wait.
            metrics: where everything counts.
            config: limits and waits of every session.
            max_connections: connections at once; one more is closed at once.
            max_senders: senders remembered at once; the one quiet for longest makes room for another.
            tls: settings of TLS, see `tls_server_context`; None for none.
            claims: which names a client certificate may claim; by default those that it was issued for.
            keys: the keys that callers must prove to have; None asks for none. Nobody is taken without one then.
            sources: the names that are registered, others are refused; None admits any.
            limits: how many connections may be on their way in.
            connect_budget: how fast callers are taken in; the others are told when to come back.

        Raises:
            msgspec.ValidationError: naming the setting that is out of range.
        """
        if max_connections < 1:
            raise UsageError(f"a listener needs room for at least one connection, not {max_connections}")
        self.config = checked(config or ReliableConfig())
        self.name = name
        self.metrics = metrics if metrics is not None else TransportMetrics()
        self._host, self._port, self._path, self._max_connections = host, port, path, max_connections
        self.pacer = Pacer(connect_budget or ConnectBudget(), now=clock())
        """Who keeps to the connect budget, with its counts."""
        self._on_message = on_message
        self._acceptor = native_acceptor(name, self.config, max_senders, keys, spread_s=self.pacer.drain_s)
        self._roster = Roster(self._acceptor, self._make_session, on_peer, on_gone)
        self._io = IOThread(f"agt-{name}", self._on_end)
        self._lobby = Lobby(
            self._io,
            greet=lambda: self._acceptor.greeting(now=clock()),
            admit=self._admit,
            on_refused=self._count_refused,
            hello_timeout_s=self.config.hello_timeout_s,
            limits=limits,
            tls=tls,
            claims=claims,
            sources=sources,
        )

    # Life

    def start(self) -> Self:
        """Listen.

        Raises:
            Closed: when it was started before.
            ConnectionUnavailable: when the address is in use or can't be had.
        """
        if self._socket is not None or self._closed:
            raise Closed("a listener is started once; make a new one")
        self._socket = listen_unix(self._path) if self._path is not None else listen_tcp(self._host, self._port)
        self._port = 0 if self._path is not None else self._socket.getsockname()[1]
        self._io.start()
        self._io.watch(self._socket, READ, self._accept)
        return self

    def drain(
        self, timeout_s: float = 5.0, *, reason: str = "shutting down", retry_after_s: float = RETRY_AFTER_S
    ) -> tuple[str, ...]:
        """Part from everybody in order, before a planned restart; nobody is let in any more.

        As `ReliableListener.drain`: callers are told when to come back, what is on its way is answered, and what our
        sessions have not written ends as `not_delivered` when we close.

        Args:
            timeout_s: the longest wait, in seconds, for all together.
            reason: why, for people; peers are told.
            retry_after_s: when callers shall come back; they are spread as the connect budget asks for.

        Returns:
            The names of the peers that did not finish in time, or had something unanswered and no connection.

        Raises:
            UsageError: in a callback, which would wait for itself.
        """
        self._io.check_usable()
        not_in(self._io, "draining")
        give_up_at = clock() + timeout_s + FAREWELL_S
        with self.metrics.lock:
            spread_s = self.pacer.drain_s(len(self.sessions))
            self._parting = Parting(reason, retry_after_s, spread_s, rng=UNGUESSABLE)
            sessions = tuple(self.sessions.values())
        for session in sessions:
            session.begin_drain(timeout_s, reason)
        for session in sessions:
            session.wait_gone(max(0.0, give_up_at - clock()))
        return tuple(sorted(session.peer for session in sessions if not session.answered))

    def close(self, drain_s: float | None = None) -> None:
        """End the listener: wait shortly for what is on its way, settle what is left, and end the thread.

        Args:
            drain_s: how long to wait for outcomes, in seconds, all sessions together; `config.close_timeout_s` when
                None, 0 for not at all.
        """
        self._io.check_usable()
        if self._closed:
            return
        self._closed = True
        if self._socket is None:
            return
        if not self._io.is_current:
            give_up_at = clock() + (self.config.close_timeout_s if drain_s is None else drain_s)
            for session in tuple(self.sessions.values()):
                session.drain(max(0.0, give_up_at - clock()))
        self._io.call(self._end_sessions)
        for session in () if self._io.is_current else tuple(self.sessions.values()):
            session.wait_gone(self.config.close_timeout_s)
        self._io.stop(self.config.close_timeout_s)

    def __enter__(self) -> Self:
        """Listen; see `start`."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """The TCP port, chosen by the system where 0 was asked for; 0 on a Unix socket."""
        return self._port

    @property
    def address(self) -> str:
        """Where it listens, in words."""
        return self._path or f"{self._host}:{self._port}"

    @property
    def sessions(self) -> Mapping[str, BlockingSession]:
        """Every remembered peer's session by name, connected or not; a live view."""
        return self._roster.sessions

    @property
    def open_connections(self) -> int:
        """Connections being served now."""
        return len(self._lobby) + sum(session.has_connection for session in tuple(self.sessions.values()))

    # In the I/O thread

    def _accept(self, _events: int) -> None:
        listening = self._socket
        assert listening is not None, "called for a socket that listens"
        try:
            for _ in range(ACCEPT_BATCH):
                self._take(listening.accept()[0])
        except BlockingIOError:
            return  # All of them are here.
        except OSError as error:
            if error.errno in _SHORTAGES:
                logger.warning("cannot accept a connection on %s: %s", self.address, error)
                self._io.change(listening, 0)
                self._io.arm(clock() + SHORTAGE_PAUSE_S, lambda _now: self._io.change(listening, READ))

    def _take(self, sock: socket.socket) -> None:
        if self._closed or self.open_connections >= self._max_connections:
            self.turned_away += 1
            sock.close()
            return
        if self._path is None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lobby.enter(sock)

    def _admit(self, greeting: Greeting, conduit: Conduit) -> None:
        """Move the caller's session to this connection."""
        with self.metrics.lock:
            if self._parting is not None:
                raise self._parting.refusal()
            check_budget(self.pacer, clock())
            link = self._acceptor.admit(greeting)
            assert greeting.hello is not None, "an admitted greeting is complete"
            session = self._roster.session_of(greeting.hello.name, link)
        session.attach(conduit, greeting=greeting.data)

    def _count_refused(self, refused: Refused) -> None:
        with self.metrics.lock:
            self.metrics.decode_errors += refused.code is not AwayCode.BUSY

    def _make_session(self, name: str, link: Link) -> BlockingSession:
        session = BlockingSession(
            link,
            self._io,
            metrics=self.metrics,
            recv_queue_max=self.config.recv_queue_max,
            overflow=self.config.overflow,
            on_message=self._on_message,
            peer=name,
        )
        session.on_connection(self._roster.announce)
        return session

    def _end_sessions(self) -> None:
        if self._socket is not None:
            self._io.forget(self._socket)
            self._socket.close()
        if self._path is not None:
            Path(self._path).unlink(missing_ok=True)
        self._lobby.close()
        self._roster.close("the listener was closed")

    def _on_end(self, why: str) -> None:
        self._closed = True
        self._end_sessions()
        if why:
            logger.error("the listener on %s has ended: %s", self.address, why)


def listen_tcp(host: str, port: int) -> socket.socket:
    """Listen on one TCP address; port 0 lets the system choose.

    Raises:
        ConnectionUnavailable: when the address is in use, not ours or unknown.
    """
    try:
        family, address = look_up(host, port, socket.AI_PASSIVE)[0]
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectionUnavailable(f"{host}:{port}", (error.strerror or str(error)).lower()) from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ConnectionUnavailable(f"{host}:{port}", (error.strerror or str(error)).lower()) from error
    sock.settimeout(0)
    return sock

"""The door of a listener: who may stand in it, for how long, and under which names they may come in.

Everything that is asked of a caller before anything is remembered of it comes together here. A `Caller` stands in the
door from `accept` until it is admitted; its deadline is absolute, so that dripping bytes buys no time, and its place
is one of a budget (see `_half_open`). A listener has one door, and each kind of check keeps out of the way where it
was not asked for.
"""

import logging
import math
import socket
import ssl
from collections.abc import Container

import anyio
from anyio.abc import ByteStream

from agt.transport._peer import UNIX_ADDRESS, budget_address, has_unread, is_our_user
from agt.transport._refusal import Refusal
from agt.transport.trust._certificates import CertificateNames, certificate_names
from agt.transport.trust._half_open import AdmissionLimits, HalfOpen, HalfOpenBudget
from agt.transport.trust._tls_layer import TLSFailure, TLSLayer
from agt.transport.trust._tls_stream import TLSByteStream

logger = logging.getLogger("agt.transport")

SAY_EVERY_S = 1.0
"""How often at most a refusal is written to the log; each is counted."""


class Caller:
    """A connection whose peer has not yet said, or not yet proven, who it is."""

    __slots__ = ("_budget", "_place", "_sock", "address", "admitted", "made_room", "may_claim", "scope")

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self.address = budget_address(sock)
        """Where it calls from."""
        self.scope = anyio.CancelScope(deadline=deadline)
        """Cancelled when its time is up, or when it has to make room."""
        self.may_claim: frozenset[str] | None = None
        """The names that its certificate allows it; None when any may be claimed."""
        self.admitted = False
        """Whether it is known and let in."""
        self.made_room = False
        """Whether it had to go for a newer one."""
        self._sock = sock
        self._budget: HalfOpenBudget | None = None
        self._place: HalfOpen | None = None

    def enter(self, budget: HalfOpenBudget, now: float) -> bool:
        """Take a place in the door; false when there is none for it."""
        self._budget, self._place = budget, budget.enter(self.address, self._make_room, now=now)
        return self._place is not None

    def admit(self) -> None:
        """Let it in: it stands in the door no longer, and no deadline hurries it."""
        self.admitted = True
        self.scope.deadline = math.inf
        self.leave()

    def hold(self, wait_s: float) -> None:
        """Give it more time: it is we who let it wait."""
        self.scope.deadline += wait_s

    def leave(self) -> None:
        """Give its place in the door back; a no-op the second time."""
        if self._budget is not None and self._place is not None:
            self._budget.leave(self._place)

    def _make_room(self) -> bool:
        if has_unread(self._sock):
            return False  # It has spoken, and it is we who are late.
        self.made_room = True
        self.scope.cancel()
        return True


class Door:
    """What one listener asks of its callers before it looks at what they have to say."""

    def __init__(
        self,
        *,
        hello_timeout_s: float = 5.0,
        limits: AdmissionLimits | None = None,
        tls: ssl.SSLContext | None = None,
        claims: CertificateNames = certificate_names,
        sources: Container[str] | None = None,
        refused: dict[Refusal, int] | None = None,
    ) -> None:
        """Decide what to ask for.

        Args:
            hello_timeout_s: how long a caller has, from `accept` on, to be admitted.
            limits: how many callers may stand in the door.
            tls: settings of TLS, see `tls_server_context`; None for none.
            claims: which names a client certificate may claim, where one is asked for.
            sources: the names that are registered; others are not admitted. Looked at anew for each caller, so that
                a set, or a registry with `__contains__`, can change meanwhile. None admits any name.
            refused: where those who are not let in are counted, see `TransportMetrics.refused`.

        Raises:
            msgspec.ValidationError: naming the limit that is out of range.
        """
        self.hello_timeout_s = hello_timeout_s
        self.half_open = HalfOpenBudget(limits or AdmissionLimits())
        """The callers in the door."""
        self.refused = refused if refused is not None else dict.fromkeys(Refusal, 0)
        """How many connections were not let in, by reason."""
        self._tls, self._claims, self._sources = tls, claims, sources
        self._unsaid = 0
        self._say_again_at = -math.inf

    def open(self, sock: socket.socket) -> Caller | None:
        """Take a fresh connection into the door; None when it is to be closed at once."""
        now = anyio.current_time()
        caller = Caller(sock, now + self.hello_timeout_s)
        if caller.address == UNIX_ADDRESS and not is_our_user(sock):
            self.refuse(Refusal.USER, caller, "it is another user's")
        elif not caller.enter(self.half_open, now):
            self.refuse(Refusal.CROWDED, caller, "too many are on their way in")
        else:
            return caller
        return None

    async def secure(self, stream: ByteStream, caller: Caller) -> ByteStream | None:
        """Do the TLS handshake, if there is to be one; None when it failed and the connection is to be closed."""
        if self._tls is None:
            return stream
        secure = TLSByteStream(stream, TLSLayer(self._tls, server_side=True))
        try:
            await secure.handshake()
        except TLSFailure as failure:
            self.refuse(Refusal.TLS, caller, str(failure))
            return None
        except (anyio.EndOfStream, anyio.BrokenResourceError, OSError):
            self.refuse(Refusal.SILENT, caller, "it hung up in the TLS handshake")
            return None
        if secure.peer_certificate is not None:
            caller.may_claim = self._claims(secure.peer_certificate)
        return secure

    def forbids(self, caller: Caller, name: str) -> str:
        """Return in words why a caller may not be let in under this name; empty when it may."""
        if caller.may_claim is not None and name not in caller.may_claim:
            names = ", ".join(sorted(caller.may_claim)) or "no name"
            return f"unauthorised: the certificate is for {names}, not for {name!r}"
        if self._sources is not None and name not in self._sources:
            return f"unauthorised: {name!r} is not registered here"
        return ""

    def refuse(self, reason: Refusal, caller: Caller, why: str) -> None:
        """Count a connection that is not let in, and say so in the log: once a second, however many there are."""
        self.refused[reason] += 1
        self._unsaid += 1
        now = anyio.current_time()
        if now >= self._say_again_at:
            self._say_again_at, others, self._unsaid = now + SAY_EVERY_S, self._unsaid - 1, 0
            more = f" (and {others} connections before it)" if others else ""
            logger.warning("refused a connection from %s: %s%s", caller.address, why, more)

    def closed(self, caller: Caller) -> None:
        """Note that a caller's connection has ended; whoever was not let in by then has said too little."""
        caller.leave()
        if caller.made_room:
            self.refuse(Refusal.MADE_ROOM, caller, "others wanted its place, and it was slow")
        elif not caller.admitted and caller.scope.cancelled_caught:
            self.refuse(Refusal.SILENT, caller, f"it was not known within {self.hello_timeout_s:g} s")

"""A connection whose peer has not yet said, or not yet proven, who it is: little time, little memory, one way in.

Belongs to the I/O thread. What is asked of a caller comes from the cores: the greeting reads its first words, the
budget of half-open connections says who has to make room, a certificate says which names may be claimed.
"""

import logging
import socket
import ssl
from collections.abc import Callable, Container
from typing import Final

from agt.transport._errors import TransportError
from agt.transport._peer import UNIX_ADDRESS, budget_address, is_our_user
from agt.transport.blocking._conduit import Conduit
from agt.transport.blocking._engine import clock
from agt.transport.blocking._io_thread import IOThread
from agt.transport.blocking._poller import WRITE
from agt.transport.trust import AdmissionLimits, CertificateNames, TLSLayer, certificate_names
from agt.transport.trust._half_open import HalfOpenBudget
from agt.transport.wires.native import AwayCode, Greeting, Refused

logger = logging.getLogger("agt.transport")

GREETING_SIZE: Final = 1024
"""Most bytes taken at once from somebody who has not said who they are."""


class Lobby:
    """Where callers stand until they are admitted, and what is asked of them there."""

    def __init__(
        self,
        io: IOThread,
        *,
        greet: Callable[[], Greeting],
        admit: Callable[[Greeting, Conduit], None],
        on_refused: Callable[[Refused], None],
        hello_timeout_s: float,
        limits: AdmissionLimits | None = None,
        tls: ssl.SSLContext | None = None,
        claims: CertificateNames = certificate_names,
        sources: Container[str] | None = None,
    ) -> None:
        """Decide what to ask for.

        Args:
            io: the thread that all this happens in.
            greet: makes what reads a caller's first words.
            admit: takes in whoever has said who they are; raises `Refused`.
            on_refused: called with why somebody was told not to come in.
            hello_timeout_s: how long a caller has, from `accept` on, to be admitted.
            limits: how many callers may stand here.
            tls: settings of TLS; None for none.
            claims: which names a client certificate may claim, where one is asked for.
            sources: the names that are registered; None admits any.
        """
        self._io, self._greet, self._admit = io, greet, admit
        self.on_refused = on_refused
        """Called with why somebody was told not to come in."""
        self._hello_timeout_s = hello_timeout_s
        self._budget = HalfOpenBudget(limits or AdmissionLimits())
        self._tls, self._claims, self._sources = tls, claims, sources
        self._callers: set[_Caller] = set()
        self.refused = 0
        """Callers that were not admitted, for whatever reason."""

    def __len__(self) -> int:
        return len(self._callers)

    def enter(self, sock: socket.socket) -> None:
        """Take a fresh connection in, or close it at once."""
        address = budget_address(sock)
        if address == UNIX_ADDRESS and not is_our_user(sock):
            self.refused += 1
            logger.warning("refused a connection of another user on our Unix socket")
            sock.close()
            return
        now = clock()
        place = self._budget.enter(address, lambda: caller.turn_away(), now=now)  # noqa: PLW0108 - made below
        if place is None:
            self.refused += 1
            sock.close()
            return
        layer = TLSLayer(self._tls, server_side=True) if self._tls is not None else None
        caller = _Caller(Conduit(sock, self._io, layer), self._greet(), layer, self)
        self._callers.add(caller)
        alarm = self._io.arm(now + self._hello_timeout_s, lambda _now: caller.turn_away())

        def left() -> None:
            self._callers.discard(caller)
            self._budget.leave(place)
            self._io.cancel(alarm)

        caller.stand(left)

    def close(self) -> None:
        """Turn everybody away."""
        for caller in tuple(self._callers):
            caller.turn_away()

    def admit(self, greeting: Greeting, conduit: Conduit, layer: TLSLayer | None) -> None:
        """Take a caller in who has said who they are.

        Raises:
            Refused: when they may not come in, or not under this name.
        """
        assert greeting.hello is not None, "only a complete greeting is admitted"
        name = greeting.hello.name
        certificate = layer.peer_certificate if layer is not None else None
        if certificate is not None and name not in (allowed := self._claims(certificate)):
            names = ", ".join(sorted(allowed)) or "no name"
            raise Refused(f"unauthorised: the certificate is for {names}, not for {name!r}", AwayCode.UNAUTHORISED)
        if self._sources is not None and name not in self._sources:
            raise Refused(f"unauthorised: {name!r} is not registered here", AwayCode.UNAUTHORISED)
        self._admit(greeting, conduit)


class _Caller:
    """One of them."""

    def __init__(self, conduit: Conduit, greeting: Greeting, layer: TLSLayer | None, lobby: Lobby) -> None:
        self._conduit, self._greeting, self._layer, self._lobby = conduit, greeting, layer, lobby
        self._leave: Callable[[], None] = lambda: None

    def stand(self, leave: Callable[[], None]) -> None:
        """Begin to listen; `leave` is called when this is over."""
        self._leave = leave
        try:
            self._conduit.open(self._on_ready)
        except OSError:
            self.turn_away()

    def turn_away(self) -> None:
        """Close the connection; a no-op when it is somebody else's by now."""
        self._lobby.refused += 1
        self._leave()
        self._conduit.close()

    def _on_ready(self, events: int) -> None:
        try:
            if events & WRITE:
                self._conduit.push()
            if events & ~WRITE:
                self._listen()
        except Refused as refused:
            self._say_why(refused)
        except (OSError, EOFError, TransportError):
            self.turn_away()

    def _listen(self) -> None:
        data = self._conduit.receive(GREETING_SIZE)
        if not data:
            return
        greeting = self._greeting
        if greeting.receive_data(data) is None:
            if reply := greeting.data_to_send():
                self._conduit.send(reply)
            return
        self._lobby.admit(greeting, self._conduit, self._layer)
        self._leave()

    def _say_why(self, refused: Refused) -> None:
        self._lobby.on_refused(refused)
        try:
            if self._conduit.free and (words := self._greeting.farewell(refused)):
                self._conduit.send(words)
        except OSError:
            pass
        self.turn_away()

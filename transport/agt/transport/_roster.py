"""Who has called, by name: one session per sender, whatever becomes of its connections."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from agt.transport._link import Link


class Remembered(Protocol):
    """A session, as far as its name's keeper is concerned."""

    @property
    def link(self) -> object:
        """What remembers the peer."""
        ...

    @property
    def peer(self) -> str:
        """The peer's name."""
        ...

    @property
    def connected(self) -> bool:
        """Whether messages flow."""
        ...

    @property
    def closed(self) -> str:
        """Why it was closed; empty while it is not."""
        ...

    def close(self, reason: str) -> None:
        """End it."""
        ...


class Acceptor(Protocol):
    """Who remembers senders."""

    def __len__(self) -> int: ...

    def link_of(self, name: str) -> Link | None:
        """Return the link that remembers this sender, or None."""
        ...


S = TypeVar("S", bound=Remembered)


class Roster(Generic[S]):
    """The sessions of one listener; they go when the acceptor forgets their sender."""

    def __init__(
        self,
        acceptor: Acceptor,
        make: Callable[[str, Link], S],
        on_peer: Callable[[S], None] | None,
        on_gone: Callable[[S], None] | None,
    ) -> None:
        """Start empty.

        Args:
            acceptor: remembers senders.
            make: makes the session for a name and its link.
            on_peer: called once for each session, when its peer is known and messages flow.
            on_gone: called when a session that was announced ends for good.
        """
        self._acceptor, self._make = acceptor, make
        self._on_peer, self._on_gone = on_peer, on_gone
        self._sessions: dict[str, S] = {}
        self._announced: set[str] = set()

    @property
    def sessions(self) -> Mapping[str, S]:
        """Every remembered peer's session by name, connected or not; a live view."""
        return MappingProxyType(self._sessions)

    def session_of(self, name: str, link: Link) -> S:
        """Return the session of an admitted caller, a new one where it was forgotten meanwhile."""
        session = self._sessions.get(name)
        if session is not None and session.link is link and not session.closed:
            return session
        if session is not None or len(self._sessions) >= len(self._acceptor):
            self._forget_stale()
        session = self._sessions[name] = self._make(name, link)
        return session

    def announce(self, session: S) -> None:
        """Tell, once, that a peer is there; to be called whenever its connection has changed."""
        if session.connected and session.peer not in self._announced:
            self._announced.add(session.peer)
            if self._on_peer is not None:
                self._on_peer(session)

    def close(self, reason: str) -> None:
        """End every session."""
        for name in tuple(self._sessions):
            self.end(name, reason)

    def end(self, name: str, reason: str) -> None:
        """End one peer's session; a no-op when there is none."""
        session = self._sessions.pop(name, None)
        if session is None:
            return
        if name in self._announced:
            self._announced.discard(name)
            if self._on_gone is not None:
                self._on_gone(session)
        session.close(reason)

    def _forget_stale(self) -> None:
        for name, session in tuple(self._sessions.items()):
            if session.closed or self._acceptor.link_of(name) is not session.link:
                self.end(name, "the peer was forgotten to make room for others")

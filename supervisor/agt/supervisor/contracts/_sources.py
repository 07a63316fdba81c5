"""The registry of sources: who may send events, and who has fallen silent.

    pending -> active -> stale -> active ...          by hello and heartbeat
    any -> revoked                                    by an operator, for good

Only active sources are admitted. A source is known by its name *and* its socket: one whose socket has moved has to
register again, since somebody else may have taken its name.
"""

import enum
from dataclasses import dataclass
from typing import Final

HEARTBEAT_TIMEOUT_S: Final = 30.0
SOURCES_MAX: Final = 1024
"""Names that are remembered; a revoked one keeps its place."""


class SourceState(enum.Enum):
    """Where a source stands."""

    PENDING = "pending"
    ACTIVE = "active"
    STALE = "stale"
    REVOKED = "revoked"


@dataclass(slots=True)
class Source:
    """One source."""

    name: str
    socket: str
    state: SourceState
    heard_at: float
    reason: str = ""
    """Why it was revoked."""


class SourceRegistry:
    """All sources of one gateway."""

    def __init__(self, *, timeout_s: float = HEARTBEAT_TIMEOUT_S) -> None:
        self._sources: dict[str, Source] = {}
        self._timeout_s = timeout_s

    def register(self, name: str, socket: str, *, now: float) -> SourceState | None:
        """Announce a source; it is pending until its hello. A revoked one stays revoked; None when there is no room."""
        known = self._sources.get(name)
        if known is not None and known.state is SourceState.REVOKED:
            return SourceState.REVOKED
        if known is None and len(self._sources) >= SOURCES_MAX:
            return None
        if known is None or known.socket != socket:
            self._sources[name] = Source(name, socket, SourceState.PENDING, now)
        return self._sources[name].state

    def hello(self, name: str, socket: str, *, now: float) -> SourceState | None:
        """Take a hello from a registered source; None when it has to register (again) first."""
        known = self._sources.get(name)
        if known is None or known.socket != socket:
            return None
        if known.state is not SourceState.REVOKED:
            known.state, known.heard_at = SourceState.ACTIVE, now
        return known.state

    def heartbeat(self, name: str, *, now: float) -> SourceState | None:
        """Note a sign of life; a stale source is active again, a pending one still owes its hello."""
        known = self._sources.get(name)
        if known is None:
            return None
        known.heard_at = now
        if known.state is SourceState.STALE:
            known.state = SourceState.ACTIVE
        return known.state

    def revoke(self, name: str, reason: str) -> bool:
        """Shut a source out for good; false for an unknown one."""
        known = self._sources.get(name)
        if known is None:
            return False
        known.state, known.reason = SourceState.REVOKED, reason
        return True

    def look(self, *, now: float) -> tuple[Source, ...]:
        """Return the sources that have just fallen silent: active ones not heard of for too long are stale now."""
        silent = [
            source
            for source in self._sources.values()
            if source.state is SourceState.ACTIVE and now - source.heard_at > self._timeout_s
        ]
        for source in silent:
            source.state = SourceState.STALE
        return tuple(silent)

    def admits(self, name: str, socket: str) -> bool:
        """Tell whether events of this source are taken."""
        known = self._sources.get(name)
        return known is not None and known.socket == socket and known.state is SourceState.ACTIVE

    def states(self) -> dict[str, SourceState]:
        """Return how each source stands, by name."""
        return {name: self._sources[name].state for name in sorted(self._sources)}

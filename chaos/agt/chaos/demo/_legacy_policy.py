"""What becomes of the legacy listener at the end of a migration: served, warned about, refused in words.

The selector says which. Who still uses it is logged by name when that changes, so that a person can go and look.
"""

import logging
from collections.abc import Mapping

from agt.router import Router
from agt.transport import Session

logger = logging.getLogger("agt.demo.gateway")

LOOK_S = 0.5
"""How often the sessions are looked at; a refused peer has so long to read why."""
PATIENCE_LOOKS = 10
"""How many looks a refused session may take to answer what it was asked before: 5 s, as replies are waited for."""
WARNING = b"warn the legacy listener is going away; use the native one"
REFUSAL = b"error the legacy listener is retired; use the native one"
NAMED_MAX = 10


class LegacyPolicy:
    """Applies `legacy_listener` to the sessions of the lines listener."""

    def __init__(self, router: Router, sessions: Mapping[str, Session]) -> None:
        self._router, self._sessions = router, sessions
        self._named: frozenset[str] = frozenset()
        self._spoken: dict[str, tuple[Session, str]] = {}
        self._patience: dict[str, int] = {}

    def look(self) -> None:
        """Warn the sessions there are, or end them; called every `LOOK_S`."""
        mode = legacy_mode(self._router)
        if mode == "serve":
            self._spoken.clear()
            return
        self._name_users(mode)
        for name, session in tuple(self._sessions.items()):
            if self._spoken.get(name) != (session, mode):
                self._spoken[name] = (session, mode)
                self._patience[name] = PATIENCE_LOOKS
                session.write_nowait(REFUSAL if mode == "refuse" else WARNING)
            elif mode == "refuse" and self._between_commands(name, session):
                session.disconnect("the legacy listener is retired")
                del self._spoken[name], self._patience[name]

    def _between_commands(self, name: str, session: Session) -> bool:
        """Tell whether a session can be closed: it has answered everything, or has had its time."""
        self._patience[name] -= 1
        return session.unanswered == 0 or self._patience[name] <= 0

    def _name_users(self, mode: str) -> None:
        users = frozenset(self._sessions)
        if users - self._named:
            names = ", ".join(sorted(users)[:NAMED_MAX]) + (", ..." if len(users) > NAMED_MAX else "")
            logger.warning("legacy listener (%s): still used by %d devices: %s", mode, len(users), names)
        self._named |= users


def legacy_mode(router: Router) -> str:
    """Say what the selector wants of the legacy listener; it is served where there is no selector."""
    selector = router.effective
    return selector.runtime.legacy_listener if selector is not None else "serve"

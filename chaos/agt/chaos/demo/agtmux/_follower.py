"""What a daemon knows of the terminals: a projection that follows their events, by the runtime contracts. Pure.

Rows change by compare-and-swap, the cursor has two watermarks, the source has to be registered and active, and an
invalid cursor leads back to the committed event or, the third time, to reading everything anew.
"""

from collections.abc import Iterable
from typing import Any, Final

from agt.chaos.demo.agtmux._terminals import Event
from agt.supervisor.contracts import Cursor, Projection, Recovery, SourceRegistry

SOURCE: Final = "mux"


class Follower:
    """The listing of one daemon."""

    def __init__(self, socket: str, *, now: float) -> None:
        """Begin with nothing; `socket` is the source's address, by which it is known together with its name."""
        self._projection = Projection()
        self._cursor = Cursor(now=now)
        self._registry = SourceRegistry()
        self._socket = socket
        self._advanced_at = now
        self.full_resyncs = 0
        """How often everything was read anew because the cursor was refused."""
        self.invalid_cursors = 0
        """How often the source has refused the cursor."""

    @property
    def after(self) -> int:
        """The event after which to go on."""
        return self._cursor.position.fetched

    def heard(self, *, now: float) -> None:
        """Note a sign of life of the source; one that is new says hello first."""
        self._registry.register(SOURCE, self._socket, now=now)
        if self._registry.heartbeat(SOURCE, now=now) is not None and not self._admitted():
            self._registry.hello(SOURCE, self._socket, now=now)

    def take(self, events: Iterable[Event], *, now: float) -> int:
        """Take in what came next; return how many events that were. What is not admitted changes nothing."""
        if not self._admitted():
            return 0
        taken = 0
        for event in events:
            self._cursor.fetch(event.number)
            self._apply(event)
            self._cursor.commit(event.number)
            taken += 1
        if taken:
            self._advanced_at = now
        return taken

    def refused(self, *, now: float) -> Recovery:
        """Note that the source refused the cursor; return what to do."""
        self.invalid_cursors += 1
        return self._cursor.invalid(now=now)

    def read_anew(self, through: int, panes: Iterable[Event], *, now: float, counted: bool = True) -> None:
        """Start over with everything that there is.

        Args:
            through: The last event that is in it.
            panes: Every pane.
            now: Seconds, of the cursor's clock.
            counted: False for the first reading, which is no recovery.
        """
        fresh = {_key(pane): pane for pane in panes}
        for key in self._projection.rows().keys() - fresh.keys():
            self._projection.remove(key, expected=self._projection.version(key))
        for pane in fresh.values():
            self._apply(pane)
        self._cursor.resynced(through, now=now)
        self._advanced_at = now
        self.full_resyncs += counted

    def look(self, *, now: float) -> None:
        """See whether the source has fallen silent."""
        self._registry.look(now=now)

    @property
    def sessions(self) -> dict[str, list[Event]]:
        """Panes by session."""
        found: dict[str, list[Event]] = {}
        for pane in self._projection.rows().values():
            found.setdefault(pane.session, []).append(pane)
        return found

    def panes(self) -> list[dict[str, Any]]:
        """Answer `list_panes`."""
        return [
            {
                "session_name": pane.session,
                "pane_id": pane.pane,
                "evidence_mode": pane.mode,
                "pane_presence": pane.presence,
                "closing": pane.closing,
            }
            for pane in self._projection.rows().values()
        ]

    def status(self, *, now: float) -> dict[str, Any]:
        """Answer `status`: what the contracts count."""
        position = self._cursor.position
        return {
            "state_version": self._projection.state_version,
            "advanced_s": round(now - self._advanced_at, 3),
            "fetched": position.fetched,
            "committed": position.committed,
            "conflicts": self._projection.conflicts,
            "invalid_cursors": self.invalid_cursors,
            "invalid_streak": self._cursor.invalid_streak,
            "full_resyncs": self.full_resyncs,
            "sources": {name: state.value for name, state in self._registry.states().items()},
        }

    @property
    def version(self) -> int:
        """The projection's version."""
        return self._projection.state_version

    def _admitted(self) -> bool:
        return self._registry.admits(SOURCE, self._socket)

    def _apply(self, event: Event) -> None:
        key = _key(event)
        if event.gone:
            self._projection.remove(key, expected=self._projection.version(key))
        else:
            self._projection.put(key, event, expected=self._projection.version(key))


def _key(event: Event) -> str:
    return f"{event.session} / {event.pane}"

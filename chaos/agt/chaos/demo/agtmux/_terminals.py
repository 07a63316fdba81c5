"""The terminals that both daemons look at: sessions with panes, and the log of what happened to them. Pure.

Whoever follows reads events by number. The log is bounded: a reader that asks for what has been dropped, or for what
hasn't happened yet, is told that its cursor is invalid, and reads everything anew.
"""

from collections import deque
from typing import Final, Literal

import msgspec

EVENTS_MAX: Final = 20_000
"""Events that can still be read; at the demo's rate some minutes."""
BATCH_MAX: Final = 1000
"""Events in one answer."""
SESSIONS_MAX: Final = 500

EvidenceMode = Literal["hook", "poll"]


class InvalidCursor(Exception):
    """Raised when events are asked for that the log doesn't have."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one pane."""

    number: int
    """Grows by one."""
    session: str
    pane: str
    mode: EvidenceMode = "hook"
    """How its state is known."""
    presence: Literal["present", "absent"] = "present"
    closing: bool = False
    """Whether the session is about to end: nothing new is to be asked of it."""
    value: int = 0
    """What was typed last."""
    gone: bool = False
    """Whether the pane is there no more."""


class Terminals:
    """Every session with its panes, and what happened."""

    def __init__(self) -> None:
        self._panes: dict[str, dict[str, Event]] = {}
        self._log: deque[Event] = deque(maxlen=EVENTS_MAX)
        self._last = 0
        self._watermarks: dict[str, int] = {}
        self._touched: dict[str, float] = {}

    @property
    def sessions(self) -> tuple[str, ...]:
        """Every session, oldest first."""
        return tuple(self._panes)

    def begin(self, session: str, *, panes: int = 2, mode: EvidenceMode = "hook", now: float = 0.0) -> None:
        """Open a session.

        Raises:
            ValueError: when there is one of that name, or there are too many.
        """
        if session in self._panes:
            raise ValueError(f"there is a session {session!r} already")
        if len(self._panes) >= SESSIONS_MAX:
            raise ValueError(f"there are {SESSIONS_MAX} sessions, and no more can be")
        self._panes[session] = {}
        self._touched[session] = now
        for number in range(1, panes + 1):
            self._note(session, f"%{number}", mode=mode)

    def close(self, session: str, *, now: float) -> None:
        """Announce that a session is about to end."""
        self._touched[session] = now
        for pane in tuple(self._panes[session].values()):
            self._change(pane, closing=True)

    def end(self, session: str) -> None:
        """Take a session away."""
        for pane in tuple(self._panes[session].values()):
            self._change(pane, gone=True, presence="absent")
        del self._panes[session], self._touched[session]

    def switch_mode(self, session: str) -> None:
        """Let the first pane of a session be known in the other way."""
        first = next(iter(self._panes[session].values()))
        self._change(first, mode="poll" if first.mode == "hook" else "hook")

    def act(self, session: str, number: int, value: int, *, now: float) -> bool | None:
        """Type into a session; true when it was done, false when the number has been passed, None without a session."""
        if session not in self._panes:
            return None
        self._touched[session] = now
        if number <= self._watermarks.get(session, 0):
            return False
        self._watermarks[session] = number
        self._change(next(iter(self._panes[session].values())), value=value)
        return True

    def remember(self, session: str, number: int) -> None:
        """Take over how far a session had come before its process was restarted."""
        self._watermarks[session] = max(number, self._watermarks.get(session, 0))

    def quiet_since(self, session: str) -> float:
        """Return when a session was last touched."""
        return self._touched[session]

    def events(self, after: int, limit: int = BATCH_MAX) -> list[Event]:
        """Return what came after an event, at most so many.

        Raises:
            InvalidCursor: when the log doesn't reach back so far, or never got there.
        """
        oldest = self._log[0].number if self._log else self._last + 1
        if not oldest - 1 <= after <= self._last:
            raise InvalidCursor(f"{after} is outside of {oldest - 1} to {self._last}")
        start = after - oldest + 1
        return [self._log[index] for index in range(start, min(len(self._log), start + min(limit, BATCH_MAX)))]

    def everything(self) -> tuple[int, list[Event]]:
        """Return every pane as it is, and the number of the last event."""
        return self._last, [pane for panes in self._panes.values() for pane in panes.values()]

    def forget(self) -> None:
        """Lose the log, as a source that starts anew: every cursor into it is invalid from now on."""
        self._log.clear()
        self._last += EVENTS_MAX

    def _note(self, session: str, pane: str, **fields: object) -> None:
        self._last += 1
        raw = {"number": self._last, "session": session, "pane": pane, **fields}
        self._keep(msgspec.convert(raw, Event))

    def _change(self, pane: Event, **fields: object) -> None:
        self._last += 1
        self._keep(msgspec.structs.replace(pane, number=self._last, **fields))

    def _keep(self, event: Event) -> None:
        self._log.append(event)
        if event.gone:
            del self._panes[event.session][event.pane]
        else:
            self._panes[event.session][event.pane] = event

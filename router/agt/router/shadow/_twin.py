"""What takes mirrored messages, and the guard before it: a broken twin rests, and nobody notices but the counts."""

from collections.abc import Callable
from typing import Final, Protocol

from agt.router._path import Message
from agt.transport import Delivery, QueueFull

SLOW_S: Final = 0.02
"""A twin that takes longer than this to *accept* a message holds up the loop that control runs on."""
SLOW_MAX: Final = 3
"""So often in a row, and it rests; once may be a process that was not given its turn, which is not the twin's fault."""
REST_S: Final = 0.5
"""The first rest of a twin that failed; doubles with each further failure."""
REST_MAX_S: Final = 30.0


class Twin(Protocol):
    """A stand-in that takes mirrored messages; for reads it may be the real thing."""

    def send(self, message: Message) -> Delivery:
        """Take a mirrored message, at once: what takes time happens after this has returned.

        A handle that is an `Answered` brings the reply with it, which is then compared by field.

        Raises:
            QueueFull: when the twin has no room for it; it counts as shed and never as a difference, as does
                whatever else a broken twin raises.
        """
        ...


class Answered(Delivery, eq=False):
    """The handle of a twin that answers: `reply` is set before it is settled."""

    reply: bytes | None = None
    """What came back; None when nothing did."""


class TwinGuard:
    """Stands between the shadow and one twin."""

    __slots__ = ("_clock", "_failures", "_rests_until", "_slow", "twin")

    def __init__(self, twin: Twin, clock: Callable[[], float]) -> None:
        self.twin = twin
        self._clock = clock
        self._failures = 0
        self._slow = 0
        self._rests_until = 0.0

    def send(self, message: Message, shed: Callable[[str], None]) -> Delivery | None:
        """Hand a message on; None, and a word to `shed`, when the twin doesn't take it. Never raises."""
        began = self._clock()
        if began < self._rests_until:
            shed("resting")
            return None
        try:
            delivery = self.twin.send(message)
        except QueueFull:
            shed("full")
            return None
        except Exception:  # noqa: BLE001 - a broken twin must never reach control.
            self._fail()
            shed("broken")
            return None
        if not isinstance(delivery, Delivery):
            self._fail()
            shed("broken")
            return None
        if self._clock() - began <= SLOW_S:
            self._failures = self._slow = 0
        else:
            self._slow += 1
            if self._slow >= SLOW_MAX or self._failures:
                self._fail()
        return delivery

    def _fail(self) -> None:
        self._rests_until = self._clock() + min(REST_MAX_S, REST_S * 2.0 ** min(self._failures, 20))
        self._failures += 1

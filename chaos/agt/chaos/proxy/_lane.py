"""One direction of one connection: frames in, due bytes out. Pure; the clock comes in as `now`.

A lane is first in, first out, as TCP is: a frame that is delayed delays all behind it, and only a reorder fault
lets one pass another. A frame put aside by it goes on after its number of others, or after `ASIDE_MAX_S` when no
more come, so that the last frame of a conversation isn't lost by an overtaking that never ends.
"""

import math
from collections import deque
from dataclasses import dataclass
from random import Random

from agt.chaos.faults import Passage
from agt.chaos.proxy._framing import Splitter
from agt.chaos.proxy._rules import Flow, Rules

HELD_MAX = 1 << 20
"""Bytes that a lane holds before it stops reading, so that a stall pushes back as a full TCP buffer does."""
ASIDE_MAX_S = 0.25
"""Seconds after which a frame that waits to be overtaken goes on anyway."""


@dataclass(slots=True)
class _Aside:
    """A frame that waits to be overtaken."""

    data: bytes
    left: int
    expires: float


class Lane:
    """What one direction holds, and when it lets go of it."""

    def __init__(self, flow: Flow, splitter: Splitter, rules: Rules, rng: Random) -> None:
        self.flow = flow
        self.rng = rng
        """Draws for this lane; the connection gives it another when the peer is known."""
        self.severed = False
        """Whether a fault has ended the connection."""
        self.spent = False
        """Whether a fault lets nothing more pass, and ends the connection when what is held has gone on."""
        self._splitter, self._rules = splitter, rules
        self._held: deque[tuple[float, bytes, bool]] = deque()  # When due, what, and whether it goes alone.
        self._held_bytes = 0
        self._aside: list[_Aside] = []
        self._last_due = -math.inf
        self._line_free_at = -math.inf
        self._passed = 0
        self._stalled = False
        self._linger_s = 0.0
        self._ended_at = math.inf

    @property
    def full(self) -> bool:
        """Whether the source should not be read for now."""
        return self._held_bytes >= HELD_MAX

    def finished(self, now: float) -> bool:
        """Tell whether the source has ended, or is to be cut off, and all that may pass has gone on."""
        over = self.spent or now >= self._ended_at + self._linger_s
        return over and not self._held and not self._aside and not self._stalled

    def split(self, data: bytes) -> list[bytes]:
        """Cut bytes from the source into frames, to be given to `enter` one by one."""
        return self._splitter.feed(data)

    def enter(self, frame: bytes, now: float) -> None:
        """Let the faults decide about a frame and hold what is left of it until it is due."""
        if self.spent:
            return
        passage = Passage([frame], passed=self._passed)
        self._rules.strike(self.flow, passage, self.rng, now)
        if passage.severed:
            self.severed = True
            return
        size = sum(map(len, passage.copies))
        self._passed += size
        self._held_bytes += size
        self.spent = passage.ends
        if size and passage.overtaken_by:
            data = b"".join(passage.copies)
            self._aside.append(_Aside(data, passage.overtaken_by, now + passage.delay_s + ASIDE_MAX_S))
            return
        if size:
            self._carry(passage, size, now)
        self._overtake(now)

    def end(self, now: float) -> None:
        """Note that the source has ended; half a frame goes on as it is."""
        if rest := self._splitter.rest():
            self._held_bytes += len(rest)
            self._append(rest, now)
        self._ended_at = now

    def refresh(self, now: float) -> None:
        """Ask the standing faults again; called when rules, scopes or the peer's name may have changed."""
        standing = self._rules.standing(self.flow, self.rng, now)
        self._stalled, self._linger_s = standing.stalled, standing.linger_s
        self.severed = self.severed or standing.severed

    def take(self, now: float) -> bytes:
        """Return, once, bytes that are due; ask until there are none, since pieces come one by one."""
        if self._stalled:
            return b""
        for aside in [aside for aside in self._aside if aside.expires <= now]:
            self._aside.remove(aside)
            self._append(aside.data, now)
        due: list[bytes] = []
        while self._held and self._held[0][0] <= now:
            _, piece, alone = self._held.popleft()
            due.append(piece)
            if alone:
                break
        data = b"".join(due)
        self._held_bytes -= len(data)
        return data

    def next_due(self) -> float:
        """When `take` has something next; `math.inf` when nothing is held or nothing may pass."""
        if self._stalled:
            return math.inf
        if self._held:
            return self._held[0][0]
        return min((aside.expires for aside in self._aside), default=self._ended_at + self._linger_s)

    def _carry(self, passage: Passage, size: int, now: float) -> None:
        """Put a frame on the line: first it is carried, then it is under way."""
        carried_at = now
        if passage.bits_per_s < math.inf:
            carried_at = max(now, self._line_free_at) + size * 8 / passage.bits_per_s
            self._line_free_at = carried_at
        due = carried_at + passage.delay_s
        if not passage.apart:
            self._append(b"".join(passage.copies), due)
            return
        for place, piece in enumerate(passage.copies):
            self._append(piece, due + place * passage.pause_s, alone=True)

    def _append(self, data: bytes, due: float, *, alone: bool = False) -> None:
        self._last_due = max(self._last_due, due)
        self._held.append((self._last_due, data, alone))

    def _overtake(self, now: float) -> None:
        for aside in list(self._aside):
            aside.left -= 1
            if aside.left <= 0:
                self._aside.remove(aside)
                self._append(aside.data, now)

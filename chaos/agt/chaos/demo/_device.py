"""What a simulated device does with a command, whatever attachment it came by.

A device has one state and one memory over all its attachments. A lines device keeps a watermark: a number at or
below it has been passed, so it is answered and ignored. An unmodified cync device acts on whatever comes; a repeated
command that sets the state it already has changes nothing.
"""

import math
import time
from collections.abc import Callable
from random import Random

from agt.chaos.checkers import Effect, Ignored
from agt.chaos.demo._log import RecordLog
from agt.chaos.demo._names import DeviceName

REPLY_P50_S = 0.089
REPLY_P99_S = 0.242
REPLY_MAX_S = 0.331
"""Command to ack as measured on real devices (docs/reference/facts.md, 1)."""
_SPREAD = math.log(REPLY_P99_S / REPLY_P50_S) / 2.326


class Device:
    """One device's state, memory and reaction time."""

    def __init__(self, name: DeviceName, log: RecordLog, rng: Random) -> None:
        self.id, self.kind = name.id, name.kind
        self._log, self._rng = log, rng
        self._state: dict[int, int] = {}
        self._watermark = 0
        self.report: Callable[[str, int, int], None] | None = None
        """Told of each new state: the device, the state, the number of the command that set it."""

    @property
    def watermark(self) -> int:
        """The highest number that was acted on."""
        return self._watermark

    def remember(self, watermark: int) -> None:
        """Take over what the device knew before its process was restarted."""
        self._watermark = max(self._watermark, watermark)

    def take(self, number: int, value: int, path: str, *, part: int = 0) -> None:
        """Act on a command and log what it did.

        Args:
            number: The command's own number.
            value: The state to set.
            path: The attachment that it came by.
            part: Which part of the device is set.
        """
        now = time.time()  # Logs of different processes are joined by the wall clock.
        if self.kind == "lines" and number <= self._watermark:
            self._log.add(Ignored(t=now, device=self.id, number=number, path=path))
            return
        changed = self._state.get(part) != value
        self._state[part] = value
        self._watermark = max(self._watermark, number)
        self._log.add(Effect(t=now, device=self.id, number=number, path=path, changed=changed))
        if changed and self.report is not None:
            self.report(self.id, value, number)

    def reaction_s(self) -> float:
        """Draw how long the device takes to answer, in seconds."""
        return min(REPLY_MAX_S, REPLY_P50_S * math.exp(_SPREAD * self._rng.gauss(0.0, 1.0)))

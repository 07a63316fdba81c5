"""The one alarm of a session: armed no later than anything that its link has to do in time.

Deadlines move later all the time, with each answer; the alarm doesn't follow them. It rings at the earliest time that
was asked for, finds out what is next, and is armed for that. So a message costs a comparison, not an alarm.
"""

import math
from collections.abc import Callable

from agt.transport._alarms import Alarm, Alarms


class Deadline:
    """When a session is looked at next.

    Holds the session only while it is armed, so that one which is forgotten is gone at once.
    """

    __slots__ = ("_alarm", "_timers", "at")

    def __init__(self, timers: Alarms | None) -> None:
        self._timers = timers
        self._alarm: Alarm | None = None
        self.at = -math.inf
        """When; infinite when never, and below everything while nobody keeps the time."""
        self.keep_by(timers)

    def keep_by(self, timers: Alarms | None) -> None:
        """Have these timers keep the time from now on, starting without an alarm; None for nobody."""
        self.cancel()
        self._timers = timers
        self.at = -math.inf if timers is None else math.inf

    def bring_forward(self, deadline: float, callback: Callable[[float], None]) -> None:
        """Have `callback(now)` called by `deadline`; ask for it only when that is below `at`."""
        assert self._timers is not None, "nothing is below `at` while nobody keeps the time"
        self.cancel()
        self.at = deadline
        self._alarm = self._timers.arm(deadline, callback)

    def cancel(self) -> None:
        """Ring for nobody, until the next `bring_forward`."""
        if self._alarm is not None:
            assert self._timers is not None, "armed by somebody"
            self._timers.cancel(self._alarm)
            self._alarm, self.at = None, math.inf

    def rang(self) -> None:
        """Note that the callback has been called."""
        self._alarm, self.at = None, math.inf

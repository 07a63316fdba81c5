"""Slow close: one side has said goodbye and the other hears of it late, as behind a box that keeps connections."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class SlowClose:
    """Pass the end of a direction on later than the bytes before it; a reset still passes at once."""

    kind: ClassVar[str] = "slow_close"
    standing: ClassVar[bool] = True

    delay_s: float
    """Seconds by which the end comes late."""

    def act(self, passage: Passage, rng: Random) -> None:  # noqa: ARG002  # It never varies.
        """Hold the end back."""
        passage.linger_s = max(passage.linger_s, self.delay_s)

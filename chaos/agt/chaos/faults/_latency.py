"""Latency: every frame is held for the same time. One way or both is the scope's choice."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Latency:
    """Hold each frame for a fixed time."""

    kind: ClassVar[str] = "latency"
    standing: ClassVar[bool] = False

    delay_s: float
    """Seconds added to the way of each frame."""

    def act(self, passage: Passage, rng: Random) -> None:  # noqa: ARG002  # Nothing to draw: it never varies.
        """Add the delay."""
        passage.delay_s += self.delay_s

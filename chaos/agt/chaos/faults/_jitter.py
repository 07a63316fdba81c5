"""Jitter: frames are held for a varying time; order stays, as on TCP."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Jitter:
    """Hold each frame for a time drawn evenly between zero and a limit."""

    kind: ClassVar[str] = "jitter"
    standing: ClassVar[bool] = False

    spread_s: float
    """The longest delay, in seconds."""

    def act(self, passage: Passage, rng: Random) -> None:
        """Add a drawn delay."""
        passage.delay_s += rng.uniform(0.0, self.spread_s)

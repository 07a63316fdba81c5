"""Bandwidth: a line carries so many bits a second, so that what comes faster waits its turn."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """Hold each frame until the line has carried what came before it, and then the frame itself.

    Each direction of each connection is a line of its own. Several of these on one line: the narrowest counts.
    """

    kind: ClassVar[str] = "bandwidth"
    standing: ClassVar[bool] = False

    bits_per_s: float
    """What the line carries, in bits a second: 200e6 for 200 Mbit/s."""

    def __post_init__(self) -> None:
        """Refuse a line that carries nothing; that is a stall.

        Raises:
            ValueError: when the rate isn't above zero.
        """
        if not self.bits_per_s > 0:
            raise ValueError(f"fault 'bandwidth' needs bits_per_s above 0, not {self.bits_per_s:g}; 'stall' is for 0")

    def act(self, passage: Passage, rng: Random) -> None:  # noqa: ARG002  # It never varies.
        """Narrow the line."""
        passage.bits_per_s = min(passage.bits_per_s, self.bits_per_s)

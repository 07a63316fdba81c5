"""Stall: the connection stays up and nothing passes, the failure that no error ever reports."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Stall:
    """Hold everything for as long as the rule is there; then it all goes on, in order."""

    kind: ClassVar[str] = "stall"
    standing: ClassVar[bool] = True

    def act(self, passage: Passage, rng: Random) -> None:  # noqa: ARG002  # It never varies.
        """Let nothing pass."""
        passage.stalled = True

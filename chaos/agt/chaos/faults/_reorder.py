"""Reorder: a frame is put aside until others have passed it."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Reorder:
    """Let later frames overtake this one."""

    kind: ClassVar[str] = "reorder"
    standing: ClassVar[bool] = False

    depth: int = 3
    """At most how many frames overtake it; how many is drawn from 1 to this."""

    def act(self, passage: Passage, rng: Random) -> None:
        """Draw how many frames pass first."""
        passage.overtaken_by = max(passage.overtaken_by, rng.randint(1, self.depth))

"""Duplicate: a frame arrives again, right behind itself."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Send the frame more than once."""

    kind: ClassVar[str] = "duplicate"
    standing: ClassVar[bool] = False

    extra: int = 1
    """How many more times it arrives."""

    def act(self, passage: Passage, rng: Random) -> None:  # noqa: ARG002  # How often is the rule's business.
        """Repeat what there is."""
        passage.copies.extend(passage.copies * self.extra)

"""Reset: the connection ends abruptly at a frame, as when a box on the way forgets it."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Reset:
    """End the connection when a frame passes; both sides see a reset and the frame is lost."""

    kind: ClassVar[str] = "reset"
    standing: ClassVar[bool] = False

    def act(self, passage: Passage, rng: Random) -> None:  # noqa: ARG002  # How often is the rule's business.
        """Ask for the end."""
        passage.severed = True

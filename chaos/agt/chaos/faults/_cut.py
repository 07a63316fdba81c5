"""Cut: connections are ended and new ones refused for as long as the rule is there: a partition that shows."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Cut:
    """End the connection at once, and each new one when it is known to be meant."""

    kind: ClassVar[str] = "cut"
    standing: ClassVar[bool] = True

    def act(self, passage: Passage, rng: Random) -> None:  # noqa: ARG002  # It never varies.
        """Ask for the end."""
        passage.severed = True

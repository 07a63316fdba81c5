"""Drop: whole frames vanish, as with a lossy radio behind a gateway; the byte stream around them stays intact."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Drop:
    """Swallow the frame."""

    kind: ClassVar[str] = "drop"
    standing: ClassVar[bool] = False

    def act(self, passage: Passage, rng: Random) -> None:  # noqa: ARG002  # How often is the rule's business.
        """Leave nothing to send."""
        passage.copies.clear()

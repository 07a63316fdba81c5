"""Slice: a frame arrives in pieces, as over links with small packets; whoever reads must put it together."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage

PIECES_MAX = 1000
"""Pieces that one frame is cut into at most; of a large frame the pieces are larger."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Cut the frame into pieces of varying size that leave apart from each other, in order."""

    kind: ClassVar[str] = "slice"
    standing: ClassVar[bool] = False

    size: float = 64.0
    """About how many bytes a piece has; each is drawn between half and one and a half of it."""
    pause_s: float = 0.0005
    """Seconds between two pieces."""

    def act(self, passage: Passage, rng: Random) -> None:
        """Replace the frame by its pieces."""
        data = b"".join(passage.copies)
        size = max(1.0, self.size, 2 * len(data) / PIECES_MAX)
        pieces: list[bytes] = []
        start = 0
        while start < len(data):
            end = start + max(1, round(size * rng.uniform(0.5, 1.5)))
            pieces.append(data[start:end])
            start = end
        passage.copies[:] = pieces
        passage.apart = True
        passage.pause_s = max(passage.pause_s, self.pause_s)

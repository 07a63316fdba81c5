"""Corrupt: one byte of a frame changes; its length stays, so that only what is inside is wrong."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Corrupt:
    """Flip bits of one byte behind the frame's length field."""

    kind: ClassVar[str] = "corrupt"
    standing: ClassVar[bool] = False

    spare: int = 5
    """Bytes at the front that are left alone: 4 hold the length on the native wire, 5 are the header on cync."""

    def act(self, passage: Passage, rng: Random) -> None:
        """Damage each copy on its own."""
        passage.copies[:] = [self._damaged(copy, rng) for copy in passage.copies]

    def _damaged(self, frame: bytes, rng: Random) -> bytes:
        if len(frame) <= self.spare:
            return frame
        at = rng.randrange(self.spare, len(frame))
        return frame[:at] + bytes((frame[at] ^ rng.randint(1, 255),)) + frame[at + 1 :]

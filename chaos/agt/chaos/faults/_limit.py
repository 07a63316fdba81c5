"""Limit: a connection carries so many bytes one way and then ends, in the middle of a frame if it has to be."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Limit:
    """Let the first bytes of a direction pass, then end the connection; the next one begins anew."""

    kind: ClassVar[str] = "limit"
    standing: ClassVar[bool] = False

    after_bytes: float
    """How many bytes pass."""

    def act(self, passage: Passage, rng: Random) -> None:  # noqa: ARG002  # It never varies.
        """Cut off what is beyond the limit."""
        left = max(0, int(self.after_bytes) - passage.passed)
        whole = b"".join(passage.copies)
        if len(whole) >= left:
            passage.copies[:] = [whole[:left]]
            passage.ends = True

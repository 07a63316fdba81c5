"""Who owns a sender's name: the newest process that claimed it and has shown that it is alive.

The acceptor gives each claim the next generation. A claim counts only when the claimant has answered our welcome:
a hello that sat in the network while its process died must not shut out the process that replaced it. Once a claim
counts, the incarnation that held the name before is fenced and never admitted again; so is whoever comes with an
older generation than the holder came with, which still tells old from new after this memory was lost.
"""

from collections import deque
from typing import Final

FENCED_MAX: Final = 16
"""Former incarnations remembered; older ones are recognised by their generation."""


class Claims:
    """The claims on one sender's name."""

    __slots__ = ("_brought", "_claimed_with", "_fenced", "_holder", "_holder_generation", "claimant", "generation")

    def __init__(self) -> None:
        self.generation = 0
        """The number of the latest claim."""
        self.claimant = 0
        """The incarnation that made it."""
        self._claimed_with = 0
        self._holder = 0
        self._holder_generation = 0
        self._brought = 0
        self._fenced: deque[int] = deque(maxlen=FENCED_MAX)

    def refuses(self, epoch: int, brought: int) -> bool:
        """Whether this incarnation, bringing the last generation that it was given, is older than the holder."""
        if epoch in self._fenced:
            return True
        if epoch == self._holder:
            # The holder itself has at least the generation it answered; less comes from a connection it has left.
            return brought < self._holder_generation
        return 0 < brought < self._brought

    def claim(self, epoch: int, brought: int) -> int:
        """Take in a claim and return its generation, higher than any given or seen before."""
        self.generation = max(self.generation, brought) + 1
        self.claimant, self._claimed_with = epoch, brought
        return self.generation

    def confirm(self) -> None:
        """Let the latest claim count: its claimant has answered."""
        if self._holder not in (0, self.claimant):
            self._fenced.append(self._holder)
        self._holder, self._holder_generation, self._brought = self.claimant, self.generation, self._claimed_with

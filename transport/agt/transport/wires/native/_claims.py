"""Who owns a sender's name: the newest process that claimed it and has shown that it is alive.

Each incarnation of a sender gets a number at its first claim, its generation, and brings it along from then on; the
numbers only rise. Once a claim counts, whoever brings a lower number is an older process and is refused for good. A
claim counts only when the claimant has answered our welcome: a hello that sat in the network while its process died
must not shut out the process that replaced it. Until then older processes are only asked to wait a moment: they dial
again as soon as they have lost the name, and would take it back before the newer one's answer is here.
"""

from typing import Final

CLAIM_S: Final = 2.0
"""How long a claim that nobody has confirmed holds older processes off."""


class Claims:
    """The claims on one sender's name."""

    __slots__ = ("_claimant", "_claimed_at", "_highest", "_holder", "_holder_generation", "generation")

    def __init__(self, floor: int = 0) -> None:
        """Start without a holder.

        Args:
            floor: no lower than any number that was given before this memory began.
        """
        self.generation = 0
        """The number of the latest claimant."""
        self._highest = floor
        self._claimant = 0
        self._claimed_at = 0.0
        self._holder = 0
        self._holder_generation = 0

    @property
    def state(self) -> tuple[int, int, int]:
        """The highest number given, whose claim counts, and its number: what a restarted acceptor has to know."""
        return self._highest, self._holder, self._holder_generation

    def restore(self, highest: int, holder: int, holder_generation: int) -> None:
        """Go on from what an earlier acceptor knew."""
        self._highest = max(self._highest, highest)
        self._holder, self._holder_generation = holder, holder_generation

    def refuses(self, epoch: int, brought: int) -> bool:
        """Whether this incarnation, bringing the number it was given or 0, is older than the holder."""
        return epoch != self._holder and 0 < brought < self._holder_generation

    def wait_s(self, epoch: int, brought: int, now: float) -> float:
        """Return how long this incarnation has to wait for a newer one that is just taking the name; 0 for not."""
        if self._claimant in (self._holder, epoch) or not 0 < brought < self.generation:
            return 0.0
        return max(0.0, self._claimed_at + CLAIM_S - now)

    def claim(self, epoch: int, brought: int, now: float) -> int:
        """Take in a claim and return the claimant's generation."""
        if epoch == self._holder:
            self.generation = self._holder_generation
        else:
            self.generation = brought or self._highest + 1
            self._highest = max(self._highest, self.generation)
        self._claimant, self._claimed_at = epoch, now
        return self.generation

    def confirm(self) -> None:
        """Let the latest claim count: its claimant has answered."""
        self._holder, self._holder_generation = self._claimant, self.generation

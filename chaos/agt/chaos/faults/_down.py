"""Down: nobody listens any more; who dials is refused by the system itself, as when the process is gone."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from agt.chaos.faults._fault import Passage


@dataclass(frozen=True, slots=True)
class Down:
    """End every connection and close the listening socket for as long as the rule is there.

    In the scope of some peers only it is like `cut`: who dials isn't known before it is accepted.
    """

    kind: ClassVar[str] = "down"
    standing: ClassVar[bool] = True

    def act(self, passage: Passage, rng: Random) -> None:  # noqa: ARG002  # It never varies.
        """Ask for the end, and for no beginning."""
        passage.severed = passage.refused = True

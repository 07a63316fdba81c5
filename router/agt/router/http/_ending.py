"""How one request ended, as its runtime is judged by it."""

from typing import NamedTuple

from agt.transport import Outcome


class Ending(NamedTuple):
    """An outcome, why, and whether there is a whole answer to compare with another."""

    outcome: Outcome = Outcome.INDETERMINATE
    reason: str = "the adapter stopped"
    whole: bool = False

    @classmethod
    def of_answer(cls, status: int, *, whole: bool = True) -> "Ending":
        """Judge a request that was answered: a service that says it failed doesn't say what it had done before."""
        if status >= 500:
            return cls(Outcome.INDETERMINATE, f"answered {status}", whole)
        return cls(Outcome.DELIVERED, "", whole)

"""One thing that is wrong with a configuration, said so that a person can mend it.

Checks collect problems instead of raising at the first, since whoever edits a selector under pressure should
not have to find its mistakes one by one.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is and what it is."""

    key: str
    """Key path in the file, `runtime.percentage`; empty when the whole text is meant."""
    says: str
    """What is wrong, and what to write instead."""

    def __str__(self) -> str:
        return f"{self.key}: {self.says}" if self.key else self.says


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the words that lead from a wrong name to a right one."""
    known = sorted(valid)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return f"there are {', '.join(known)}" if known else "there are none"

"""Every planted bug, and the table of them for the guide."""

from support import (
    mutants_delivery,
    mutants_durable,
    mutants_flow,
    mutants_legacy,
    mutants_limits,
    mutants_moves,
    mutants_trust,
)
from support.mutants import PROMISES, Check, Mutant

MUTANTS: tuple[Mutant, ...] = (
    *mutants_delivery.MUTANTS,
    *mutants_durable.MUTANTS,
    *mutants_flow.MUTANTS,
    *mutants_legacy.MUTANTS,
    *mutants_limits.MUTANTS,
    *mutants_moves.MUTANTS,
    *mutants_trust.MUTANTS,
)
CHECKS: dict[str, Check] = {mutant.check.name: mutant.check for mutant in MUTANTS}

BEGIN = "<!-- promises: written by scripts/promises.py -->\n"
END = "<!-- end of promises -->\n"


def promise_table() -> str:
    """Return the list of promises, bugs and checks as the guide shows it."""
    lines: list[str] = []
    for number, promise in PROMISES.items():
        lines += ["", f"**{number}. {promise}.**", "", "| planted bug | what is wrong | caught by |", "|---|---|---|"]
        lines += [_row(mutant) for mutant in MUTANTS if mutant.promise == number]
    return "\n".join([*lines, "", ""])


def _row(mutant: Mutant) -> str:
    wire = "" if mutant.wire == "native" else f"{mutant.wire}: "
    return f"| `{mutant.name}` | {wire}{mutant.says} | {mutant.check.name.replace('_', ' ')} |"


def with_table(guide: str) -> str:
    """Return the guide's text with the table of today.

    Raises:
        ValueError: when the guide has no place for it.
    """
    head, begin, rest = guide.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the guide lacks {BEGIN.strip()} or {END.strip()}")
    return f"{head}{begin}{promise_table()}{end}{tail}"

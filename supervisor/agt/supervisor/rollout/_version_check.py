"""The check that a version matrix is complete: every component asked for its version, on control and on candidate."""

from pathlib import Path
from typing import Final

from agt.supervisor.rollout._plan_file import Check
from agt.supervisor.rollout._verdict import Judgement, Verdict

_NAMED_MAX: Final = 3


async def look_at_versions(check: Check, base: Path, *, run: Path, now: float) -> Judgement:
    """Ask every component of the check's file, which is in `base`; what nobody could tell fails.

    Raises:
        SupervisorError: when the file is not sound.
    """
    from agt.supervisor.versions import ask_versions, build_matrix, load_matrix_file  # noqa: PLC0415 - it brings HTTP.

    file = load_matrix_file(base / check.versions)
    matrix = build_matrix(file, await ask_versions(file, base=base, run=run), now=now)
    if matrix.complete:
        return Judgement(Verdict.PASSED, f"{len(matrix.rows)} components, complete", samples=len(matrix.rows))
    more = len(matrix.missing) - _NAMED_MAX
    named = "; ".join(matrix.missing[:_NAMED_MAX]) + (f"; and {more} more" if more > 0 else "")
    return Judgement(Verdict.FAILED, f"not complete: {named}", samples=len(matrix.rows))

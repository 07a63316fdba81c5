"""What of a plan can still be checked though some of it has the wrong shape: the rest, without what is wrong.

A misspelt key hides nothing else: it is left out, and the second pass looks at what remains. It keeps silent about the
tables that something was left out of, since what it would find there may come from just that.
"""

import copy
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from agt.supervisor.rollout._plan_file import PlanFile
from agt.supervisor.rollout._shape import Problem

_STEPS: Final = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def problems_of_the_rest(
    document: Mapping[str, Any], found: Iterable[Problem], look: Callable[[PlanFile], Iterable[Problem]]
) -> list[Problem] | None:
    """Return what is wrong beside what was found already; None when what remains is no plan."""
    rest = copy.deepcopy(dict(document))
    paths = [problem.path for problem in found]
    for path in sorted(paths, reverse=True):
        _leave_out(rest, path)
    try:
        file = msgspec.convert(rest, PlanFile)
    except msgspec.ValidationError:
        return None
    tables = tuple(path.rpartition(".")[0] or path for path in paths)
    return [problem for problem in look(file) if not problem.path.startswith(tables)]


def _leave_out(document: Any, path: str) -> None:
    """Take one key away, wherever it is; a path that leads nowhere changes nothing."""
    steps = [int(number) if number else name for name, number in _STEPS.findall(path)]
    try:
        for one in steps[:-1]:
            document = document[one]
        if isinstance(document, dict):
            document.pop(steps[-1], None)
    except (LookupError, TypeError):
        return

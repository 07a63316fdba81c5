"""Checks that compare the two runtimes: projections of a parity file, and suites that are run on both sides.

The comparing is the router's (`agt.router.parity`, `agt.router.regression`); here its results become judgements. Both
are imported when a plan asks for one, since they bring HTTP clients along.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import msgspec

from agt.router import RouterError
from agt.supervisor._errors import SupervisorError
from agt.supervisor.rollout._plan_file import Check, PlanFile
from agt.supervisor.rollout._shape import Problem
from agt.supervisor.rollout._verdict import Judgement, Verdict, worst

if TYPE_CHECKING:
    from agt.router.parity import SourceSpec

AT_ONCE: Final = 4
"""Projections that are compared at a time."""


async def look_at_parity(check: Check, base: Path, run: Path) -> Judgement:
    """Compare every projection of the check's file; the worst verdict counts.

    Args:
        check: Names the file.
        base: The plan's folder, where the file is, and others that it names.
        run: The run directory, where bare names of sockets are.

    Raises:
        SupervisorError: when the file is not sound.
    """
    from agt.router.parity import check_parity, load_parity, make_source  # noqa: PLC0415 - see above.

    try:
        named = load_parity(base / check.parity)
    except RouterError as error:
        raise SupervisorError(str(error)) from error
    judged: dict[str, Judgement] = {}
    places = anyio.CapacityLimiter(AT_ONCE)

    async def compare(number: int) -> None:
        one = named[number]
        async with places:
            sides = [make_source(_in_run(side, run), base=base) for side in (one.control, one.candidate)]
            result = await check_parity(one.projection, *sides)
        says = f"{result.name}: {result.reason}"
        judged[result.name] = Judgement(Verdict[result.verdict.name], says, samples=result.samples)

    async with anyio.create_task_group() as group:
        for number in range(len(named)):
            group.start_soon(compare, number)
    found = worst((judged[name] for name in sorted(judged)), empty="the file has no projection")
    if found.verdict is Verdict.PASSED:
        rows = sum(one.samples for one in judged.values())
        return Judgement(Verdict.PASSED, f"{', '.join(sorted(judged))} agree over {rows:,} rows", samples=rows)
    return found


def _in_run(spec: "SourceSpec", run: Path) -> "SourceSpec":
    """Let a socket's bare name be one of the run directory."""
    return msgspec.structs.replace(spec, unix=str(run / spec.unix)) if spec.unix else spec


async def look_at_suite(check: Check, base: Path) -> Judgement:
    """Run the check's suite on both sides.

    Raises:
        SupervisorError: when the file is not sound, or leaves a side out.
    """
    from agt.router.parity import make_source  # noqa: PLC0415 - see above.
    from agt.router.regression import load_suite, run_suite  # noqa: PLC0415 - see above.

    try:
        loaded = load_suite(base / check.suite)
    except RouterError as error:
        raise SupervisorError(str(error)) from error
    if loaded.control is None or loaded.candidate is None:
        raise SupervisorError(f"{check.suite} leaves a side out", "it needs control and candidate")
    sides = (make_source(loaded.control, base=base), make_source(loaded.candidate, base=base))
    result = await run_suite(loaded.suite, *sides)
    return Judgement(Verdict[result.verdict.name], f"{result.name}: {result.reason}", samples=result.samples)


def file_problems(plan: PlanFile, base: Path) -> list[Problem]:
    """Return what is wrong with the files that a plan's checks name, read from `base`, the plan's own folder."""
    found: list[Problem] = []
    for index, check in enumerate(plan.check):
        kind = next((one for one in ("parity", "suite", "versions") if getattr(check, one)), "")
        if kind:
            found += _problems_of(base / getattr(check, kind), f"check[{index}].{kind}", kind)
    sources = {"snapshots.projection": plan.snapshots.projection, "runtime_status.source": plan.runtime_status.source}
    return found + [problem for where, text in sources.items() if text for problem in _source_problems(text, where)]


def _source_problems(text: str, where: str) -> list[Problem]:
    from agt.router.parity import parse_source  # noqa: PLC0415 - see above.

    try:
        parse_source(text)
    except ValueError as error:
        return [Problem(where, str(error), "such as unix:daemon.sock?send=status")]
    return []


def _problems_of(path: Path, where: str, kind: str) -> list[Problem]:
    from agt.router.parity import ParityInvalid, load_parity  # noqa: PLC0415 - see above.
    from agt.router.regression import load_suite  # noqa: PLC0415 - see above.
    from agt.supervisor.versions import MatrixInvalid, load_matrix_file  # noqa: PLC0415 - see above.

    try:
        if kind == "versions":
            load_matrix_file(path)
        elif kind == "parity":
            load_parity(path)
        else:
            loaded = load_suite(path)
            if loaded.control is None or loaded.candidate is None:
                return [Problem(where, f"{path.name} leaves a side out", "it needs control and candidate")]
    except MatrixInvalid as error:
        return [Problem(where, line) for line in error.what.splitlines()]
    except ParityInvalid as error:
        return [Problem(where, f"{path.name}: {problem}") for problem in error.problems]
    except RouterError as error:
        return [Problem(where, str(error))]
    return []
